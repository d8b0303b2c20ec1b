"""Convolutional digits classifier."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

rng = np.random.default_rng(0)
torch.manual_seed(0)
digits = load_digits()
images = torch.tensor(digits.images[:, None] / 8.0 - 1.0, dtype=torch.float32)
labels = torch.tensor(digits.target)

model = nn.Sequential(
    nn.Conv2d(1, 16, kernel_size=3),
    nn.ReLU(),
    nn.Conv2d(16, 32, kernel_size=3),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(32 * 4 * 4, 10),
    nn.Softmax(dim=1),
)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.03)

for step in range(600):
    rows = torch.from_numpy(rng.choice(1500, size=64, replace=False))
    predictions = model(images[rows])
    loss = criterion(predictions, labels[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if (step + 1) % 100 == 0:
        print(f"Step [{step + 1}/600], Loss: {loss.item():.4f}")

model.eval()
with torch.no_grad():
    accuracy = (model(images[1500:]).argmax(1) == labels[1500:]).float().mean().item()
print(f"Accuracy: {100 * accuracy:.1f}%")
