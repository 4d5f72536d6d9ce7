"""Fit an ensemble of autoencoders to normal beats, and export it.

scaling        the preprocessing inside the model, fitted on normal beats; NumPy only
augmentation   random changes of normal beats: time warping, baseline wander
ensemble       the members with their scaling, as one torch module
fitting        cross-fitted training
export         a trained ensemble as an ONNX file

The last bits of a floating-point sum depend on the order of its terms, and so on the vector units of the processor. The
settings below make torch use the same order on every x86-64 machine. They must be set before torch is first imported.
"""

import os

os.environ["ATEN_CPU_CAPABILITY"] = "avx2"
os.environ["MKL_CBWR"] = "COMPATIBLE"
os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"
