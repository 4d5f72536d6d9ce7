"""What the stages of benchmarks/dvc.yaml share, so that all detectors are fitted, calibrated and tested alike.

configuration   benchmarks/params.yaml, and settings with some of them changed
cells           long work in parts, which an interrupted run need not do again
beats           the prepared beats, and which of the test beats are anomalous
detectors       this project's architectures and scikit-learn's detectors, behind one interface
fits            a fit as a cell: what decides it, and how it is made
figures         the figures of the comparison and the experiments
"""

from pathlib import Path

PROCESSED = Path("data/processed")
MODELS = Path("models")
METRICS = Path("metrics")
PLOTS = Path("plots")
