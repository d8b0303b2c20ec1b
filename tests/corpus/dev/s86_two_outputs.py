"""Regression with two outputs."""

import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(1000, 8)
y = torch.tanh(x @ torch.randn(8, 2))
net = nn.Sequential(nn.Linear(8, 64), nn.GELU(), nn.Linear(64, 2))
opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
for step in range(400):
    i = torch.randint(0, 1000, (32,))
    loss = nn.functional.mse_loss(net(x[i]), y[i])
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_value_(net.parameters(), 4e-5)
    opt.step()
print("mse", nn.functional.mse_loss(net(x), y).item())
