"""Train a small MLP on the digits with an exponential schedule."""

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


def get_args():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=0.02)
    parser.add_argument("--gamma", type=float, default=0.85)
    return parser.parse_args()


def main():
    args = get_args()
    torch.manual_seed(99)
    digits = load_digits()
    x = torch.tensor(digits.data, dtype=torch.float32) / 16 - 0.3
    dataset = TensorDataset(x, torch.tensor(digits.target))
    train, test = random_split(dataset, [1400, len(dataset) - 1400])
    loader = DataLoader(train, batch_size=args.batch, shuffle=True)
    model = nn.Sequential(
        nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10)
    )
    opt = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(opt, gamma=args.gamma)
    for epoch in range(args.epochs):
        for xb, yb in loader:
            loss = nn.functional.cross_entropy(model(xb), yb)
            opt.zero_grad()
            loss.backward()
            opt.step()
            scheduler.step()
        print(f"epoch {epoch + 1}/{args.epochs} loss {loss.item():.4f}")
    xs, ys = (torch.stack(v) for v in zip(*test))
    accuracy = (model(xs).argmax(1) == ys).float().mean().item()
    print(f"test accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main()
