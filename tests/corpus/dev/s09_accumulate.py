"""GRU text classifier (which module a line of text comes from), several micro-batches a step."""

import argparse as mod_a
import json as mod_b
import random

import torch
from torch import nn

MICRO = 8
ACCUM = 4


def load_lines():
    pairs = []
    for label, module in enumerate((mod_a, mod_b)):
        with open(module.__file__) as handle:
            lines = [line.strip() for line in handle if len(line.strip()) > 15]
        pairs += [(line[:40], label) for line in lines[:260]]
    return pairs


def encode(pairs):
    ids = torch.zeros(len(pairs), 40, dtype=torch.long)
    for i, (line, _) in enumerate(pairs):
        for j, ch in enumerate(line):
            ids[i, j] = min(ord(ch), 127)
    return ids, torch.tensor([label for _, label in pairs])


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(128, 24)
        self.gru = nn.GRU(24, 48, batch_first=True)
        self.out = nn.Linear(48, 2)

    def forward(self, ids):
        states, _ = self.gru(self.emb(ids))
        return self.out(states.mean(1))


random.seed(0)
torch.manual_seed(0)
pairs = load_lines()
random.shuffle(pairs)
ids, labels = encode(pairs)
model = Classifier()
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
loss_fn = nn.CrossEntropyLoss()

tracked = []
optimizer.zero_grad()
for epoch in range(18):
    order = torch.randperm(len(ids))
    for i, chunk in enumerate(order.split(MICRO)):
        loss = loss_fn(model(ids[chunk]), labels[chunk])
        (loss / ACCUM).backward()
        tracked.append(loss.item())
        if (i + 1) % ACCUM == 0:
            optimizer.step()
            optimizer.zero_grad()
    print(f"epoch {epoch}: {sum(tracked[-60:]) / 60:.4f}")

with torch.no_grad():
    accuracy = (model(ids).argmax(1) == labels).float().mean().item()
print("training accuracy", accuracy)
