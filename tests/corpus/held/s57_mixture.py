"""Regress a wavy surface with several parallel branches whose outputs are summed."""

import torch
from torch import nn

torch.manual_seed(2)


class Branch(nn.Module):
    def __init__(self, n_in, width):
        super().__init__()
        self.first = nn.Linear(n_in, width)
        self.second = nn.Linear(width, width)

    def forward(self, x):
        return torch.tanh(self.second(torch.tanh(self.first(x))))


class Mixture(nn.Module):
    def __init__(self, n_in=4, width=10, n_branches=4):
        super().__init__()
        self.branches = [Branch(n_in, width) for _ in range(n_branches)]
        self.mix = nn.Linear(width, 1)

    def forward(self, x):
        return self.mix(sum(branch(x) for branch in self.branches)).squeeze(1)


def surface(x):
    return torch.sin(2 * x[:, 0]) * torch.cos(x[:, 1]) + 0.5 * torch.sin(x[:, 2] * x[:, 3])


inputs = torch.rand(3000, 4) * 4 - 2
targets = surface(inputs)
model = Mixture()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for step in range(1500):
    rows = torch.randint(0, 2500, (100,))
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(model(inputs[rows]), targets[rows])
    loss.backward()
    optimizer.step()
    if step % 300 == 299:
        print(f"step {step + 1} mse {loss.item():.4f}")

with torch.no_grad():
    validation = nn.functional.mse_loss(model(inputs[2500:]), targets[2500:]).item()
print("validation mse", validation)
