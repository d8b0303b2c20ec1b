"""Digits with parameters kept in a dict and a purely functional forward pass."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits


def init_params(sizes):
    params = {}
    for i, (a, b) in enumerate(zip(sizes[:-1], sizes[1:])):
        w = torch.empty(b, a)
        torch.nn.init.normal_(w, -0.08, 0.08)
        params[f"w{i}"] = w.requires_grad_()
        params[f"b{i}"] = torch.zeros(b, requires_grad=True)
    return params


def apply(params, x, n_layers):
    for i in range(n_layers):
        x = F.linear(x, params[f"w{i}"], params[f"b{i}"])
        if i < n_layers - 1:
            x = F.relu(x)
    return x


torch.manual_seed(0)
data = load_digits()
x = torch.tensor(data.data / 16.0, dtype=torch.float32)
y = torch.tensor(data.target)
sizes = [64, 100, 60, 10]
params = init_params(sizes)
n_layers = len(sizes) - 1
velocity = {k: torch.zeros_like(v) for k, v in params.items()}

for step in range(1200):
    pick = torch.randint(0, 1400, (50,))
    loss = F.cross_entropy(apply(params, x[pick], n_layers), y[pick])
    grads = torch.autograd.grad(loss, list(params.values()))
    with torch.no_grad():
        for (name, p), g in zip(params.items(), grads):
            velocity[name].mul_(0.9).add_(g)
            p.sub_(0.05 * velocity[name])
    if step % 200 == 0:
        print("iter", step, "loss", round(float(loss), 4))

with torch.no_grad():
    pred = apply(params, x[1400:], n_layers).argmax(1)
accuracy = (pred == y[1400:]).float().mean().item()
print("held-out accuracy", accuracy)
