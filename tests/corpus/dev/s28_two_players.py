"""Generator and critic on a two-dimensional ring, alternating updates."""

import torch
from torch import nn

torch.manual_seed(3)


def real(n):
    angle = torch.rand(n) * 6.2831853
    return torch.stack([angle.cos(), angle.sin()], 1) * 2 + 0.05 * torch.randn(n, 2)


G = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
D = nn.Sequential(
    nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1)
)
opt_g = torch.optim.Adam(G.parameters(), lr=1e-3, betas=(0.5, 0.99))
opt_d = torch.optim.Adam(D.parameters(), lr=1e-3, betas=(0.5, 0.99))
bce = nn.BCEWithLogitsLoss()
ones, zeros = torch.ones(128, 1), torch.zeros(128, 1)

for it in range(1200):
    fake = G(torch.randn(128, 8))
    d_loss = bce(D(real(128)), ones) + bce(D(fake.detach()), zeros)
    opt_d.zero_grad()
    d_loss.backward()
    opt_d.step()

    g_loss = bce(D(G(torch.randn(128, 8))), ones)
    opt_g.zero_grad()
    g_loss.backward()
    opt_g.step()
    if it % 200 == 0:
        print(f"it {it} d {d_loss.item():.3f} g {g_loss.item():.3f}")

with torch.no_grad():
    radius = G(torch.randn(2000, 8)).norm(dim=1)
ring_error = (radius - 2).abs().mean().item()
print("mean distance from the ring", ring_error)
