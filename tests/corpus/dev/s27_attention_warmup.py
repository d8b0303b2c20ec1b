"""Hand-written self-attention classifier: does the sequence hold a repeated symbol pair."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F


class SelfAttention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).softmax(-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(b, t, d))


class Block(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attn = SelfAttention(dim, heads)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, x):
        x = x + self.attn(self.ln1(x))
        return x + self.mlp(self.ln2(x))


class Model(nn.Module):
    def __init__(self, vocab=12, dim=48):
        super().__init__()
        self.tok = nn.Embedding(vocab, dim)
        self.blocks = nn.Sequential(Block(dim, 4), Block(dim, 4))
        self.head = nn.Linear(dim, 2)

    def forward(self, ids):
        return self.head(self.blocks(self.tok(ids)).mean(1))


def batch(n):
    ids = torch.stack([torch.randperm(12)[:6] for _ in range(n)])
    label = torch.randint(0, 2, (n,))
    ids[:, 5] = torch.where(label == 1, ids[torch.arange(n), torch.randint(0, 5, (n,))], ids[:, 5])
    return ids, label


def main():
    torch.manual_seed(0)
    steps, warmup, peak = 900, 150, 2e-3
    model = Model()
    opt = torch.optim.AdamW(model.parameters(), lr=peak, weight_decay=0.01)

    def factor(step):
        if step < warmup:
            return step / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))

    scheduler = torch.optim.lr_scheduler.LambdaLR(opt, factor)
    for step in range(steps):
        ids, label = batch(64)
        loss = F.cross_entropy(model(ids), label)
        opt.zero_grad()
        loss.backward()
        opt.step()
        scheduler.step()
        if step % 150 == 0:
            print(f"{step} lr={scheduler.get_last_lr()[0]:.2e} loss={loss.item():.4f}")
    ids, label = batch(500)
    accuracy = (model(ids).argmax(1) == label).float().mean().item()
    print(f"accuracy={accuracy:.4f}")


if __name__ == "__main__":
    main()
