"""Digits classifier wrapped in a Trainer class."""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Config:
    lr: float = 1e-5
    momentum: float = 0.9
    epochs: int = 12
    batch_size: int = 48
    seed: int = 42


class Trainer:
    def __init__(self, model, config):
        self.model = model
        self.config = config
        self.optimizer = torch.optim.SGD(model.parameters(), lr=config.lr, momentum=config.momentum)
        self.criterion = nn.CrossEntropyLoss()
        self.log = []

    def step(self, images, labels):
        self.optimizer.zero_grad()
        loss = self.criterion(self.model(images), labels)
        loss.backward()
        self.optimizer.step()
        return loss.detach().item()

    def fit(self, loader):
        self.model.train()
        for epoch in range(self.config.epochs):
            losses = [self.step(a, b) for a, b in loader]
            self.log.append(float(np.mean(losses)))
            print(f"epoch={epoch} loss={self.log[-1]:.4f}")

    @torch.no_grad()
    def score(self, images, labels):
        self.model.eval()
        return (self.model(images).argmax(1) == labels).float().mean().item()


def build():
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1),
        nn.BatchNorm2d(24),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(24 * 16, 10),
    )


if __name__ == "__main__":
    config = Config()
    torch.manual_seed(config.seed)
    raw = load_digits()
    images = ((raw.images - raw.images.mean()) / raw.images.std()).astype("float32")[:, None]
    parts = train_test_split(images, raw.target, test_size=0.2, random_state=config.seed)
    xa, xb, ya, yb = (torch.from_numpy(p) for p in parts)
    trainer = Trainer(build(), config)
    trainer.fit(DataLoader(TensorDataset(xa, ya), batch_size=config.batch_size, shuffle=True))
    accuracy = trainer.score(xb, yb)
    print(f"accuracy={accuracy:.4f}")
