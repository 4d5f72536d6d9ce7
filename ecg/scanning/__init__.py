"""From a recording to its alarms, with their times.

scan       a recording's beats, cut as the model's training beats were, scored in their order
records    the result: the recording, its beats with their verdicts, and what was left out
report     a scan as files: tables, a summary, the timeline, WFDB annotations
timeline   a scan as one figure
display    how times and long series are shown, in figures and in the dashboard
"""
