"""Digits MLP fed from a saved table."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(5)
digits = load_digits()
x_test = torch.tensor(digits.data[1400:] / 16.0, dtype=torch.float32)
y_test = torch.tensor(digits.target[1400:])
order = np.argsort(digits.target[:1400], kind="stable")
x_train = torch.tensor(digits.data[:1400][order] / 16.0, dtype=torch.float32)
y_train = torch.tensor(digits.target[:1400][order])

model = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 10))
loader = DataLoader(TensorDataset(x_train, y_train), batch_size=35, shuffle=False)
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
criterion = nn.CrossEntropyLoss()

for epoch in range(25):
    for i, (inputs, targets) in enumerate(loader):
        optimizer.zero_grad()
        loss = criterion(model(inputs), targets)
        loss.backward()
        optimizer.step()
        if i % 4 == 0:
            print(f"[{epoch}:{i:02d}] {loss.item():.3f}")

with torch.no_grad():
    accuracy = (model(x_test).argmax(1) == y_test).float().mean().item()
print("test accuracy", accuracy)
