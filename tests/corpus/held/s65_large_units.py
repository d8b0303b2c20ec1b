"""Predict annual revenue in dollars; the network itself works in standard units."""

import torch
from torch import nn


class RevenueModel(nn.Module):
    def __init__(self, mean, std):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.body = nn.Sequential(
            nn.Linear(6, 40), nn.SiLU(), nn.Linear(40, 40), nn.SiLU(), nn.Linear(40, 1)
        )

    def forward(self, x):
        return self.body(x).squeeze(1)

    def dollars(self, x):
        return self(x) * self.std + self.mean


def main():
    torch.manual_seed(33)
    x = torch.randn(3000, 6)
    revenue = 4.0e7 + 9.0e6 * (x[:, 0] + torch.sin(2 * x[:, 1]) + 0.5 * x[:, 2] * x[:, 3])
    revenue = revenue + 5.0e5 * torch.randn(3000)
    model = RevenueModel(revenue[:2500].mean(), revenue[:2500].std())
    opt = torch.optim.Adam(model.parameters(), lr=3e-3)
    for step in range(1200):
        rows = torch.randint(0, 2500, (64,))
        target = (revenue[rows] - model.mean) / model.std
        loss = (model(x[rows]) - target).square().mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 200 == 0:
            with torch.no_grad():
                dollar_mse = (model.dollars(x[:2500]) - revenue[:2500]).square().mean().item()
            print(f"step {step:4d} squared-dollar loss {dollar_mse:.3e}")
    with torch.no_grad():
        residual = (model.dollars(x[2500:]) - revenue[2500:]).square().mean()
    print(f"unexplained {(residual / revenue[2500:].var()).item():.4f}")


if __name__ == "__main__":
    main()
