"""The protocol for recordings of patients: `python -m benchmarks.recordings --records FOLDER`.

records     annotated recordings in a folder or on PhysioNet, and who is for development and who for reporting
detectors   the default, the one before it, and nearest neighbour, in three settings
figures     figures of each recording, and over recordings
"""
