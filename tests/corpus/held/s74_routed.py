"""Router that sends each row to one of eight small experts; regression on regimes."""

import torch
from torch import nn


class Routed(nn.Module):
    def __init__(self, n_in=6, n_experts=8, width=16):
        super().__init__()
        self.router = nn.Linear(n_in, n_experts)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(n_in, width), nn.ReLU(), nn.Linear(width, 1))
            for _ in range(n_experts)
        )

    def forward(self, x):
        weight, choice = self.router(x).softmax(-1).max(-1)
        out = torch.zeros(len(x))
        for k, expert in enumerate(self.experts):
            rows = (choice == k).nonzero().squeeze(1)
            if len(rows):
                out = out.index_add(0, rows, expert(x[rows]).squeeze(1) * weight[rows])
        return out


def regimes(x):
    up = (x[:, 0] > 0).float()
    return up * (x[:, 1] + x[:, 2]) + (1 - up) * (x[:, 3] - x[:, 4]).abs()


def main():
    torch.manual_seed(70)
    x = torch.randn(4000, 6)
    y = regimes(x) + 0.05 * torch.randn(4000)
    model = Routed()
    opt = torch.optim.Adam(model.parameters(), lr=8e-3)
    for step in range(1500):
        rows = torch.randint(0, 3500, (32,))
        loss = nn.functional.mse_loss(model(x[rows]), y[rows])
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 200 == 199:
            print(f"step {step + 1}, loss {loss.item():.4f}")
    with torch.no_grad():
        rest = nn.functional.mse_loss(model(x[3500:]), y[3500:]) / y[3500:].var()
    print(f"unexplained variance {rest.item():.4f}")


if __name__ == "__main__":
    main()
