"""Features of digits by predicting the output of a slowly moving copy."""

import copy
import torch
from torch import nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(0)
d = load_digits()
x, y = torch.tensor(d.data).float() / 8 - 1, torch.tensor(d.target)


def mlp(a, b, c):
    return nn.Sequential(nn.Linear(a, b), nn.BatchNorm1d(b), nn.ReLU(), nn.Linear(b, c))


online, predictor = mlp(64, 128, 32), mlp(32, 64, 32)
target = copy.deepcopy(online)
opt = torch.optim.Adam([*online.parameters(), *predictor.parameters()], lr=1e-3)
for step in range(500):
    xb = x[torch.randint(0, 1400, (128,))]
    a, b = xb + 0.3 * torch.randn_like(xb), xb + 0.3 * torch.randn_like(xb)
    with torch.no_grad():
        ta, tb = target(a), target(b)
    pa, pb = predictor(online(a)), predictor(online(b))
    loss = 4 - 2 * F.cosine_similarity(pa, tb).mean() - 2 * F.cosine_similarity(pb, ta).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    with torch.no_grad():
        for p, q in zip(target.parameters(), online.parameters()):
            p.lerp_(q, 0.02)
online.eval()
with torch.no_grad():
    z = F.normalize(online(x), dim=1)
    near = (z[1400:] @ z[:1400].T).argmax(1)
print("neighbour accuracy", (y[:1400][near] == y[1400:]).float().mean().item())
