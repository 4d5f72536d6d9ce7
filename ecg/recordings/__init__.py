"""From a recording to its beats: beats of equal length with their times and classes, from any common format.

reading   one lead of a file, of a record on PhysioNet or of a recording in memory: samples and annotations
signals   the filtered lead, its R peaks, and the segments of unusable signal
r_peaks   R peaks of a filtered lead
quality   stretches of noise, and recordings that are no ECG
cutting   beats cut from the lead, by one of several segmentations
classes   annotated beats and their classes by the AAMI
patient   a patient's own normal beats to train on, and the rest to test

`stages/fetch.py` and `ecg.scanning` share it. It needs the extra `recordings`.
"""
