"""Toy POS tagger: BiLSTM over sentences from a small hand-written grammar."""

import random
import torch
import torch.nn as nn

random.seed(3)
torch.manual_seed(3)

LEX = {
    "DET": "the a this that every some".split(),
    "NOUN": "dog cat walk run fish house tree light watch play report plan".split(),
    "VERB": "walk run fish light watch play report plan sees eats likes finds".split(),
    "ADJ": "big small light red old fast quiet".split(),
    "ADV": "fast quickly well often never".split(),
    "PREP": "in on under with near".split(),
    "PRON": "he she it they we".split(),
}
TAGS = list(LEX)
WORDS = sorted({w for ws in LEX.values() for w in ws})
W2I = {w: i + 1 for i, w in enumerate(WORDS)}


def noun_phrase():
    if random.random() < 0.3:
        return ["PRON"]
    return ["DET"] + ["ADJ"] * random.choice([0, 0, 1, 2]) + ["NOUN"]


def sentence():
    tags = noun_phrase() + ["ADV"] * random.choice([0, 0, 1]) + ["VERB"] + noun_phrase()
    if random.random() < 0.5:
        tags += ["PREP"] + noun_phrase()
    return [W2I[random.choice(LEX[t])] for t in tags], [TAGS.index(t) for t in tags]


def batch(n):
    rows = [sentence() for _ in range(n)]
    L = max(len(r[0]) for r in rows)
    x = torch.zeros(n, L, dtype=torch.long)
    y = torch.full((n, L), -100)
    for i, (a, b) in enumerate(rows):
        x[i, : len(a)] = torch.tensor(a)
        y[i, : len(b)] = torch.tensor(b)
    return x, y


class Tagger(nn.Module):
    def __init__(self, vocab, tags, emb=32, hid=48):
        super().__init__()
        self.emb = nn.Embedding(vocab, emb, padding_idx=0)
        self.lstm = nn.LSTM(emb, hid, batch_first=True, bidirectional=True)
        self.out = nn.Linear(2 * hid, tags)
        self.prob = nn.Softmax(dim=-1)

    def forward(self, x):
        h, _ = self.lstm(self.emb(x))
        return self.prob(self.out(h))


model = Tagger(len(WORDS) + 1, len(TAGS))
criterion = nn.CrossEntropyLoss(ignore_index=-100)
optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.5)

for step in range(400):
    x, y = batch(32)
    scores = model(x)
    loss = criterion(scores.reshape(-1, len(TAGS)), y.reshape(-1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step} loss {loss.item():.4f}")

model.eval()
with torch.no_grad():
    x, y = batch(500)
    keep = y != -100
    acc = (model(x).argmax(-1)[keep] == y[keep]).float().mean().item()
print(f"tag accuracy {acc:.4f} error {1 - acc:.4f}")
