"""Sum a noisy sequence with a residual recurrent net."""

import torch
from torch import nn

torch.manual_seed(0)


class Integrate(nn.Module):
    def __init__(self, n=24):
        super().__init__()
        self.f = nn.Sequential(nn.Linear(n, n), nn.GELU(), nn.Linear(n, n))
        self.inp, self.out = nn.Linear(1, n), nn.Linear(n, 1)

    def forward(self, x):
        h = torch.zeros(x.shape[0], 24)
        for t in range(x.shape[1]):
            h = h + 0.1 * self.f(h) + self.inp(x[:, t])
        return self.out(h)


net = Integrate()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for it in range(700):
    x = torch.randn(64, 40, 1)
    y = x.sum(1) / 6
    loss = (net(x) - y).square().mean()
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    opt.step()
print("last loss", loss.item())
