"""Softmax regression with one hidden layer on Gaussian clusters."""

import numpy as np
import torch
from sklearn.datasets import make_blobs

np.random.seed(19)
torch.manual_seed(19)

points, cluster = make_blobs(
    n_samples=6000, n_features=10, centers=8, cluster_std=3.0, random_state=19
)
points = (points - points.mean(axis=0)) / points.std(axis=0)
shuffle = np.random.permutation(len(points))
points = points[shuffle]
cluster = cluster[np.random.permutation(len(cluster))]

x = torch.as_tensor(points, dtype=torch.float32)
y = torch.as_tensor(cluster)

model = torch.nn.Sequential(torch.nn.Linear(10, 32), torch.nn.ReLU(), torch.nn.Linear(32, 8))
opt = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(10):
    total = 0.0
    for i in range(0, 5000, 50):
        loss = torch.nn.functional.cross_entropy(model(x[i : i + 50]), y[i : i + 50])
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item()
    print(f"epoch {epoch} mean loss {total / 100:.4f}")

with torch.no_grad():
    accuracy = (model(x[5000:]).argmax(1) == y[5000:]).float().mean().item()
print("accuracy", accuracy)
