"""The command line: `ecg COMMAND`.

main       the application: its options, exit statuses and signals
commands   scan, learn, score, explain, info
servers    serve, dashboard
"""
