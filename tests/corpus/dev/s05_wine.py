"""Three-class classifier on the wine table, full batch."""

import torch
import torch.nn as nn
from sklearn.datasets import load_wine

torch.manual_seed(11)
wine = load_wine()
features = torch.tensor(wine.data).float()
target = torch.tensor(wine.target)

model = nn.Sequential(
    nn.Linear(13, 32),
    nn.ReLU(),
    nn.Linear(32, 32),
    nn.ReLU(),
    nn.Linear(32, 3),
)
loss_fn = nn.CrossEntropyLoss()
opt = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)

history = []
for it in range(600):
    logits = model(features)
    loss = loss_fn(logits, target)
    opt.zero_grad(set_to_none=True)
    loss.backward()
    opt.step()
    history.append(loss.item())

accuracy = (model(features).argmax(dim=1) == target).float().mean().item()
print("loss: first %.3f last %.3f" % (history[0], history[-1]))
print("accuracy: %.3f" % accuracy)
