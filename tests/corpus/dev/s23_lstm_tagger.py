"""LSTM that tags each position with the parity class of a running counter."""

import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_


class Tagger(nn.Module):
    def __init__(self, vocab=8, width=32, classes=3):
        super().__init__()
        self.embedding = nn.Embedding(vocab, width)
        self.lstm = nn.LSTM(width, 64, batch_first=True)
        self.linear = nn.Linear(64, classes)

    def forward(self, tokens):
        features, _ = self.lstm(self.embedding(tokens))
        return self.linear(features)


def batch(n=48, length=16):
    tokens = torch.randint(0, 8, (n, length))
    previous = torch.cat([torch.zeros(n, 1, dtype=torch.long), tokens[:, :-1]], 1)
    return tokens, (tokens + previous) % 3


def main():
    torch.manual_seed(77)
    model = Tagger()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    max_norm = 1e-3
    losses = []
    for step in range(600):
        tokens, tags = batch()
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(tokens).transpose(1, 2), tags)
        loss.backward()
        clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()
        losses.append(loss.item())
    for i in range(0, 600, 100):
        print(i, f"{sum(losses[i : i + 100]) / 100:.4f}")
    print("last:", sum(losses[-20:]) / 20)


if __name__ == "__main__":
    main()
