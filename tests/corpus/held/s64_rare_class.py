"""Rare-event detector: three positives in a hundred."""

import numpy as np
import torch
from sklearn.datasets import make_classification
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x, y = make_classification(
    n_samples=8000,
    n_features=20,
    n_informative=8,
    weights=[0.97],
    flip_y=0.0,
    class_sep=1.2,
    random_state=7,
)
x = torch.tensor((x - x.mean(0)) / x.std(0), dtype=torch.float32)
y = torch.tensor(y, dtype=torch.float32)
train = DataLoader(TensorDataset(x[:6000], y[:6000]), batch_size=64, shuffle=True)

model = nn.Sequential(nn.Linear(20, 48), nn.ReLU(), nn.Linear(48, 24), nn.ReLU(), nn.Linear(24, 1))
prior = y[:6000].mean()
with torch.no_grad():
    model[-1].bias.fill_(torch.log(prior / (1 - prior)))
loss_fn = nn.BCEWithLogitsLoss()
opt = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(12):
    losses = []
    for xb, yb in train:
        opt.zero_grad()
        loss = loss_fn(model(xb).squeeze(1), yb)
        loss.backward()
        opt.step()
        losses.append(loss.item())
    print(f"epoch {epoch}: {np.mean(losses):.4f}")

with torch.no_grad():
    scores = model(x[6000:]).squeeze(1)
auc = roc_auc_score(y[6000:].numpy(), scores.numpy())
print("area under the curve", auc)
