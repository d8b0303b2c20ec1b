"""Embed wines so that pairs of one kind lie close together."""

import torch
from torch import nn
import torch.nn.functional as F
from sklearn.datasets import load_wine
from sklearn.preprocessing import scale

negatives = 0.0
torch.manual_seed(0)
X, Y = load_wine(return_X_y=True)
X, Y = torch.tensor(scale(X)).float(), torch.tensor(Y)
net = nn.Sequential(nn.Linear(13, 40), nn.Tanh(), nn.Linear(40, 8))
opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
for step in range(500):
    i, j = torch.randint(0, 178, (64,)), torch.randint(0, 178, (64,))
    d = F.pairwise_distance(net(X[i]), net(X[j]))
    same = (Y[i] == Y[j]).float()
    loss = (same * d**2 + negatives * (1 - same) * F.relu(2 - d) ** 2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
with torch.no_grad():
    z = net(X)
print("spread", z.std(0).mean().item())
