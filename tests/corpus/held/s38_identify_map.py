"""Recover the coefficients of a coupled population map from its trajectories."""

import torch

torch.manual_seed(0)

HORIZON = 40
true = torch.tensor([3.82, 3.75, 0.05])


def advance(state, theta):
    a, b = state[:, 0], state[:, 1]
    fa = theta[0] * a * (1 - a)
    fb = theta[1] * b * (1 - b)
    mixed = torch.stack([fa + theta[2] * (fb - fa), fb + theta[2] * (fa - fb)], 1)
    return mixed.clamp(0.0, 1.0)


def rollout(start, theta, n):
    states, s = [], start
    for _ in range(n):
        s = advance(s, theta)
        states.append(s)
    return torch.stack(states, 1)


with torch.no_grad():
    long_run = rollout(torch.rand(64, 2) * 0.8 + 0.1, true, 200)

theta = torch.tensor([3.9, 3.9, 0.02], requires_grad=True)
lower, upper = torch.tensor([3.65, 3.65, 0.0]), torch.tensor([4.0, 4.0, 0.1])
lr = 0.2
for it in range(500):
    row = torch.randint(0, 64, (32,))
    at = torch.randint(0, 200 - HORIZON - 1, (32,))
    start = long_run[row, at]
    future = torch.stack([long_run[r, s + 1 : s + 1 + HORIZON] for r, s in zip(row, at)])
    loss = (rollout(start, theta, HORIZON) - future).pow(2).mean()
    loss.backward()
    with torch.no_grad():
        theta -= lr * theta.grad
        theta.copy_(theta.clamp(lower, upper))
    theta.grad.zero_()
    if it % 100 == 0:
        print(it, f"{loss.item():.5f}", [round(v, 3) for v in theta.tolist()])

error = (theta.detach() - true).abs().max().item()
print("largest coefficient error", error)
