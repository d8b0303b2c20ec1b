"""Digits by a small network and the negative log likelihood."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(1)
data = load_digits()
x = torch.tensor(data.data, dtype=torch.float32) / 16
x = (x - x.mean()) / x.std()
y = torch.tensor(data.target)
xtr, ytr, xte, yte = x[:1400], y[:1400], x[1400:], y[1400:]


class Glyphs(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(64, 48), nn.Linear(48, 10)

    def forward(self, v):
        return self.two(F.relu(self.one(v)))


model = Glyphs()
opt = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
for step in range(500):
    i = torch.randint(0, len(xtr), (64,))
    loss = F.nll_loss(model(xtr[i]), ytr[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 100 == 0:
        print(step, loss.item())
with torch.no_grad():
    out = model(xte)
    accuracy = (out.argmax(1) == yte).float().mean().item()
print("accuracy", accuracy)
