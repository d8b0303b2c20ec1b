"""Conv1d classifier for noisy waveforms (sine, square, sawtooth, noise)."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(14)


def waves(n, length=64):
    kind = torch.randint(0, 4, (n,))
    phase = torch.rand(n, 1) * 2 * math.pi
    freq = 1.0 + 3.0 * torch.rand(n, 1)
    t = torch.linspace(0, 2 * math.pi, length) * freq + phase
    sine = torch.sin(t)
    forms = torch.stack([sine, sine.sign(), (t / math.pi) % 2 - 1, torch.randn(n, length)], 1)
    picked = forms[torch.arange(n), kind]
    return (picked + 0.4 * torch.randn(n, length)).unsqueeze(1), kind


class WaveNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv1d(1, 16, 7, padding=3)
        self.c2 = nn.Conv1d(16, 32, 5, padding=2)
        self.out = nn.Linear(32, 4)

    def forward(self, x):
        x = F.max_pool1d(F.relu(self.c1(x)), 2)
        x = F.relu(self.c2(x))
        return self.out(x.mean(-1))


signals, kinds = waves(2000)
test_signals, test_kinds = waves(500)
network = WaveNetwork()
optimizer = torch.optim.SGD(network.parameters(), lr=0.1)

for epoch in range(12):
    order = torch.randperm(len(signals))
    for start in range(0, len(order), 50):
        batch = order[start : start + 50]
        loss = F.cross_entropy(network(signals[batch]), kinds[batch])
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        accuracy = (network(test_signals).argmax(1) == test_kinds).float().mean().item()
    print(f"epoch {epoch:2d} loss {loss.item():.4f} test accuracy {accuracy:.3f}")
