"""Hostile requests and files against the detector: `python -m benchmarks.attack`.

results      what is counted, and the table
connections  raw HTTP over sockets
monitor      the longest time that the service takes to answer a probe
service      attacks on a running `ecg serve`
lifecycle    attacks on how it starts, stops and shares work
files        hostile files for the command line
"""
