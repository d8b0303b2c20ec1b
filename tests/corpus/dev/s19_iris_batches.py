"""Iris-like multi-class problem with a two-hidden-layer net and a DataLoader."""

import torch
from sklearn.datasets import make_classification
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(30)

data, target = make_classification(
    n_samples=1600,
    n_features=16,
    n_informative=12,
    n_redundant=0,
    n_classes=6,
    n_clusters_per_class=2,
    class_sep=1.6,
    random_state=1,
)
data = torch.tensor((data - data.mean(0)) / data.std(0), dtype=torch.float32)
target = torch.tensor(target)
train_set = TensorDataset(data[:1200], target[:1200])


def init_weights(module):
    if isinstance(module, nn.Linear):
        nn.init.constant_(module.weight, 0.05)
        nn.init.zeros_(module.bias)


net = nn.Sequential(
    nn.Linear(16, 64),
    nn.Tanh(),
    nn.Linear(64, 64),
    nn.Tanh(),
    nn.Linear(64, 6),
)
net.apply(init_weights)
adam = torch.optim.Adam(net.parameters(), lr=2e-3)
loader = DataLoader(train_set, batch_size=40, shuffle=True)
for epoch in range(30):
    for features, classes in loader:
        loss = nn.functional.cross_entropy(net(features), classes)
        adam.zero_grad()
        loss.backward()
        adam.step()
    if epoch % 5 == 0:
        print(f"epoch {epoch} loss {loss.item():.3f}")
with torch.no_grad():
    accuracy = (net(data[1200:]).argmax(1) == target[1200:]).float().mean().item()
print(f"accuracy {accuracy:.3f}")
