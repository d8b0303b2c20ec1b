"""Classify the sign of a noisy weighted sum over a sequence with a recurrent net."""

import torch
import torch.nn.functional as F
from torch import nn


class Reader(nn.Module):
    def __init__(self, n_in, n_hidden):
        super().__init__()
        self.inp = nn.Linear(n_in, n_hidden)
        self.rec = nn.Linear(n_hidden, n_hidden, bias=False)
        self.out = nn.Linear(n_hidden, 2)
        nn.init.orthogonal_(self.rec.weight, gain=1.8)
        nn.init.xavier_uniform_(self.inp.weight)

    def forward(self, seq):
        h = torch.zeros(seq.shape[0], self.rec.in_features)
        for t in range(seq.shape[1]):
            h = torch.tanh(self.inp(seq[:, t]) + self.rec(h))
        return self.out(h)


def make_batch(n, steps, generator):
    seq = torch.randn(n, steps, 4, generator=generator) * 0.3
    seq[:, :, 0] += 0.2 * torch.randn(n, 1, generator=generator)
    target = (seq[:, :, 0].sum(1) > 0).long()
    return seq, target


def main():
    torch.manual_seed(1)
    generator = torch.Generator().manual_seed(5)
    model = Reader(4, 48)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    losses = []
    for step in range(500):
        seq, target = make_batch(64, 60, generator)
        loss = F.cross_entropy(model(seq), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if (step + 1) % 100 == 0:
            print(step + 1, sum(losses[-100:]) / 100)
    with torch.no_grad():
        seq, target = make_batch(1000, 60, generator)
        hits = (model(seq).argmax(1) == target).float().mean()
    print("held-out accuracy", round(hits.item(), 4))


if __name__ == "__main__":
    main()
