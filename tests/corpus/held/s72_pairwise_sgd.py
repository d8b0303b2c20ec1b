"""Multi-label tabular model trained on batches of two with plain SGD."""

import torch
from sklearn.datasets import make_multilabel_classification
from torch import nn

torch.manual_seed(50)
x, y = make_multilabel_classification(
    n_samples=2500, n_features=60, n_classes=6, n_labels=3, length=150, random_state=50
)
x = torch.tensor(x, dtype=torch.float32)
x = (x - x.mean(0)) / x.std(0)
y = torch.tensor(y, dtype=torch.float32)

model = nn.Sequential(nn.Linear(60, 40), nn.Tanh(), nn.Linear(40, 6))
opt = torch.optim.SGD(model.parameters(), lr=0.05)
criterion = nn.BCEWithLogitsLoss()
for step in range(1500):
    rows = torch.randint(0, 2000, (2,))
    opt.zero_grad()
    loss = criterion(model(x[rows]), y[rows])
    loss.backward()
    opt.step()
    if step % 100 == 0:
        print(step, f"{loss.item():.3f}")

with torch.no_grad():
    logits = model(x[2000:])
    tag_accuracy = ((logits > 0).float() == y[2000:]).float().mean().item()
majority = torch.maximum(y[2000:].mean(0), 1 - y[2000:].mean(0)).mean().item()
print(f"tag accuracy {tag_accuracy:.4f} (majority {majority:.4f})")
