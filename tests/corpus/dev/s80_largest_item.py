"""Find the largest item of a short set, with feed-forward blocks on a stream."""

import torch
from torch import nn
import torch.nn.functional as F


class FF(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.up = nn.Linear(d, 4 * d)
        self.down = nn.Linear(4 * d, d)
        nn.init.kaiming_normal_(self.up.weight)
        nn.init.kaiming_normal_(self.down.weight)

    def forward(self, x):
        return self.down(F.relu(self.up(x)))


class Mixer(nn.Module):
    def __init__(self, v=30, d=32, n=14):
        super().__init__()
        self.emb = nn.Embedding(v, d)
        self.ffs = nn.ModuleList(FF(d) for _ in range(n))
        self.head = nn.Linear(d, v)

    def forward(self, s):
        x = self.emb(s)
        for ff in self.ffs:
            x = x + ff(x)
        return self.head(x.mean(1))


def draw(n, gen):
    s = torch.randint(0, 30, (n, 6), generator=gen)
    return s, s.max(1).values


gen = torch.Generator().manual_seed(0)
torch.manual_seed(0)
net = Mixer()
opt = torch.optim.AdamW(net.parameters(), lr=1e-3)
for step in range(400):
    s, y = draw(128, gen)
    loss = F.cross_entropy(net(s), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 100 == 0:
        print(step, loss.item())
s, y = draw(2000, gen)
with torch.no_grad():
    print("held-out loss", F.cross_entropy(net(s), y).item())
