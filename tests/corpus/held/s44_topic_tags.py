"""Multi-label tagging of synthetic documents with a sign-based optimizer."""

import torch
from torch import nn

VOCAB, TAGS, WORDS = 300, 12, 30


class SignStep(torch.optim.Optimizer):
    def __init__(self, params, lr, betas=(0.9, 0.99)):
        super().__init__(params, {"lr": lr, "betas": betas})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                if p.grad is not None:
                    m = self.state[p].setdefault("m", torch.zeros_like(p))
                    p.add_((b1 * m + (1 - b1) * p.grad).sign(), alpha=-group["lr"])
                    m.mul_(b2).add_(p.grad, alpha=1 - b2)


class TagModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.EmbeddingBag(VOCAB, 32, mode="mean")
        self.hidden = nn.Linear(32, 64)
        self.tags = nn.Linear(64, TAGS)

    def forward(self, docs):
        return self.tags(torch.relu(self.hidden(self.words(docs))))


def corpus(n):
    tags = (torch.rand(n, TAGS) < 0.2).float()
    tags[torch.arange(n), torch.randint(0, TAGS, (n,))] = 1.0
    topic = torch.multinomial(tags, WORDS, replacement=True)
    docs = topic * 25 + torch.randint(0, 25, (n, WORDS))
    noise = torch.rand(n, WORDS) < 0.2
    docs[noise] = torch.randint(0, VOCAB, (int(noise.sum()),))
    return docs, tags


if __name__ == "__main__":
    torch.manual_seed(0)
    docs, tags = corpus(3000)
    val_docs, val_tags = corpus(500)
    model = TagModel()
    opt = SignStep(model.parameters(), lr=0.1)
    bce = nn.BCEWithLogitsLoss()
    for epoch in range(10):
        for rows in torch.randperm(3000).split(50):
            opt.zero_grad()
            loss = bce(model(docs[rows]), tags[rows])
            loss.backward()
            opt.step()
        with torch.no_grad():
            logits = model(val_docs)
            val_loss = bce(logits, val_tags).item()
            exact = ((logits > 0).float() == val_tags).float().mean().item()
        print(f"epoch {epoch}: train {loss.item():.4f} val {val_loss:.4f} per-tag {exact:.4f}")
