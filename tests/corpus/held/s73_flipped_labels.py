"""LSTM sentiment-like classifier where a fifth of the labels are wrong."""

import torch
from torch import nn


class Sentiment(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(200, 24)
        self.lstm = nn.LSTM(24, 32, batch_first=True)
        self.vote = nn.Linear(32, 2)

    def forward(self, ids):
        out, _ = self.lstm(self.words(ids))
        return self.vote(out.mean(1))


class Stream:
    def __init__(self, flip):
        self.polarity = torch.randn(200)
        self.flip = flip

    def draw(self, n):
        ids = torch.randint(0, 200, (n, 16))
        truth = (self.polarity[ids].sum(1) > 0).long()
        wrong = torch.rand(n) < self.flip
        return ids, torch.where(wrong, 1 - truth, truth), truth


class Trainer:
    def __init__(self):
        self.model = Sentiment()
        self.opt = torch.optim.Adam(self.model.parameters(), lr=5e-3)
        self.stream = Stream(flip=0.2)

    def train(self, steps):
        total = 0.0
        for step in range(1, steps + 1):
            ids, label, _ = self.stream.draw(64)
            loss = nn.functional.cross_entropy(self.model(ids), label)
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            total += loss.item()
            if step % 200 == 0:
                print(f"{step:5d} | {total / 200:.4f}")
                total = 0.0

    def accuracy(self):
        ids, _, truth = self.stream.draw(2000)
        with torch.no_grad():
            return (self.model(ids).argmax(1) == truth).float().mean().item()


if __name__ == "__main__":
    torch.manual_seed(61)
    trainer = Trainer()
    trainer.train(1200)
    print(f"accuracy against the true labels {trainer.accuracy():.4f}")
