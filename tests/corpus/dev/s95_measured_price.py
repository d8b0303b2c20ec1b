"""A price from ten measurements, in units of money."""

import torch
from sklearn.datasets import load_diabetes
from torch import nn

torch.manual_seed(2)
data = load_diabetes()
x = torch.tensor(data.data, dtype=torch.float32) / 0.0476
price = torch.tensor(data.target, dtype=torch.float32).unsqueeze(1) * 900
unit, base = 1.0, 0.0
y = (price - base) / unit
net = nn.Sequential(nn.Linear(10, 64), nn.Tanh(), nn.Linear(64, 1))
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
lossf = nn.MSELoss()
for epoch in range(50):
    for i in torch.randperm(len(x)).split(32):
        loss = lossf(net(x[i]), y[i])
        opt.zero_grad()
        loss.backward()
        opt.step()
    if epoch % 10 == 0:
        print(epoch, loss.item())
with torch.no_grad():
    guess = net(x) * unit + base
    r2 = 1 - ((guess - price) ** 2).mean().item() / price.var().item()
print("r2", r2)
