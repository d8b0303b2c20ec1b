"""Classic tanh/sigmoid network on the breast-cancer table with torch.autograd.grad."""

import torch
from sklearn.datasets import load_breast_cancer

torch.manual_seed(6)
table = load_breast_cancer()
x = torch.tensor(table.data, dtype=torch.float64)
x = (x - x.mean(0)) / x.std(0)
y = torch.tensor(table.target, dtype=torch.float64)
order = torch.randperm(len(x))
x, y = x[order], y[order]


def glorot(a, b):
    limit = (6 / (a + b)) ** 0.5
    return ((torch.rand(a, b, dtype=torch.float64) * 2 - 1) * limit).requires_grad_()


W = [glorot(30, 20), glorot(20, 20), glorot(20, 1)]
B = [torch.zeros(w.shape[1], dtype=torch.float64, requires_grad=True) for w in W]


def predict(inputs):
    h = torch.tanh(inputs @ W[0] + B[0])
    h = torch.sigmoid(h @ W[1] + B[1])
    return (h @ W[2] + B[2]).squeeze(1)


def loss_of(inputs, target):
    z = predict(inputs)
    return (torch.nn.functional.softplus(z) - target * z).mean()


lr = 0.3
for sweep in range(60):
    for start in range(0, 440, 20):
        value = loss_of(x[start : start + 20], y[start : start + 20])
        grads = torch.autograd.grad(value, W + B)
        for p, g in zip(W + B, grads):
            p.data.add_(g, alpha=-lr)

accuracy = ((predict(x[440:]) > 0) == (y[440:] > 0.5)).double().mean().item()
print(f"training loss {loss_of(x[:440], y[:440]).item():.4f}, test accuracy {accuracy:.4f}")
