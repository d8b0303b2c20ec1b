"""Match short number sequences with their summaries: recurrent tower plus scoring head."""

import torch
from torch import nn


class SequenceTower(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.gru = nn.GRU(2, width, batch_first=True)
        self.project = nn.Linear(width, 6)

    def forward(self, seq):
        _, h = self.gru(seq)
        return self.project(h[-1])


class Scorer(nn.Module):
    def __init__(self):
        super().__init__()
        self.tower = SequenceTower()
        self.head = nn.Sequential(nn.Linear(6 + 2, 48), nn.ReLU(), nn.Linear(48, 1))

    def forward(self, seq, query):
        context = self.tower(seq).data
        return self.head(torch.cat([context, query], dim=1)).squeeze(1)


def sample(n, steps=12):
    seq = torch.randn(n, steps, 2)
    query = torch.randn(n, 2)
    weight = torch.linspace(1.0, -1.0, steps)
    summary = (seq * weight[None, :, None]).sum(1) / 2.0
    return seq, query, (summary * query).sum(1)


def main():
    torch.manual_seed(16)
    model = Scorer()
    opt = torch.optim.Adam(model.parameters(), lr=5e-3)
    smooth = None
    for step in range(1000):
        seq, query, target = sample(128)
        loss = nn.functional.smooth_l1_loss(model(seq, query), target)
        opt.zero_grad()
        loss.backward()
        opt.step()
        smooth = loss.item() if smooth is None else 0.98 * smooth + 0.02 * loss.item()
        if step % 200 == 199:
            print(f"{step + 1}: {smooth:.4f}")
    seq, query, target = sample(2000)
    with torch.no_grad():
        mse = (model(seq, query) - target).square().mean().item()
    print(f"relative error {mse / target.var().item():.4f}")


if __name__ == "__main__":
    main()
