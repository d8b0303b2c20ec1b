"""Regression with a custom activation module."""

import torch
from torch import nn


class Gain(nn.Module):
    def forward(self, x):
        return 2.2 * torch.relu(x)


class Block(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.fc = nn.Linear(n, n)
        nn.init.kaiming_normal_(self.fc.weight)
        nn.init.zeros_(self.fc.bias)
        self.act = Gain()

    def forward(self, x):
        return self.act(self.fc(x))


torch.manual_seed(1)
model = nn.Sequential(nn.Linear(8, 64), *[Block(64) for _ in range(7)], nn.Linear(64, 1))
x = torch.rand(2000, 8) * 2 - 1
y = (x[:, 0] * x[:, 1] + torch.sin(3 * x[:, 2])).unsqueeze(1)
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
loader = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(x[:1600], y[:1600]), 64, shuffle=True
)
for epoch in range(10):
    total = 0.0
    for xb, yb in loader:
        opt.zero_grad()
        loss = ((model(xb) - yb) ** 2).mean()
        loss.backward()
        opt.step()
        total += loss.item() * len(xb)
    print(epoch, total / 1600)
with torch.no_grad():
    print("relative test mse", (((model(x[1600:]) - y[1600:]) ** 2).mean() / y.var()).item())
