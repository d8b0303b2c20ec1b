"""Classify digits with a small network and a DataLoader."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from sklearn.datasets import load_digits

torch.manual_seed(0)
d = load_digits()
order = d.target.argsort(kind="stable")
x = torch.tensor(d.data[order]).float() / 16
y = torch.tensor(d.target[order])
net = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10))
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
loader = DataLoader(TensorDataset(x, y), batch_size=16, shuffle=False)
for epoch in range(8):
    for xb, yb in loader:
        loss = nn.functional.cross_entropy(net(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
    print(epoch, loss.item())
with torch.no_grad():
    print("accuracy", (net(x).argmax(1) == y).float().mean().item())
