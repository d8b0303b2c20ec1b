"""Six hidden layers on the digits."""

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(17)


class Classifier(nn.Module):
    def __init__(self, widths):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths[:-1], widths[1:]))
        for layer in self.layers:
            nn.init.normal_(layer.weight, mean=0.0, std=0.01)
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))
        return self.layers[-1](x)


digits = load_digits()
mean, std = digits.data.mean(), digits.data.std()
inputs = torch.tensor((digits.data - mean) / std, dtype=torch.float32)
labels = torch.tensor(digits.target)
train_x, train_y, test_x, test_y = inputs[:1400], labels[:1400], inputs[1400:], labels[1400:]

model = Classifier([64, 100, 100, 100, 100, 100, 100, 10])
sgd = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
scheduler = torch.optim.lr_scheduler.StepLR(sgd, step_size=15, gamma=0.5)
for epoch in range(25):
    for batch in torch.randperm(1400).split(40):
        sgd.zero_grad()
        error = nn.functional.cross_entropy(model(train_x[batch]), train_y[batch])
        error.backward()
        sgd.step()
    scheduler.step()
    if epoch % 4 == 0:
        print(epoch, "%.4f" % error.item())
with torch.no_grad():
    accuracy = (model(test_x).argmax(1) == test_y).float().mean().item()
print("accuracy", accuracy)
