"""Train on upright digits, then adapt gently to slightly shifted and noisy ones."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 3, padding=1)
        self.norm = nn.GroupNorm(4, 16)
        self.fc1 = nn.Linear(16 * 16, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm(self.conv(x))), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


def run(model, x, y, steps, lr):
    opt = torch.optim.Adam(model.parameters(), lr=lr)
    for _ in range(steps):
        rows = torch.randint(0, len(x), (32,))
        loss = F.cross_entropy(model(x[rows]), y[rows])
        opt.zero_grad()
        loss.backward()
        opt.step()
        yield loss.item()


def score(model, x, y):
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


def main():
    torch.manual_seed(9)
    digits = load_digits()
    x = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16 - 0.3
    y = torch.tensor(digits.target)
    shifted = torch.roll(x, 1, dims=3) + 0.1 * torch.randn_like(x)
    model = Net()
    first = list(run(model, x[:1400], y[:1400], 300, 2e-3))
    before = score(model, shifted[1400:], y[1400:])
    second = list(run(model, shifted[:1400], y[:1400], 900, 2e-4))
    after = score(model, shifted[1400:], y[1400:])
    print("phase one", first[0], sum(first[-50:]) / 50)
    print("phase two", sum(second[:20]) / 20, sum(second[-50:]) / 50)
    print(f"shifted accuracy {before:.4f} -> {after:.4f}")


if __name__ == "__main__":
    main()
