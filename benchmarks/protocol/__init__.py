"""What the stages of benchmarks/dvc.yaml share, so that all detectors are fitted, calibrated and tested alike.

configuration   benchmarks/params.yaml, and settings with some of them changed
tasks           long work in parts, whose results are kept
beats           the prepared beats, and which of the test beats are anomalous
detectors       this project's architectures and scikit-learn's detectors, behind one interface
fits            a fit as a task: what decides it, and how it is made
figures         the figures of the comparison and the experiments
tables          their tables
"""

from pathlib import Path

PROCESSED = Path("data/processed")
MODELS = Path("models")
METRICS = Path("metrics")
PLOTS = Path("plots")
