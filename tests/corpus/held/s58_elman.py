"""Predict the next value of a noisy wave with an Elman network and manual updates."""

import math

import torch


class Elman:
    def __init__(self, n_hidden, generator):
        self.Wx = torch.randn(1, n_hidden, generator=generator) * 0.5
        self.Wh = torch.randn(n_hidden, n_hidden, generator=generator) / (2 * n_hidden**0.5)
        self.bh = torch.zeros(n_hidden)
        self.Wo = torch.randn(n_hidden, 1, generator=generator) / n_hidden**0.5
        self.bo = torch.zeros(1)
        for p in self.parameters():
            p.requires_grad_(True)

    def parameters(self):
        return [self.Wx, self.Wh, self.bh, self.Wo, self.bo]

    def __call__(self, seq):
        h = torch.zeros(seq.shape[0], self.Wh.shape[0])
        for t in range(seq.shape[1]):
            h = torch.tanh(seq[:, t : t + 1] @ self.Wx + h @ self.Wh + self.bh)
        return (h @ self.Wo + self.bo).squeeze(1)


def series(n, length, generator):
    phase = torch.rand(n, 1, generator=generator) * 2 * math.pi
    freq = 0.3 + 0.4 * torch.rand(n, 1, generator=generator)
    t = torch.arange(length + 1)
    wave = torch.sin(freq * t + phase) + 0.05 * torch.randn(n, length + 1, generator=generator)
    return wave[:, :-1], wave[:, -1]


def main():
    g = torch.Generator().manual_seed(8)
    torch.manual_seed(8)
    net = Elman(24, g)
    lr = 0.05
    for step in range(800):
        seq, nxt = series(48, 20, g)
        loss = (net(seq) - nxt).pow(2).mean()
        loss.backward()
        with torch.no_grad():
            for p in net.parameters():
                p -= lr * p.grad
        if step % 100 == 0:
            print(step, loss.item())
    with torch.no_grad():
        seq, nxt = series(1000, 20, g)
        print("test mse", (net(seq) - nxt).pow(2).mean().item())


if __name__ == "__main__":
    main()
