"""The starting recipe's second half, as a plain script: 140-64-16-4-16-64-140, 20 epochs of Adam, the best epoch kept.

python train.py INPUT.npz OUTPUT.npz
"""

import copy
import sys
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
beats = torch.from_numpy(np.load(sys.argv[1])["normal"])
sizes = [140, 64, 16, 4, 16, 64, 140]
layers: list[nn.Module] = []
for inputs, outputs in pairwise(sizes):
    layers += [nn.Linear(inputs, outputs), nn.Identity() if outputs in (4, 140) else nn.ReLU()]
model, criterion = nn.Sequential(*layers), nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
lowest, best = float("inf"), model.state_dict()
for _ in range(20):
    total = 0.0
    for (batch,) in DataLoader(TensorDataset(beats), batch_size=128, shuffle=True):
        loss = criterion(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    if total < lowest:
        lowest, best = total, copy.deepcopy(model.state_dict())
model.load_state_dict(best)
with torch.no_grad():
    errors = (model(beats) - beats).square().mean(1).numpy()
np.savez(sys.argv[2], threshold=np.percentile(errors, 95), **{name: w.numpy() for name, w in best.items()})
