"""The command line: `ecg COMMAND`.

main       the application: its options, exit statuses and signals
commands   score, explain, scan, info
servers    serve, dashboard
"""
