"""The command line: `ecg COMMAND`.

main         the parser; what becomes of a mistake
beats        score, explain
recordings   scan
model        info
servers      serve, dashboard
output       what commands print
"""
