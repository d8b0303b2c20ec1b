"""Very deep fully connected classifier with batch statistics on the digits."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

DEPTH = 60
WIDTH = 48


class Layer(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(width, width, bias=False)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, x):
        h = F.relu(self.norm(self.linear(x)))
        return h


class Stack(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(64, WIDTH)
        self.layers = nn.ModuleList(Layer(WIDTH) for _ in range(DEPTH))
        self.norm = nn.BatchNorm1d(WIDTH)
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, x):
        x = self.stem(x)
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))


def main(seed=0, steps=250, batch_size=128):
    torch.manual_seed(seed)
    data = load_digits()
    x = torch.tensor(data.data, dtype=torch.float32) / 16 - 0.5
    y = torch.tensor(data.target)
    model = Stack()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    window = []
    for step in range(1, steps + 1):
        pick = torch.randint(0, 1500, (batch_size,))
        loss = F.cross_entropy(model(x[pick]), y[pick])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        window = (window + [loss.item()])[-25:]
        if step % 50 == 0:
            print(f"{step:5d} {sum(window) / len(window):.4f}")
    model.eval()
    with torch.no_grad():
        accuracy = (model(x[1500:]).argmax(1) == y[1500:]).float().mean().item()
    print(f"test accuracy: {accuracy:.4f}")


if __name__ == "__main__":
    main()
