"""Learn digit features without labels from two noisy views of each image."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

torch.manual_seed(0)


class ViewModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(64, 96), nn.BatchNorm1d(96), nn.ReLU(), nn.Linear(96, 16)
        )
        self.predictor = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16))

    def forward(self, a, b):
        za, zb = self.encoder(a), self.encoder(b)
        return self.predictor(za), self.predictor(zb), za, zb


def view(x):
    keep = (torch.rand_like(x) > 0.2).float()
    return x * keep + 0.2 * torch.randn_like(x)


def agreement(p, z):
    return (p - z).square().mean()


digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32)
x = (x - x.mean()) / x.std()
model = ViewModel()
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(30):
    for rows in torch.randperm(1400).split(70):
        pa, pb, za, zb = model(view(x[rows]), view(x[rows]))
        loss = 0.5 * agreement(pa, zb) + 0.5 * agreement(pb, za)
        opt.zero_grad()
        loss.backward()
        opt.step()
    if epoch % 5 == 4:
        print(f"epoch {epoch + 1} loss {loss.item():.5f}")

model.eval()
with torch.no_grad():
    features = model.encoder(x)
spread = features.std(0).mean().item()
features = features.numpy()
probe = LogisticRegression(max_iter=500).fit(features[:1400], digits.target[:1400])
accuracy = probe.score(features[1400:], digits.target[1400:])
print(f"probe accuracy {accuracy:.4f}")
