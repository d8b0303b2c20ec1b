"""Gated feed-forward regressor on the diabetes table."""

import torch
from sklearn.datasets import load_diabetes
from torch import nn


class GatedLayer(nn.Module):
    def __init__(self, n_in, n_out, temperature):
        super().__init__()
        self.value = nn.Linear(n_in, n_out)
        self.gate = nn.Linear(n_in, n_out)
        self.temperature = temperature

    def forward(self, x):
        return torch.tanh(self.value(x) / self.temperature) * torch.sigmoid(
            self.gate(x) / self.temperature
        )


class Regressor(nn.Module):
    def __init__(self, n_in, width=48, temperature=0.02):
        super().__init__()
        self.first = GatedLayer(n_in, width, temperature)
        self.second = GatedLayer(width, width, temperature)
        self.third = GatedLayer(width, width, temperature)
        self.out = nn.Linear(width, 1)

    def forward(self, x):
        return self.out(self.third(self.second(self.first(x)))).squeeze(-1)


def surface(x):
    return torch.sin(1.5 * x[:, 0]) + x[:, 1] * x[:, 2] + 0.5 * x[:, 3] ** 2 - 0.5


if __name__ == "__main__":
    torch.manual_seed(5)
    base = torch.tensor(load_diabetes().data[:, :4]).float()
    base = (base - base.mean(0)) / base.std(0)
    x = base.repeat(5, 1) + 0.3 * torch.randn(5 * len(base), 4)
    y = surface(x)
    y = (y - y.mean()) / y.std()
    perm = torch.randperm(len(x))
    tr, va = perm[:1800], perm[1800:]
    model = Regressor(4)
    opt = torch.optim.RMSprop(model.parameters(), lr=1e-3)
    for epoch in range(30):
        for batch in tr[torch.randperm(len(tr))].split(60):
            loss = nn.functional.mse_loss(model(x[batch]), y[batch])
            opt.zero_grad()
            loss.backward()
            opt.step()
        if epoch % 6 == 5:
            with torch.no_grad():
                val = nn.functional.mse_loss(model(x[va]), y[va]).item()
            print(f"epoch {epoch + 1} train {loss.item():.4f} valid {val:.4f}")
