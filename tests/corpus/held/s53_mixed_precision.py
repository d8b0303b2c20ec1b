"""Digits MLP computed in float16 with float32 master weights."""

import copy

import torch
from sklearn.datasets import load_digits
from torch import nn


class MixedTrainer:
    def __init__(self, model, lr, scale=1.0):
        self.master = model
        self.half = copy.deepcopy(model).half()
        self.optimizer = torch.optim.SGD(self.master.parameters(), lr=lr, momentum=0.9)
        self.scale = scale

    def sync(self):
        with torch.no_grad():
            for h, m in zip(self.half.parameters(), self.master.parameters()):
                h.copy_(m)

    def step(self, x, target):
        self.half.zero_grad()
        recon = self.half(x.half())
        loss = ((recon.float() - target) ** 2).mean()
        (loss * self.scale).backward()
        for h, m in zip(self.half.parameters(), self.master.parameters()):
            m.grad = h.grad.float() / self.scale
        self.optimizer.step()
        self.sync()
        return loss.item()


def main():
    torch.manual_seed(0)
    data = load_digits()
    x = torch.tensor(data.data, dtype=torch.float32) / 16
    target = 5e-5 * (x - x.mean(0))
    model = nn.Sequential(nn.Linear(64, 48), nn.Tanh(), nn.Linear(48, 64))
    with torch.no_grad():
        model[2].weight.mul_(1e-4)
        model[2].bias.zero_()
    trainer = MixedTrainer(model, lr=6.0)
    for epoch in range(12):
        for rows in torch.randperm(1500).split(50):
            loss = trainer.step(x[rows], target[rows])
        print(f"epoch {epoch}: {loss:.3e}")
    with torch.no_grad():
        error = (trainer.master(x[1500:]) - target[1500:]).square().mean()
    print(f"unexplained {(error / target[1500:].square().mean()).item():.4f}")


if __name__ == "__main__":
    main()
