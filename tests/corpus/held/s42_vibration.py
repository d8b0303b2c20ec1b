"""Detect bearing faults from a vibration sensor recorded in counts."""

import torch
import torch.nn.functional as F

torch.manual_seed(4)


def record(n, length=96):
    faulty = torch.randint(0, 2, (n,))
    t = torch.arange(length).float()
    phase = torch.rand(n, 1) * 6.28
    hum = torch.sin(0.35 * t + phase)
    knock = (torch.sin(0.13 * t + 2 * phase) > 0.9).float() * torch.randn(n, length)
    signal = hum + faulty[:, None] * knock * 1.5 + 0.4 * torch.randn(n, length)
    counts = 2048 + 12 * signal
    return counts.round().unsqueeze(1), faulty


class Detector(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv_in = torch.nn.Conv1d(1, 12, 9, stride=2)
        self.conv_mid = torch.nn.Conv1d(12, 24, 5, stride=2)
        self.top = torch.nn.Linear(24, 2)

    def forward(self, x):
        h = F.relu(self.conv_in(x))
        h = F.relu(self.conv_mid(h))
        return self.top(h.amax(-1))


x_all, y_all = record(3000)
x_train, y_train, x_test, y_test = x_all[:2500], y_all[:2500], x_all[2500:], y_all[2500:]
detector = Detector()
opt = torch.optim.SGD(detector.parameters(), lr=0.02, momentum=0.9)
for epoch in range(15):
    epoch_loss = 0.0
    for rows in torch.randperm(2500).split(50):
        opt.zero_grad()
        loss = F.cross_entropy(detector(x_train[rows]), y_train[rows])
        loss.backward()
        opt.step()
        epoch_loss += loss.item() / 50
    print(f"epoch {epoch}: {epoch_loss:.4f}")
with torch.no_grad():
    accuracy = (detector(x_test).argmax(1) == y_test).float().mean().item()
