"""Four tanh hidden layers on the digits, trained with RMSprop in a runner object."""

import torch
from sklearn.datasets import load_digits
from torch import nn


class Runner:
    def __init__(self, widths, seed):
        torch.manual_seed(seed)
        layers = []
        for a, b in zip(widths[:-2], widths[1:-1]):
            layers += [nn.Linear(a, b), nn.Tanh()]
        layers.append(nn.Linear(widths[-2], widths[-1]))
        self.net = nn.Sequential(*layers)
        for module in self.net[:-1]:
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight)
                nn.init.normal_(module.bias)
        self.optimizer = torch.optim.RMSprop(self.net.parameters(), lr=5e-4)

    def run(self, x, y, epochs):
        for epoch in range(epochs):
            for batch in torch.randperm(len(x)).split(32):
                self.optimizer.zero_grad()
                loss = nn.functional.cross_entropy(self.net(x[batch]), y[batch])
                loss.backward()
                self.optimizer.step()
            yield epoch, loss.item()

    @torch.no_grad()
    def accuracy(self, x, y):
        return (self.net(x).argmax(1) == y).float().mean().item()


digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32)
x = (x - x.mean()) / x.std()
y = torch.tensor(digits.target)
runner = Runner([64, 128, 128, 128, 128, 10], seed=2)
for epoch, loss in runner.run(x[:1400], y[:1400], epochs=25):
    if epoch % 5 == 4:
        print(f"after {epoch + 1} epochs: {loss:.4f}")
score = runner.accuracy(x[1400:], y[1400:])
print("score", score)
