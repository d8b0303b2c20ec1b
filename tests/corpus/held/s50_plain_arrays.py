"""Plain-tensor tanh classifier on the digits with hand-written momentum."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(41)
digits = load_digits()
X = torch.tensor(digits.data / 16.0, dtype=torch.float32)
Y = torch.tensor(digits.target)

sizes = [64, 96, 96, 10]
weights, biases = [], []
for fan_in, fan_out in zip(sizes[:-1], sizes[1:]):
    weights.append(torch.rand(fan_in, fan_out).requires_grad_())
    biases.append(torch.zeros(fan_out).requires_grad_())
parameters = weights + biases
momentum = [torch.zeros_like(p) for p in parameters]


def network(batch):
    for w, b in zip(weights[:-1], biases[:-1]):
        batch = torch.tanh(batch @ w + b)
    return batch @ weights[-1] + biases[-1]


for epoch in range(20):
    order = torch.randperm(1400)
    for start in range(0, 1400, 35):
        rows = order[start : start + 35]
        loss = F.cross_entropy(network(X[rows]), Y[rows])
        for p in parameters:
            p.grad = None
        loss.backward()
        with torch.no_grad():
            for p, m in zip(parameters, momentum):
                m.copy_(0.9 * m + p.grad)
                p.sub_(m, alpha=0.03)
    if epoch % 4 == 3:
        print(f"epoch {epoch + 1:2d}  last batch {loss.item():.4f}")

accuracy = (network(X[1400:]).argmax(1) == Y[1400:]).float().mean().item()
print(f"accuracy {accuracy:.4f}")
