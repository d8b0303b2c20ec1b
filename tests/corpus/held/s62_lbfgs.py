"""Fit a damped oscillation with a small tanh net and full-batch LBFGS."""

import torch
from torch import nn

torch.manual_seed(0)
t = torch.linspace(0, 4, 300).unsqueeze(1)
signal = torch.exp(-0.5 * t) * torch.cos(5 * t)
observed = signal + 0.02 * torch.randn_like(signal)
inputs = (t - 2) / 1.2

net = nn.Sequential(nn.Linear(1, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 1))
optimizer = torch.optim.LBFGS(
    net.parameters(), lr=1.0, max_iter=10, history_size=20, line_search_fn="strong_wolfe"
)


def closure():
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(net(inputs), observed)
    loss.backward()
    return loss


for step in range(120):
    loss = optimizer.step(closure)
    if step % 20 == 0:
        print(f"outer step {step}: {loss.item():.6f}")

with torch.no_grad():
    error = nn.functional.mse_loss(net(inputs), signal).item()
print("error against the clean signal", error)
