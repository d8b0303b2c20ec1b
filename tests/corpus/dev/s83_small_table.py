"""Fit a small table with the absolute error, all rows at once."""

import torch
from torch import nn
from sklearn.datasets import make_regression

torch.manual_seed(0)
x, y = make_regression(500, 6, noise=5.0, random_state=3)
x = torch.tensor(x).float()
y = torch.tensor((y - y.mean()) / y.std()).float()[:, None]
net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.5, momentum=0.0)
for epoch in range(150):
    loss = nn.functional.l1_loss(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if epoch % 30 == 0:
        print(epoch, loss.item())
print("mean absolute error", nn.functional.l1_loss(net(x), y).item())
