"""Tabular classifier with batch-norm layers; validation before and between epochs."""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn


def block(n_in, n_out):
    return nn.Sequential(nn.Linear(n_in, n_out), nn.BatchNorm1d(n_out), nn.Sigmoid())


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(*[block(64, 64) for _ in range(5)])
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        return self.head(self.body(x))


def validate(model, x, y):
    model.eval()
    with torch.no_grad():
        logits = model(x)
        accuracy = (logits.argmax(1) == y).float().mean().item()
        return nn.functional.cross_entropy(logits, y).item(), accuracy


def train_epoch(model, optimizer, x, y):
    for batch in torch.randperm(len(x)).split(64):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
        optimizer.step()


def main():
    torch.manual_seed(6)
    x, y = load_digits(return_X_y=True)
    x = torch.tensor((x - x.mean()) / x.std(), dtype=torch.float32)
    y = torch.tensor(y)
    xa, xb, ya, yb = train_test_split(x, y, test_size=0.2, random_state=0)
    model = Net()
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    print("before: loss %.4f accuracy %.3f" % validate(model, xb, yb))
    for epoch in range(15):
        train_epoch(model, optimizer, xa, ya)
        print(f"epoch {epoch}: loss %.4f accuracy %.3f" % validate(model, xb, yb))


if __name__ == "__main__":
    main()
