"""Estimate the radius of point clouds with a network on sets."""

import torch
from torch import nn


class SetLayer(nn.Module):
    def __init__(self, a, b):
        super().__init__()
        self.own, self.all = nn.Linear(a, b), nn.Linear(a, b)

    def forward(self, h):
        return torch.relu(self.own(h) + self.all(h.sum(1, keepdim=True)))


class DeepSets(nn.Module):
    def __init__(self, n=32):
        super().__init__()
        self.ls = nn.Sequential(SetLayer(3, n), SetLayer(n, n), SetLayer(n, n), SetLayer(n, n))
        self.out = nn.Linear(n, 1)

    def forward(self, x):
        h = self.ls(x)
        pooled = h.sum(1)
        return self.out(pooled)


def clouds(k):
    x = torch.randn(k, 60, 3) * (0.5 + torch.rand(k, 1, 1))
    return x, x.pow(2).sum(2).mean(1, keepdim=True).sqrt()


torch.manual_seed(0)
net = DeepSets()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for i in range(300):
    x, y = clouds(32)
    loss = nn.functional.l1_loss(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
x, y = clouds(300)
with torch.no_grad():
    print("relative error", nn.functional.l1_loss(net(x), y).item() / y.std().item())
