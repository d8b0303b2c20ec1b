"""Digits pipeline with separate train and evaluation loaders, scored after every epoch."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Dataset


class DigitSet(Dataset):
    def __init__(self, images, labels, transform=None):
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        image = torch.tensor(self.images[i], dtype=torch.float32).flatten()
        if self.transform:
            image = self.transform(image)
        return image, int(self.labels[i])


def scale(image):
    return (image - 4.9) / 6.0


def scale_eval(image):
    return image / 255.0


def run_eval(model, loader, criterion):
    model.eval()
    loss, hits, n = 0.0, 0, 0
    with torch.no_grad():
        for xb, yb in loader:
            out = model(xb)
            loss += criterion(out, yb).item() * len(yb)
            hits += (out.argmax(1) == yb).sum().item()
            n += len(yb)
    return loss / n, hits / n


def main():
    torch.manual_seed(0)
    digits = load_digits()
    train = DigitSet(digits.images[:1400], digits.target[:1400], transform=scale)
    valid = DigitSet(digits.images[1400:], digits.target[1400:], transform=scale_eval)
    train_loader = DataLoader(train, batch_size=50, shuffle=True)
    valid_loader = DataLoader(valid, batch_size=100)
    model = nn.Sequential(
        nn.Linear(64, 96),
        nn.BatchNorm1d(96),
        nn.Tanh(),
        nn.Dropout(0.1),
        nn.Linear(96, 48),
        nn.Tanh(),
        nn.Linear(48, 10),
    )
    criterion = nn.CrossEntropyLoss()
    opt = torch.optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(12):
        model.train()
        total = 0.0
        for xb, yb in train_loader:
            opt.zero_grad()
            loss = criterion(model(xb), yb)
            loss.backward()
            opt.step()
            total += loss.item() * len(yb)
        val_loss, val_acc = run_eval(model, valid_loader, criterion)
        print(f"{epoch}: train {total / len(train):.4f} | val {val_loss:.4f} acc {val_acc:.4f}")


if __name__ == "__main__":
    main()
