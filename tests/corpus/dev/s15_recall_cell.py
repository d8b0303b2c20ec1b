"""Remember the first symbol of a sequence and report it at the end."""

import torch
from torch import nn

torch.manual_seed(9)
SYMBOLS, LENGTH, HIDDEN, BATCH = 6, 60, 64, 64

embed = nn.Embedding(SYMBOLS + 1, 16)
cell = nn.RNNCell(16, HIDDEN)
readout = nn.Linear(HIDDEN, SYMBOLS)
nn.init.xavier_uniform_(cell.weight_ih, gain=0.3)
nn.init.orthogonal_(cell.weight_hh, gain=0.5)
nn.init.zeros_(cell.bias_ih)
nn.init.zeros_(cell.bias_hh)

modules = nn.ModuleList([embed, cell, readout])
opt = torch.optim.Adam(modules.parameters(), lr=1e-3)


def sample(n):
    first = torch.randint(0, SYMBOLS, (n,))
    seq = torch.full((n, LENGTH), SYMBOLS)
    seq[:, 0] = first
    return seq, first


correct = []
for step in range(600):
    seq, first = sample(BATCH)
    vectors = embed(seq)
    h = torch.zeros(BATCH, HIDDEN)
    for t in range(LENGTH):
        h = cell(vectors[:, t], h)
    logits = readout(h)
    loss = nn.functional.cross_entropy(logits, first)
    opt.zero_grad()
    loss.backward()
    opt.step()
    correct.append((logits.argmax(1) == first).float().mean().item())
    if step % 100 == 99:
        print(f"step {step + 1} loss {loss.item():.4f} acc {sum(correct[-50:]) / 50:.3f}")
accuracy = sum(correct[-50:]) / 50
