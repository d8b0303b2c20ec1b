"""Wine by a trainer object."""

import torch
from sklearn.datasets import load_wine
from torch import nn

torch.manual_seed(3)
data = load_wine()
x = torch.tensor(data.data, dtype=torch.float32)
x = (x - x.mean(0)) / x.std(0)
y = torch.tensor(data.target)


class Trainer:
    def __init__(self, model, lr):
        self.model, self.loss = model, nn.CrossEntropyLoss()
        self.opt = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0)

    def fit(self, steps):
        for step in range(steps):
            i = torch.randint(0, len(x), (32,))
            loss = self.loss(self.model(x[i]), y[i])
            loss.backward()
            self.opt.zero_grad()
            self.opt.step()
            if step % 50 == 0:
                print(step, loss.item())


net = nn.Sequential(nn.Linear(13, 32), nn.GELU(), nn.Linear(32, 3))
Trainer(net, 3e-3).fit(300)
with torch.no_grad():
    accuracy = (net(x).argmax(1) == y).float().mean().item()
print("accuracy", accuracy)
