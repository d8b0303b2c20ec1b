"""Binary classifier on the breast-cancer table with a hand-written likelihood."""

import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler
from torch import nn

torch.manual_seed(2)
bunch = load_breast_cancer()
X = torch.tensor(StandardScaler().fit_transform(bunch.data), dtype=torch.float32)
t = torch.tensor(bunch.target, dtype=torch.float32)
X_train, t_train, X_test, t_test = X[:450], t[:450], X[450:], t[450:]


class Scorer(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(30, 24)
        self.score = nn.Linear(24, 1)

    def forward(self, x):
        p = torch.sigmoid(self.score(torch.tanh(self.hidden(x)))).squeeze(1)
        return p


def likelihood_loss(p, target):
    return -(target * torch.log(p) + (1 - target) * torch.log(1 - p)).mean()


model = Scorer()
opt = torch.optim.Adam(model.parameters(), lr=0.03)
for epoch in range(150):
    order = torch.randperm(len(X_train))
    for batch in order.split(64):
        opt.zero_grad()
        loss = likelihood_loss(model(X_train[batch]), t_train[batch])
        loss.backward()
        opt.step()
    if epoch % 25 == 0:
        print(f"{epoch:4d} {loss.item():.5f}")

with torch.no_grad():
    predicted = model(X_test)
    accuracy = ((predicted > 0.5).float() == t_test).float().mean().item()
    valid = torch.isfinite(predicted).float().mean().item()
print("test accuracy", accuracy)
