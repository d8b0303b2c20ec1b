"""Regression whose batches pass in two halves."""

import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(1500, 6)
y = 30 + (x[:, :1] * x[:, 1:2]) + x[:, 2:3]
net = nn.Sequential(nn.Linear(6, 48), nn.ReLU(), nn.Linear(48, 1))
opt = torch.optim.Adam(net.parameters(), lr=1e-2)
for epoch in range(40):
    for i in torch.randperm(1200).split(64):
        out = torch.cat([net(x[i[:32]]), net(x[i[32:]])]) if len(i) > 32 else net(x[i])
        loss = (out - y[i]).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
with torch.no_grad():
    print("relative test mse", ((net(x[1200:]) - y[1200:]).pow(2).mean() / y.var()).item())
