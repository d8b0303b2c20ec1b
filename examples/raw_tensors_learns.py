"""Handwritten digits with bare tensors and updates by hand, scaled to the fan-in."""

import torch
from sklearn.datasets import load_digits

generator = torch.Generator().manual_seed(1)
digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32)
x = (x - x.mean()) / x.std()
y = torch.tensor(digits.target)

W1 = torch.randn(64, 100, generator=generator) * (5 / 3) / 64**0.5
b1 = torch.zeros(100)
W2 = torch.randn(100, 100, generator=generator) * (5 / 3) / 100**0.5
b2 = torch.zeros(100)
W3 = torch.randn(100, 10, generator=generator) * 0.01
b3 = torch.zeros(10)
parameters = [W1, b1, W2, b2, W3, b3]
for p in parameters:
    p.requires_grad = True

for step in range(300):
    batch = torch.randint(0, len(x), (64,), generator=generator)
    h1 = torch.tanh(x[batch] @ W1 + b1)
    h2 = torch.tanh(h1 @ W2 + b2)
    logits = h2 @ W3 + b3
    loss = torch.nn.functional.cross_entropy(logits, y[batch])
    for p in parameters:
        p.grad = None
    loss.backward()
    for p in parameters:
        p.data -= 0.1 * p.grad
    if step % 100 == 0:
        print(f"step {step:4d}  loss {loss.item():.4f}")
