"""Patch transformer on 8x8 digits."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, TensorDataset


class PatchViT(nn.Module):
    def __init__(self, dim=48, depth=3, heads=4, patch=2, classes=10):
        super().__init__()
        self.patch = nn.Conv2d(1, dim, patch, patch)
        self.cls = nn.Parameter(torch.randn(1, 1, dim) * 0.02)
        self.pos = nn.Parameter(torch.randn(1, 17, dim) * 0.02)
        layer = nn.TransformerEncoderLayer(
            dim, heads, 2 * dim, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.enc = nn.TransformerEncoder(
            layer, depth, norm=nn.LayerNorm(dim), enable_nested_tensor=False
        )
        self.head = nn.Linear(dim, classes)

    def forward(self, x):
        t = self.patch(x).flatten(2).transpose(1, 2)
        t = torch.cat([self.cls.expand(len(x), -1, -1), t], 1) + self.pos
        return self.head(self.enc(t)[:, 0])


def loaders(batch=64):
    d = load_digits()
    x = torch.tensor(d.images, dtype=torch.float32)[:, None]
    x = (x - x.mean()) / x.std()
    y = torch.tensor(d.target)
    p = torch.randperm(len(x))
    tr, te = p[:1408], p[1408:]
    return (
        DataLoader(TensorDataset(x[tr], y[tr]), batch, shuffle=True),
        DataLoader(TensorDataset(x[te], y[te]), 256),
    )


@torch.no_grad()
def test(model, loader):
    model.eval()
    loss = hit = n = 0
    for x, y in loader:
        z = model(x)
        loss += nn.functional.cross_entropy(z, y, reduction="sum").item()
        hit += (z.argmax(-1) == y).sum().item()
        n += len(y)
    model.train()
    return hit / n, loss / n


def main():
    torch.manual_seed(31)
    train, val = loaders()
    model = PatchViT()
    opt = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    sched = StepLR(opt, step_size=6, gamma=0.5)
    for epoch in range(18):
        for x, y in train:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = nn.functional.cross_entropy(model(x), y)
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            sched.step()
        acc, vl = test(model, val)
        print(f"epoch {epoch:2d} | train {loss.item():.4f} | val acc {acc:.3f} | val loss {vl:.4f}")


if __name__ == "__main__":
    main()
