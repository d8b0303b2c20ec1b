import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(5)


class Encoder(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 32, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(512, 64),
            nn.ReLU(),
        )
        self.head = nn.Linear(64, classes)

    def forward(self, x):
        return self.head(self.body(x))


def run(model, loader, opt, epochs, tag):
    crit = nn.CrossEntropyLoss()
    for e in range(epochs):
        s = c = n = 0
        for x, y in loader:
            opt.zero_grad()
            z = model(x)
            loss = crit(z, y)
            loss.backward()
            opt.step()
            s += loss.item() * len(y)
            c += (z.argmax(1) == y).sum().item()
            n += len(y)
        print(f"{tag} epoch {e} acc {c / n:.3f} loss {s / n:.4f}")
    return s / n


d = load_digits()
x = torch.tensor(d.images, dtype=torch.float32)[:, None] / 8 - 1
y = torch.tensor(d.target)
low = y < 5
source = DataLoader(TensorDataset(x[low], y[low]), 64, shuffle=True)
target = DataLoader(TensorDataset(x[~low], y[~low] - 5), 64, shuffle=True)

model = Encoder(5)
run(model, source, torch.optim.Adam(model.parameters(), lr=1e-3), 6, "source")

opt = torch.optim.Adam(
    [
        {"params": model.body.parameters(), "lr": 5e-5},
        {"params": model.head.parameters(), "lr": 1e-2},
    ]
)
model.head = nn.Linear(64, 5)
run(model, target, opt, 14, "target")
