"""Guess which of five standard-library modules a docstring fragment was cut from."""

import argparse
import inspect
import json
import logging
import random
import string
import textwrap

import torch
import torch.nn as nn
import torch.nn.functional as F

MODULES = (argparse, json, logging, random, textwrap)
ALPHABET = {c: i + 1 for i, c in enumerate(string.printable)}
LENGTH = 48


class FragmentClassifier(nn.Module):
    def __init__(self, n_classes, width=64):
        super().__init__()
        self.embed = nn.Embedding(len(ALPHABET) + 1, 32)
        self.gru = nn.GRU(32, width, batch_first=True, bidirectional=True)
        self.norm = nn.LayerNorm(2 * width)
        self.head = nn.Linear(2 * width, n_classes)
        nn.init.normal_(self.head.weight, std=4.0)
        nn.init.zeros_(self.head.bias)

    def forward(self, ids):
        states, _ = self.gru(self.embed(ids))
        return self.head(self.norm(states.max(dim=1).values))


def main():
    torch.manual_seed(0)
    sources = []
    for module in MODULES:
        text = " ".join(inspect.getsource(module).split())[:12000]
        sources.append(torch.tensor([ALPHABET.get(c, 0) for c in text]))

    def draw(n, low, high):
        label = torch.randint(0, len(sources), (n,))
        start = torch.randint(low, high, (n,))
        rows = [sources[k][s : s + LENGTH] for k, s in zip(label.tolist(), start.tolist())]
        return torch.stack(rows), label

    model = FragmentClassifier(len(sources))
    opt = torch.optim.Adam(model.parameters(), lr=1e-3)
    for step in range(250):
        ids, label = draw(48, 0, 9000)
        loss = F.cross_entropy(model(ids), label)
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 25 == 0:
            print(f"{step:4d} loss {loss.item():.3f}")
    with torch.no_grad():
        ids, label = draw(600, 0, 9000)
        logits = model(ids)
        print(f"fresh-fragment loss {F.cross_entropy(logits, label).item():.4f}")
        print(f"fresh-fragment accuracy {(logits.argmax(1) == label).float().mean().item():.4f}")


if __name__ == "__main__":
    main()
