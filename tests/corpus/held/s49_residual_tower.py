"""Residual fully connected tower on the digits."""

import torch
from sklearn.datasets import load_digits
from torch import nn


class ResidualUnit(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.up = nn.Linear(width, width)
        self.down = nn.Linear(width, width)
        nn.init.kaiming_normal_(self.up.weight)
        nn.init.kaiming_normal_(self.down.weight)

    def forward(self, x):
        branch = self.down(torch.relu(self.up(x)))
        return x + branch


def build(width=64, depth=16):
    units = [ResidualUnit(width) for _ in range(depth)]
    return nn.Sequential(nn.Linear(64, width), *units, nn.ReLU(), nn.Linear(width, 10))


def main():
    torch.manual_seed(31)
    digits = load_digits()
    x = torch.tensor(digits.data, dtype=torch.float32)
    x = (x - x.mean()) / x.std()
    y = torch.tensor(digits.target)
    net = build()
    opt = torch.optim.Adam(net.parameters(), lr=1e-3)
    for epoch in range(12):
        losses = []
        for idx in torch.randperm(1400).split(50):
            loss = nn.functional.cross_entropy(net(x[idx]), y[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
            losses.append(loss.item())
        print(f"epoch {epoch:2d} mean loss {sum(losses) / len(losses):.4g}")
    with torch.no_grad():
        logits = net(x[1400:])
        acc = (logits.argmax(1) == y[1400:]).float().mean().item()
        print(f"test loss {nn.functional.cross_entropy(logits, y[1400:]).item():.4f} acc {acc:.4f}")


if __name__ == "__main__":
    main()
