"""TransformerEncoder that counts how often the most common symbol occurs."""

import torch
from torch import nn

torch.manual_seed(55)


class Counter(nn.Module):
    def __init__(self, vocab=5, width=32, length=10):
        super().__init__()
        self.embed = nn.Embedding(vocab, width)
        self.position = nn.Parameter(0.02 * torch.randn(length, width))
        layer = nn.TransformerEncoderLayer(
            width, nhead=2, dim_feedforward=64, dropout=0.0, batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, num_layers=2)
        self.classify = nn.Linear(width, 5)

    def forward(self, ids):
        return self.classify(self.encoder(self.embed(ids) + self.position).mean(1))


def draw(n):
    favourite = torch.randint(0, 5, (n, 1))
    ids = torch.randint(0, 5, (n, 10))
    ids = torch.where(torch.rand(n, 10) < 0.5, favourite.expand(n, 10), ids)
    counts = nn.functional.one_hot(ids, 5).sum(1)
    return ids, counts.argmax(1)


model = Counter()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6)
recent = []
for step in range(600):
    ids, label = draw(64)
    loss = nn.functional.cross_entropy(model(ids), label)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    recent.append(loss.item())
    if step % 100 == 99:
        print(f"{step + 1:4d} {sum(recent[-100:]) / 100:.4f}")
ids, label = draw(1000)
accuracy = (model(ids).argmax(1) == label).float().mean().item()
