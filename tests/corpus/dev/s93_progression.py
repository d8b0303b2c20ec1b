"""Disease progression from ten measurements."""

import torch
from sklearn.datasets import load_diabetes
from torch import nn

torch.manual_seed(0)
data = load_diabetes()
x = torch.tensor(data.data, dtype=torch.float32) / 0.0476
y = torch.tensor(data.target, dtype=torch.float32)
y = (y - y.mean()) / y.std()
xtr, ytr, xte, yte = x[:340], y[:340], x[340:], y[340:]
net = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 1))
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for epoch in range(60):
    for i in torch.randperm(len(xtr)).split(32):
        err = net(xtr[i]) - ytr[i]
        loss = err.pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
    if epoch % 10 == 0:
        print(epoch, loss.item())
with torch.no_grad():
    r2 = 1 - ((net(xte)[:, 0] - yte) ** 2).mean().item() / yte.var().item()
print("r2", r2)
