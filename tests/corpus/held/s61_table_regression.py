"""Regression on a synthetic table."""

import torch
from sklearn.datasets import make_regression
from torch import nn
from torch.utils.data import DataLoader


def main():
    torch.manual_seed(44)
    x, y = make_regression(n_samples=4000, n_features=8, noise=5.0, random_state=3)
    x = torch.tensor(x, dtype=torch.float32)
    y = torch.tensor((y - y.mean()) / y.std(), dtype=torch.float32)
    inputs = DataLoader(x[:3500], batch_size=50, shuffle=True)
    targets = DataLoader(y[:3500], batch_size=50, shuffle=True)
    model = nn.Sequential(
        nn.Linear(8, 32),
        nn.LayerNorm(32),
        nn.SiLU(),
        nn.Linear(32, 32),
        nn.SiLU(),
        nn.Linear(32, 1),
    )
    opt = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for epoch in range(10):
        total = 0.0
        for xb, yb in zip(inputs, targets):
            loss = nn.functional.mse_loss(model(xb).squeeze(1), yb)
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item()
        print(f"epoch {epoch + 1}, mse {total / len(inputs):.4f}")
    with torch.no_grad():
        r2 = 1 - (model(x[3500:]).squeeze(1) - y[3500:]).square().mean() / y[3500:].var()
    print(f"r2 {r2.item():.4f}")


if __name__ == "__main__":
    main()
