"""Train a fully connected classifier on the 8x8 digits."""

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(0)

digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32) / 16.0
x = (x - x.mean()) / x.std()
y = torch.tensor(digits.target)
perm = torch.randperm(len(x))
train, test = perm[:1400], perm[1400:]

layers = []
for _ in range(7):
    layers += [nn.Linear(64, 64), nn.Sigmoid()]
net = nn.Sequential(*layers, nn.Linear(64, 10))

optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
criterion = nn.CrossEntropyLoss()

for epoch in range(30):
    order = train[torch.randperm(len(train))]
    running = 0.0
    for batch in order.split(64):
        optimizer.zero_grad()
        loss = criterion(net(x[batch]), y[batch])
        loss.backward()
        optimizer.step()
        running += loss.item() * len(batch)
    if epoch % 5 == 0:
        print(f"epoch {epoch:2d}  loss {running / len(train):.4f}")

with torch.no_grad():
    accuracy = (net(x[test]).argmax(1) == y[test]).float().mean().item()
print(f"test accuracy {accuracy:.3f}")
