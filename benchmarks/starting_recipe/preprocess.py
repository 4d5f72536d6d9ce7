"""The starting recipe's first half, as a plain script: standardise each time step over the normal training beats.

python preprocess.py TRAIN.tsv TEST.tsv OUTPUT.npz
"""

import sys

import numpy as np
import pandas as pd
from sklearn.preprocessing import StandardScaler

train, test = (pd.read_csv(path, sep="\t", header=None).to_numpy(np.float32) for path in sys.argv[1:3])
normal = train[train[:, 0] == 1, 1:]
scaler = StandardScaler().fit(normal)
np.savez(sys.argv[3], normal=scaler.transform(normal), test=scaler.transform(test[:, 1:]), classes=test[:, 0])
