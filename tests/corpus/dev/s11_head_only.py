"""Reuse a trunk trained on digits 0-4 and fit a new head for digits 5-9."""

import torch
from sklearn.datasets import load_digits
from torch import nn


def make_trunk():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 16, 64),
        nn.ReLU(),
    )


def fit(parameters, forward, images, labels, steps, lr):
    opt = torch.optim.Adam(parameters, lr=lr)
    for _ in range(steps):
        pick = torch.randint(0, len(images), (64,))
        loss = nn.functional.cross_entropy(forward(images[pick]), labels[pick])
        opt.zero_grad()
        loss.backward()
        opt.step()
    return loss.item()


def main():
    torch.manual_seed(4)
    data = load_digits()
    images = torch.tensor(data.images, dtype=torch.float32)[:, None] / 16 - 0.3
    labels = torch.tensor(data.target)
    low, high = labels < 5, labels >= 5

    trunk, first_head = make_trunk(), nn.Linear(64, 5)
    both = list(trunk.parameters()) + list(first_head.parameters())
    fit(both, lambda z: first_head(trunk(z)), images[low], labels[low], 120, 2e-3)

    for p in trunk.parameters():
        p.requires_grad_(False)
    trunk.eval()
    head = nn.Linear(64, 5)
    xs, ys = images[high], labels[high] - 5
    final = fit(head.parameters(), lambda z: head(trunk(z)), xs[:700], ys[:700], 700, 2e-2)
    with torch.no_grad():
        hits = (head(trunk(xs[700:])).argmax(1) == ys[700:]).float().mean().item()
    print(f"last loss {final:.4f}, new-task accuracy {hits:.4f}")


if __name__ == "__main__":
    main()
