"""Fit a curve with two branches by a mixture of normal densities."""

import torch
from torch import nn

torch.manual_seed(0)
x = torch.rand(2000, 1) * 4 - 2
y = torch.where(torch.rand(2000, 1) < 0.5, x, -x) + 0.02 * torch.randn(2000, 1)
net = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 6))
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
for step in range(800):
    i = torch.randint(0, 1800, (128,))
    w, m, s = net(x[i]).chunk(3, 1)
    comp = torch.distributions.Normal(m, s.exp().clamp(min=0.01))
    loss = -torch.logsumexp(w.log_softmax(1) + comp.log_prob(y[i]), 1).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
print("last loss", loss.item())
