"""Fit an ensemble of autoencoders to normal beats, and export it.

scaling        the space that models work in, fitted on normal beats; NumPy only
augmentation   normal beats as they might have been
ensemble       the members with their scaling, as one torch module
fitting        cross-fitted training
export         from a trained ensemble to the ONNX file that ships

Floating-point sums depend on the order that a processor's vector units add in. The settings below hold torch to one
order on every x86-64 machine. They count only if they stand before torch is first imported, hence here.
"""

import os

os.environ["ATEN_CPU_CAPABILITY"] = "avx2"
os.environ["MKL_CBWR"] = "COMPATIBLE"
os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"
