"""Measurements: what the pipeline costs, which settings to choose, and how the detector compares with others.

The stages of benchmarks/dvc.yaml are development, compare, coverage and drift; `protocol` is what they share. The other
scripts are run one by one, when their figures are needed.
"""
