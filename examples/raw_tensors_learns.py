"""Handwritten digits with bare tensors and updates by hand, scaled to the fan-in."""

from itertools import pairwise

import torch
from sklearn.datasets import load_digits

generator = torch.Generator().manual_seed(1)
digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32)
x = (x - x.mean()) / x.std()
y = torch.tensor(digits.target)

sizes = [64, *[100] * 8, 10]
gain = 5 / 3
weights = []
biases = []
for fan_in, fan_out in pairwise(sizes):
    weights.append(torch.randn(fan_in, fan_out, generator=generator) * gain / fan_in**0.5)
    biases.append(torch.zeros(fan_out))
weights[-1] *= 0.1
for p in weights + biases:
    p.requires_grad = True


def forward(h: torch.Tensor) -> torch.Tensor:
    """Images [n, 64] to logits [n, 10]."""
    for w, b in zip(weights[:-1], biases[:-1], strict=True):
        h = torch.tanh(h @ w + b)
    return h @ weights[-1] + biases[-1]


for step in range(300):
    batch = torch.randint(0, len(x), (64,), generator=generator)
    loss = torch.nn.functional.cross_entropy(forward(x[batch]), y[batch])
    loss.backward()
    with torch.no_grad():
        for p in weights + biases:
            p.sub_(0.05 * p.grad)
            p.grad = None
    if step % 100 == 0:
        print(f"step {step:4d}  loss {loss.item():.4f}")
