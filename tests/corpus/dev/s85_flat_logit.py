"""Logistic regression with momentum."""

import torch
from torch import nn
from sklearn.datasets import make_classification

X, Y = make_classification(1500, 20, n_informative=6, flip_y=0.25, class_sep=0.8, random_state=4)
X, Y = torch.tensor(X).float(), torch.tensor(Y).float()
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(20, 1), nn.Flatten(0))
opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9995)
tail = []
for epoch in range(40):
    for i in torch.randperm(1500).split(100):
        loss = nn.functional.binary_cross_entropy_with_logits(net(X[i]), Y[i])
        opt.zero_grad()
        loss.backward()
        opt.step()
        tail.append(loss.item())
print("late loss", sum(tail[-200:]) / 200)
