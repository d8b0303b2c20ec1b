"""Ten-layer perceptron on a two-spirals style problem."""

import math

import torch
from torch import nn

torch.manual_seed(8)


def spirals(n):
    t = torch.rand(n) * 2.5 * math.pi + 0.5
    label = torch.randint(0, 2, (n,))
    sign = label.float() * 2 - 1
    points = torch.stack([t * torch.cos(t), t * torch.sin(t)], 1) * sign[:, None]
    return (points + 0.1 * torch.randn(n, 2)) / 4.0, label


points, label = spirals(1500)
blocks = [nn.Linear(2, 64), nn.ReLU()]
for _ in range(8):
    blocks.extend([nn.Linear(64, 64), nn.ReLU()])
blocks.append(nn.Linear(64, 2))
model = nn.Sequential(*blocks)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for step in range(1000):
    batch = torch.randint(0, len(points), (128,))
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(points[batch]), label[batch])
    loss.backward()
    optimizer.step()
    if step % 200 == 199:
        print("step", step + 1, "loss", f"{loss.item():.4f}")

fresh, fresh_label = spirals(1000)
with torch.no_grad():
    accuracy = (model(fresh).argmax(1) == fresh_label).float().mean().item()
print("accuracy on fresh points", accuracy)
