"""Fit a small subset of the digits completely."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(1)
X, y = load_digits(return_X_y=True)
X = torch.tensor(X / 16.0, dtype=torch.float32)
y = torch.tensor(y)
loader = DataLoader(TensorDataset(X[:500], y[:500]), batch_size=50, shuffle=True)

model = nn.Sequential(
    nn.Linear(64, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, 10)
)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(120):
    for xb, yb in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(xb), yb)
        loss.backward()
        optimizer.step()
    if epoch % 20 == 19:
        print(f"epoch {epoch + 1}: {loss.item():.2e}")

with torch.no_grad():
    train_accuracy = (model(X[:500]).argmax(1) == y[:500]).float().mean().item()
    test_accuracy = (model(X[500:]).argmax(1) == y[500:]).float().mean().item()
print(train_accuracy, test_accuracy)
