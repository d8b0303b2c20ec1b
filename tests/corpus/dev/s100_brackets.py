"""Transformer classifier of bracket strings (well-formed, or which kind of error)."""

import random
import torch
import torch.nn as nn

random.seed(64)
torch.manual_seed(64)
L = 20


def make():
    k = random.randrange(3)
    s = [random.choice("abcd") for _ in range(L)]
    i, j = sorted(random.sample(range(L), 2))
    s[i], s[j] = {0: "()", 1: ")(", 2: "(("}[k]
    return s, k


VOC = {c: i for i, c in enumerate("abcd()")}


def batch(n):
    rows = [make() for _ in range(n)]
    return torch.tensor([[VOC[c] for c in s] for s, _ in rows]), torch.tensor([k for _, k in rows])


class Net(nn.Module):
    def __init__(self, d=32):
        super().__init__()
        self.e = nn.Embedding(6, d)
        self.p = nn.Embedding(L, d)
        self.t = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(d, 4, 64, dropout=0.0, batch_first=True), 2
        )
        self.c = nn.Linear(d, 3)

    def forward(self, x):
        return self.c(self.t(self.e(x) + self.p(torch.arange(x.size(1)))).mean(1))


net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=5e-2)
ce = nn.CrossEntropyLoss()
avg = 1.1
for step in range(600):
    x, y = batch(64)
    loss = ce(net(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    avg = 0.98 * avg + 0.02 * loss.item()
    if step % 60 == 0:
        print("step", step, "loss", loss.item())
x, y = batch(1000)
with torch.no_grad():
    print("accuracy", (net(x).argmax(1) == y).float().mean().item(), "loss", ce(net(x), y).item())
