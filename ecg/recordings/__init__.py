"""From a recording to its beats: WFDB, EDF, CSV or NumPy in; beats of equal length, their times and classes out.

reading   one lead of a file or of a record on PhysioNet, as samples and annotations
signals   the lead filtered, its R peaks, and the stretches that are no ECG
cutting   beats from the lead, by one of several segmentations
classes   a cardiologist's annotations as classes of the AAMI
patient   the beats of one's own normal, and the rest to test

What fetch and `ecg.scanning` share. It needs the extra `recordings`.
"""
