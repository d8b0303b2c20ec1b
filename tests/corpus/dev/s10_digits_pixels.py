"""Digits straight from the array, two-layer net, Adam."""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(123)
np.random.seed(123)

X, y = load_digits(return_X_y=True)
idx = np.random.permutation(len(X))
X = torch.tensor(X[idx], dtype=torch.float32)
y = torch.tensor(y[idx])
X_train, X_test = X[:1400], X[1400:]
y_train, y_test = y[:1400], y[1400:]


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = torch.nn.Linear(64, 128)
        self.l2 = torch.nn.Linear(128, 64)
        self.l3 = torch.nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.l1(x))
        x = F.relu(self.l2(x))
        return self.l3(x)


net = Net()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for step in range(800):
    pick = torch.randint(0, 1400, (64,))
    loss = F.cross_entropy(net(X_train[pick]), y_train[pick])
    opt.zero_grad()
    loss.backward()
    opt.step()

net.eval()
with torch.no_grad():
    accuracy = (net(X_test).argmax(1) == y_test).float().mean().item()
print("accuracy on the last rows: {:.2%}".format(accuracy))
