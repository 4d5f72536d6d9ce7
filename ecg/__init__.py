"""Detect anomalous heartbeats with an autoencoder that has seen normal ones only.

beats, sources    what a beat is, and where beats come from
models, training  the autoencoders and their cross-fitted training (the only code that imports torch)
calibration       from errors on held-out beats to a threshold
detector          the shipped artifact: beats in, verdicts out
metrics, figures  what the evaluation reports
"""

import os

# Floating-point sums depend on the order that a processor's vector units add in. These settings hold torch to one order
# on every x86-64 machine; they count only if they stand before torch is first imported, hence here.
os.environ["ATEN_CPU_CAPABILITY"] = "avx2"
os.environ["MKL_CBWR"] = "COMPATIBLE"
os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"
