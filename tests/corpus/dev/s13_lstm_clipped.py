"""Word-piece style LSTM language model over standard-library docstrings, norm-limited steps."""

import collections
import itertools
import re
import textwrap

import torch
from torch import nn

torch.manual_seed(21)
sources = (collections, itertools, re, textwrap)
text = " ".join(" ".join((m.__doc__ or "").split()) for m in sources)
text = (text * 2)[:6000]
vocab = sorted(set(text))
stream = torch.tensor([vocab.index(c) for c in text])
n_cols = 20
rows = len(stream) // n_cols
stream = stream[: rows * n_cols].view(n_cols, rows)


class LM(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.embed = nn.Embedding(n, 32)
        self.lstm = nn.LSTM(32, 96, batch_first=True)
        self.decode = nn.Linear(96, n)

    def forward(self, ids, state):
        h, state = self.lstm(self.embed(ids), state)
        return self.decode(h), state


model = LM(len(vocab))
opt = torch.optim.SGD(model.parameters(), lr=4.0)
bptt = 30
clip = 0.25
for epoch in range(40):
    state, total, count = None, 0.0, 0
    for i in range(0, rows - 1 - bptt, bptt):
        inputs = stream[:, i : i + bptt]
        targets = stream[:, i + 1 : i + 1 + bptt]
        logits, state = model(inputs, state)
        state = tuple(s.detach() for s in state)
        loss = nn.functional.cross_entropy(logits.reshape(-1, len(vocab)), targets.reshape(-1))
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), clip)
        opt.step()
        total += loss.item()
        count += 1
    if epoch % 10 == 9:
        print(f"| epoch {epoch + 1:3d} | loss {total / count:5.2f} |")
final = total / count
