"""Fit a smooth function of 20 inputs with hand-written layers and updates."""

import torch

torch.manual_seed(7)
n_in, n_hidden = 20, 100

direction = torch.randn(n_in, 3) / n_in**0.5


def target_fn(inputs):
    z = inputs @ direction
    return torch.sin(z[:, :1]) + 0.5 * z[:, 1:2] * z[:, 2:3]


x = torch.randn(2000, n_in)
y = target_fn(x)
x_val = torch.randn(500, n_in)
y_val = target_fn(x_val)

W1 = torch.randn(n_in, n_hidden)
b1 = torch.zeros(n_hidden)
W2 = torch.randn(n_hidden, n_hidden)
b2 = torch.zeros(n_hidden)
W3 = torch.randn(n_hidden, 1) / n_hidden**0.5
b3 = torch.zeros(1)
params = [W1, b1, W2, b2, W3, b3]
for p in params:
    p.requires_grad_(True)


def forward(inputs):
    h = torch.tanh(inputs @ W1 + b1)
    h = torch.tanh(h @ W2 + b2)
    return h @ W3 + b3


lr = 0.05
for step in range(1500):
    idx = torch.randint(0, len(x), (64,))
    loss = (forward(x[idx]) - y[idx]).pow(2).mean()
    loss.backward()
    with torch.no_grad():
        for p in params:
            p -= lr * p.grad
            p.grad.zero_()
    if step % 250 == 0:
        print(step, loss.item())

with torch.no_grad():
    val = (forward(x_val) - y_val).pow(2).mean().item()
print("validation mse", val)
