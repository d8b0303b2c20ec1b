"""CNN with batch norm on the digits, checked on a validation split every epoch."""

import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset


def conv_block(c_in, c_out):
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, 3, padding=1),
        nn.BatchNorm2d(c_out, momentum=1e-4),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(conv_block(1, 16), conv_block(16, 32), conv_block(32, 64))
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        return self.fc(self.blocks(x).flatten(1))


def evaluate(model, loader):
    model.eval()
    with torch.no_grad():
        return sum((model(x).argmax(1) == y).sum().item() for x, y in loader) / len(loader.dataset)


def main():
    torch.manual_seed(7)
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
    labels = torch.tensor(digits.target)
    ia, ib = train_test_split(torch.arange(len(labels)), test_size=0.2, random_state=7)
    train = DataLoader(TensorDataset(images[ia], labels[ia]), batch_size=64, shuffle=True)
    valid = DataLoader(TensorDataset(images[ib], labels[ib]), batch_size=128)
    model = ConvNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    loss_fn = nn.CrossEntropyLoss()
    for epoch in range(10):
        model.train()
        running = 0.0
        for x, y in train:
            optimizer.zero_grad()
            loss = loss_fn(model(x), y)
            loss.backward()
            optimizer.step()
            running += loss.item() * len(x)
        accuracy = evaluate(model, valid)
        print(f"epoch {epoch}: train loss {running / len(ia):.4f}, val accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main()
