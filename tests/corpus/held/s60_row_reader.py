"""GRU classifier of digit rows read as a sequence."""

import torch
from sklearn.datasets import load_digits
from torch import nn


class RowReader(nn.Module):
    def __init__(self, hidden=48):
        super().__init__()
        self.gru = nn.GRU(8, hidden, batch_first=True)
        self.fc = nn.Linear(hidden, 10)

    def forward(self, rows):
        out, _ = self.gru(rows)
        return self.fc(out[:, -1])


def train(model, x, y, *, epochs, lr, clip, batch_size=64):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    loss_fn = nn.CrossEntropyLoss()
    history = []
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(batch_size):
            optimizer.zero_grad()
            loss = loss_fn(model(x[rows]), y[rows])
            loss.backward()
            nn.utils.clip_grad_value_(model.parameters(), clip)
            optimizer.step()
        history.append(loss.item())
    return history


torch.manual_seed(20)
digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32) / 8 - 0.6
labels = torch.tensor(digits.target)
reader = RowReader()
history = train(reader, images[:1400], labels[:1400], epochs=25, lr=0.1, clip=1e-5)
print(" ".join(f"{v:.2f}" for v in history))
with torch.no_grad():
    accuracy = (reader(images[1400:]).argmax(1) == labels[1400:]).float().mean().item()
