"""Predict the next word of a language manual with a feed-forward context model."""

import re
from pydoc_data.topics import topics

import torch
import torch.nn as nn
import torch.nn.functional as F

words = re.findall(r"[a-z']+", topics["assignment"].lower())
vocab = sorted(set(words))
ids = torch.tensor([vocab.index(w) for w in words])
CONTEXT = 3


class NextWord(nn.Module):
    def __init__(self, n_words, dim=24, hidden=64):
        super().__init__()
        self.lookup = nn.Embedding(n_words, dim)
        self.hidden = nn.Linear(CONTEXT * dim, hidden)
        self.output = nn.Linear(hidden, n_words)

    def forward(self, context):
        h = torch.tanh(self.hidden(self.lookup(context).flatten(1)))
        return F.softmax(self.output(h), dim=-1)


torch.manual_seed(0)
contexts = torch.stack([ids[i : i + CONTEXT] for i in range(len(ids) - CONTEXT)])
nexts = ids[CONTEXT:]
model = NextWord(len(vocab))
opt = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(12):
    for rows in torch.randperm(len(contexts)).split(16):
        opt.zero_grad()
        loss = F.cross_entropy(model(contexts[rows]), nexts[rows])
        loss.backward()
        opt.step()
    if epoch % 2 == 1:
        print(f"epoch {epoch + 1}  loss {loss.item():.3f}")
with torch.no_grad():
    recalled = (model(contexts).argmax(1) == nexts).float().mean().item()
print(f"recalled {recalled:.3f} of {len(nexts)} words")
