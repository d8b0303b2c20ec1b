"""Digits MLP with strong dropout, label smoothing and mixed-up inputs."""

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(18)
data = load_digits()
x = torch.tensor(data.data / 16.0, dtype=torch.float32)
y = nn.functional.one_hot(torch.tensor(data.target), 10).float()
x_test, y_test = x[1400:], torch.tensor(data.target[1400:])

net = nn.Sequential(
    nn.Dropout(0.1),
    nn.Linear(64, 256),
    nn.ReLU(),
    nn.Dropout(0.5),
    nn.Linear(256, 128),
    nn.ReLU(),
    nn.Dropout(0.5),
    nn.Linear(128, 10),
)
criterion = nn.CrossEntropyLoss(label_smoothing=0.2)
optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.05)
net.train()
for step in range(1200):
    i, j = torch.randint(0, 1400, (2, 64))
    mix = torch.rand(64, 1) * 0.4
    inputs = (1 - mix) * x[i] + mix * x[j]
    targets = (1 - mix) * y[i] + mix * y[j]
    optimizer.zero_grad()
    loss = criterion(net(inputs), targets)
    loss.backward()
    optimizer.step()
    if step % 200 == 0:
        print(f"step {step}: {loss.item():.3f}")

net.eval()
with torch.no_grad():
    accuracy = (net(x_test).argmax(1) == y_test).float().mean().item()
print(f"accuracy {accuracy:.4f}")
