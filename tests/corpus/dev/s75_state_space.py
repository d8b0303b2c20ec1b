"""Fit a linear state-space model to a leaky sum of its inputs."""

import torch
from torch import nn, optim


class LinearCell(nn.Module):
    def __init__(self, k, n):
        super().__init__()
        self.a = nn.Parameter(torch.linalg.qr(torch.randn(n, n))[0] * 1.12)
        self.b = nn.Linear(k, n, bias=False)

    def forward(self, h, u):
        return nn.functional.linear(h, self.a) + self.b(u)


class StateSpace(nn.Module):
    def __init__(self, k=1, n=16):
        super().__init__()
        self.cell = LinearCell(k, n)
        self.read = nn.Linear(n, 1)
        self.n = n

    def forward(self, us):
        h = us.new_zeros(len(us), self.n)
        ys = []
        for u in us.unbind(1):
            h = self.cell(h, u)
            ys.append(self.read(h))
        return torch.cat(ys, 1)


def data(n, gen):
    u = torch.randn(n, 60, 1, generator=gen)
    y = torch.zeros(n, 60)
    s = torch.zeros(n)
    for t in range(60):
        s = 0.8 * s + u[:, t, 0]
        y[:, t] = s
    return u, y


def run():
    torch.manual_seed(0)
    gen = torch.Generator().manual_seed(7)
    net = StateSpace()
    opt = optim.Adam(net.parameters(), lr=1e-3)
    for i in range(400):
        u, y = data(32, gen)
        loss = nn.functional.smooth_l1_loss(net(u), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
    u, y = data(200, gen)
    with torch.no_grad():
        print("huber loss", nn.functional.smooth_l1_loss(net(u), y).item())


run()
