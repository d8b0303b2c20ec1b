"""Learn initial weights from which a few inner steps fit a new task."""

import torch
from torch import nn

torch.manual_seed(0)
inner_lr = 1.6
w0 = nn.Parameter(torch.randn(5, 16) * 0.4)
v0 = nn.Parameter(torch.randn(16, 1) * 0.25)
meta = torch.optim.SGD([w0, v0], lr=0.01)


def task():
    a = torch.randn(5, 1)
    x = torch.randn(40, 5)
    return x, torch.tanh(x @ a)


def adapt(x, y, steps=8):
    w, v = w0, v0
    for _ in range(steps):
        e = ((torch.tanh(x @ w) @ v - y) ** 2).mean()
        gw, gv = torch.autograd.grad(e, [w, v], create_graph=True)
        w, v = w - inner_lr * gw, v - inner_lr * gv
    return w, v


hist = []
for it in range(250):
    x, y = task()
    w, v = adapt(x[:20], y[:20])
    loss = ((torch.tanh(x[20:] @ w) @ v - y[20:]) ** 2).mean()
    meta.zero_grad()
    loss.backward()
    meta.step()
    hist.append(loss.item())
t = torch.tensor(hist[-60:])
print("late loss", t.nan_to_num(1e6).mean().item())
