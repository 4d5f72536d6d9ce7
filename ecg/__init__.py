"""Detect anomalous heartbeats with an autoencoder that has seen normal ones only.

beats, datasets, sources   what a beat is, what is known of a dataset, where beats come from
recordings                 from an ECG to its beats, with their times
scaling, augmentation      the space that models work in, and how normal beats are varied for training
layers, models, training   the autoencoders and their cross-fitted training
export                     from a trained ensemble to the ONNX file that ships
errors, thresholds         from errors on held-out beats to the calibration that ships, by one of several methods
calibration, detector      what ships: beats in; scores, p-values and verdicts out
tables, parquet            beats in files of other people's, and verdicts into files, in blocks
stream, explanation        thresholds that follow drift; why a beat has its score
metrics, reliability       how well scores tell beats apart, and whether thresholds keep their promise
report, figures, drawing   what the evaluation says and draws
provenance, card           what made a model, and what came of it; the same for people
params, schema, files      what comes in is checked, what goes out is whole; exceptions has the error that people see

Only augmentation, layers, the architectures under models, training and export import torch.
"""

import os

# Floating-point sums depend on the order that a processor's vector units add in. These settings hold torch to one order
# on every x86-64 machine; they count only if they stand before torch is first imported, hence here.
os.environ["ATEN_CPU_CAPABILITY"] = "avx2"
os.environ["MKL_CBWR"] = "COMPATIBLE"
os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"
