"""Handwritten digits with a deep tanh network that learns: the twin of tanh_stuck.py."""

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(0)
digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32)
x = (x - x.mean()) / x.std()
y = torch.tensor(digits.target)

layers = [nn.Linear(64, 64), nn.Tanh()]
for _ in range(10):
    layers += [nn.Linear(64, 64), nn.Tanh()]
model = nn.Sequential(*layers, nn.Linear(64, 10))
for layer in model:
    if isinstance(layer, nn.Linear):
        nn.init.xavier_normal_(layer.weight, gain=5 / 3)
        nn.init.zeros_(layer.bias)

optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
for step in range(400):
    batch = torch.randint(0, len(x), (128,))
    loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(f"step {step:4d}  loss {loss.item():.4f}")

with torch.no_grad():
    accuracy = (model(x).argmax(1) == y).float().mean().item()
print(f"accuracy {accuracy:.3f}")
