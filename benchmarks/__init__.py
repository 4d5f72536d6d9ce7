"""Measurements: what the pipeline costs, which settings to choose, and how the detector compares with others."""
