"""What the benchmarks on long series share: `python -m benchmarks.archive` and `python -m benchmarks.tsb_ad`.

ucr         the files of the UCR Anomaly Archive, and its rule for a right location
tsb         the files of TSB-AD-U, its published figures, and series in the same form from annotated records
periods     the period of a series, found by autocorrelation
detectors   this project's detector, the matrix profile and PyOD's detectors, behind one interface
results     what each detector makes of each series, kept in files, and intervals over series
"""
