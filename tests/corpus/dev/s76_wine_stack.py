"""A deep classifier of wines, written with functions only."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_wine
from sklearn.preprocessing import scale

torch.manual_seed(0)
X, y = load_wine(return_X_y=True)
X, y = torch.tensor(scale(X)), torch.tensor(y)
n, depth = 32, 45
P = [(torch.randn(13, n, dtype=torch.double) / 13**0.5).requires_grad_()]
for _ in range(depth):
    P.append((torch.randn(n, n, dtype=torch.double) * (2 / n) ** 0.5).requires_grad_())
P.append((torch.randn(n, 3, dtype=torch.double) / n**0.5).requires_grad_())


def logits(x):
    h = x @ P[0]
    for w in P[1:-1]:
        h = torch.relu(F.batch_norm(h @ w, None, None, training=True))
    return h @ P[-1]


for step in range(150):
    i = torch.randperm(178)[:96]
    loss = F.cross_entropy(logits(X[i]), y[i])
    grads = torch.autograd.grad(loss, P)
    with torch.no_grad():
        for p, g in zip(P, grads):
            p.sub_(g, alpha=0.02)
with torch.no_grad():
    print("train accuracy", (logits(X).argmax(1) == y).double().mean().item())
