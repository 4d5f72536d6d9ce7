"""From a recording to its alarms, episodes and report.

scan       a recording's beats, judged in their order: alarms, kinds, episodes
learning   a patient's normal beats, learnt from a recording
changes    stretches unlike the start, and changes for good
judges     what judges beats: the model of normal hearts, with or without what was learnt, or a detector of one's own
records    the result of a scan, as tables
kinds      alarms of like shape and timing, by clustering; noise is set aside
episodes   alarms that belong together, and stretches of change and of noise
findings   what was found, and what speaks against it, in sentences
report     a scan as files
page       a scan as one HTML page, by report.html
parts      parts of the report as markup, by parts.html, which the dashboard shows, too
charts     heart rate and alarms over time, by Vega-Lite
drawing    strips and mean beats on the paper of an ECG
display    how times are shown
"""
