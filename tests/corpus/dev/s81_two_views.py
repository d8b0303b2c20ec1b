"""Learn features of digits from two noisy views of each."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 32))

    def forward(self, x):
        return self.net(x)


def views(x):
    return [x * (torch.rand_like(x) > 0.2) + 0.1 * torch.randn_like(x) for _ in range(2)]


def agreement(a, b):
    return F.mse_loss(a, b)


torch.manual_seed(0)
d = load_digits()
x = torch.tensor(d.data).float() / 16
enc = Encoder()
opt = torch.optim.Adam(enc.parameters(), lr=1e-3)
for epoch in range(20):
    for i in torch.randperm(1400).split(100):
        a, b = views(x[i])
        loss = agreement(enc(a), enc(b))
        opt.zero_grad()
        loss.backward()
        opt.step()
with torch.no_grad():
    z = enc(x)
    z = z.numpy()
probe = LogisticRegression(max_iter=200).fit(z[:1400], d.target[:1400])
print("probe accuracy", probe.score(z[1400:], d.target[1400:]))
