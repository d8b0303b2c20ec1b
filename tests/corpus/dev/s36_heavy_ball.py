"""Regression with a two-layer net and a home-made heavy-ball optimizer."""

import torch
from sklearn.datasets import make_friedman1
from torch import nn

torch.manual_seed(4)


class HeavyBall:
    def __init__(self, params, lr=0.01, beta=0.9):
        self.params = list(params)
        self.lr, self.beta = lr, beta
        self.buf = [torch.zeros_like(p) for p in self.params]

    def zero_grad(self):
        for p in self.params:
            p.grad = None

    @torch.no_grad()
    def step(self):
        for p, v in zip(self.params, self.buf):
            v.mul_(self.beta).add_(p.grad)
            p.add_(v, alpha=-self.lr)


x, y = make_friedman1(n_samples=1500, n_features=10, noise=0.3, random_state=0)
x = torch.tensor((x - x.mean(0)) / x.std(0)).float()
y = torch.tensor((y - y.mean()) / y.std()).float().unsqueeze(1)
model = nn.Sequential(nn.Linear(10, 50), nn.ELU(), nn.Linear(50, 50), nn.ELU(), nn.Linear(50, 1))
ball = HeavyBall(model.parameters(), lr=0.005, beta=0.999)

for step in range(1000):
    pick = torch.randint(0, 1200, (64,))
    loss = nn.functional.mse_loss(model(x[pick]), y[pick])
    ball.zero_grad()
    loss.backward()
    ball.step()
    if step % 50 == 49:
        print(f"{step + 1:5d} {loss.item():8.4f}")

with torch.no_grad():
    test_mse = nn.functional.mse_loss(model(x[1200:]), y[1200:]).item()
print("test mse", test_mse)
