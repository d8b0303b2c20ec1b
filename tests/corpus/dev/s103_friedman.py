import copy

import torch
from sklearn.datasets import make_friedman1
from torch import nn

torch.manual_seed(17)


class Block(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.fc1 = nn.Linear(dim, dim)
        self.fc2 = nn.Linear(dim, dim)
        for fc in (self.fc1, self.fc2):
            nn.init.kaiming_normal_(fc.weight, nonlinearity="relu")
            nn.init.zeros_(fc.bias)

    def forward(self, x):
        return x + self.fc2(torch.nn.functional.gelu(self.fc1(x)))


class ResMLP(nn.Module):
    def __init__(self, n_in, dim=64, depth=8):
        super().__init__()
        self.inp = nn.Linear(n_in, dim)
        self.blocks = nn.Sequential(*[Block(dim) for _ in range(depth)])
        self.out = nn.Linear(dim, 1)

    def forward(self, x):
        return self.out(self.blocks(self.inp(x))).squeeze(-1)


class EMA:
    def __init__(self, model, decay=0.98):
        self.shadow = copy.deepcopy(model).requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model):
        for s, p in zip(self.shadow.parameters(), model.parameters()):
            s.lerp_(p, 1 - self.decay)


X, y = make_friedman1(n_samples=2500, noise=0.5, random_state=2)
X = torch.tensor(X, dtype=torch.float32)
y = torch.tensor(y, dtype=torch.float32)
X = (X - X.mean(0)) / X.std(0)
y = (y - y.mean()) / y.std()
Xa, ya, Xb, yb = X[:2000], y[:2000], X[2000:], y[2000:]

model = ResMLP(10)
ema = EMA(model)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(20):
    total = 0.0
    for idx in torch.randperm(2000).split(50):
        loss = nn.functional.mse_loss(model(Xa[idx]), ya[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        ema.update(model)
        total += loss.item() / 40
    with torch.no_grad():
        val = nn.functional.mse_loss(ema.shadow(Xb), yb).item()
    print(f"epoch {epoch} train {total:.4f} val(ema) {val:.4f}")
