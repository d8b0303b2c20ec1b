"""Digits with per-pixel standardisation and a two-layer net."""

import torch
from sklearn.datasets import load_digits
from torch import nn


def load():
    data, target = load_digits(return_X_y=True)
    x = torch.tensor(data, dtype=torch.float32)
    x = (x - x.mean(dim=0)) / x.std(dim=0)
    return x, torch.tensor(target)


class TwoLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 96)
        self.fc2 = nn.Linear(96, 10)

    def forward(self, x):
        return self.fc2(nn.functional.relu(self.fc1(x)))


def main():
    torch.manual_seed(0)
    x, y = load()
    model = TwoLayer()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for step in range(500):
        rows = torch.randint(0, 1500, (64,))
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        accuracy = (model(x[1500:]).argmax(1) == y[1500:]).float().mean().item()
    print(f"final accuracy: {accuracy:.4f}")


if __name__ == "__main__":
    main()
