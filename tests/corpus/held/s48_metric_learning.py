"""Metric learning on the digits: pull pairs of one class together, push others apart."""

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(23)
digits = load_digits()
x = torch.tensor(digits.data / 16.0 - 0.3, dtype=torch.float32)
y = torch.tensor(digits.target)

embed = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 8))
optimizer = torch.optim.Adam(embed.parameters(), lr=1e-3)
margin = 2.0


def pair_distance(a, b):
    return ((a - b) ** 2).sum(dim=1).sqrt()


def nearest_class_accuracy():
    with torch.no_grad():
        z = embed(x)
        centres = torch.stack([z[:1400][y[:1400] == k].mean(0) for k in range(10)])
        return (torch.cdist(z[1400:], centres).argmin(1) == y[1400:]).float().mean().item()


for step in range(1000):
    left = torch.randint(0, 1400, (64,))
    right = torch.randint(0, 1400, (64,))
    same = y[left] == y[right]
    dist = pair_distance(embed(x[left]), embed(x[right]))
    loss = torch.where(same, dist**2, torch.clamp(margin - dist, min=0) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 200 == 0:
        print("step", step, "loss", loss.item())
accuracy = nearest_class_accuracy()
print("nearest-centre accuracy", accuracy)
