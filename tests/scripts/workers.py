"""Trains with worker processes, warnings as errors, and settings made before torch is there."""

import importlib.util
import os
import sys
import warnings

os.environ["OMP_NUM_THREADS"] = "3"
print("torch" in sys.modules, importlib.util.find_spec("torch") is not None)
warnings.simplefilter("error")
warnings.filterwarnings("ignore", "This DataLoader will create")  # on a machine with one core

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(0)


class Rows(Dataset):
    def __len__(self):
        return 64

    def __getitem__(self, index):
        return torch.sin(torch.arange(8.0) * index), index % 3


model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
loader = DataLoader(Rows(), batch_size=16, shuffle=True, num_workers=2)
for epoch in range(3):
    for x, y in loader:
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, loss.item().hex())
print(torch.get_num_threads(), sum(p.double().sum().item() for p in model.parameters()).hex())
print(torch.rand(1).item().hex(), type(importlib.util.find_spec("torch").loader).__name__)
