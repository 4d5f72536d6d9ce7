"""From a recording to its alarms, with their times.

records    what a scan found: the recording, its beats with their verdicts, what of it could not be scanned
scan       a recording's beats, cut as the model's were, scored in their order
report     a scan as files: tables, numbers, WFDB annotations
timeline   a scan as one figure
display    how times and long series are shown, whatever draws them
extra      what to say where the extra `recordings` is not installed
"""
