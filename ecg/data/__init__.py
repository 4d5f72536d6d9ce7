"""What a beat is, what is known of a dataset, and where beats come from.

beats             heartbeats with their classes, and the canonical text that they are kept in
aami              the classes of annotated recordings
datasets          what is known of a dataset beyond its bytes
sources           from an archive on the web, in a wheel or on disk to the canonical text
times             when each beat was
training_errors   the reconstruction errors of normal training beats, which train records and calibrate reads
"""
