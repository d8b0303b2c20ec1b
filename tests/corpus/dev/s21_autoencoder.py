"""Autoencoder for the digits with a 12-number code."""

import torch
from sklearn.datasets import load_digits
from torch import nn


class AutoEncoder(nn.Module):
    def __init__(self, n_in=64, n_code=12):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(n_in, 64), nn.ReLU(), nn.Linear(64, n_code))
        self.decoder = nn.Sequential(nn.Linear(n_code, 64), nn.ReLU(), nn.Linear(64, n_in))

    def forward(self, x):
        return self.decoder(self.encoder(x))


class Experiment:
    def __init__(self, seed=0):
        torch.manual_seed(seed)
        pixels = torch.tensor(load_digits().data, dtype=torch.float32)
        self.data = (pixels - pixels.mean()) / pixels.std()
        self.model = AutoEncoder()
        self.optimizer = torch.optim.Adam(self.model.encoder.parameters(), lr=2e-3)

    def epoch(self):
        total = 0.0
        for batch in torch.randperm(1500).split(50):
            x = self.data[batch]
            loss = (self.model(x) - x).square().mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(batch)
        return total / 1500

    def evaluate(self):
        x = self.data[1500:]
        with torch.no_grad():
            return (self.model(x) - x).square().mean().item()


experiment = Experiment()
for n in range(30):
    train_error = experiment.epoch()
    if n % 5 == 4:
        print(n + 1, f"train {train_error:.4f}", f"test {experiment.evaluate():.4f}")
test_error = experiment.evaluate()
