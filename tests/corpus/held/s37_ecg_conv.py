"""Conv1d beat classifier on synthetic heart signals, with a small optimizer class."""

import torch
from torch import nn


class Nesterov(torch.optim.Optimizer):
    def __init__(self, params, lr=0.05, mu=0.9):
        super().__init__(params, dict(lr=lr, mu=mu))

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                buf = state.setdefault("buf", torch.zeros_like(p))
                buf.mul_(group["mu"]).add_(p.grad)
                p.add_(p.grad + group["mu"] * buf, alpha=-group["lr"])


class BeatNet(nn.Module):
    def __init__(self, channels=16, depth=7, classes=3):
        super().__init__()
        self.stem = nn.Conv1d(1, channels, 5, padding=2)
        self.convs = nn.ModuleList(
            nn.Conv1d(channels, channels, 3, padding=1) for _ in range(depth)
        )
        self.fc = nn.Linear(channels * 8, classes)

    def forward(self, x):
        x = torch.sigmoid(self.stem(x))
        for i, conv in enumerate(self.convs):
            x = torch.sigmoid(conv(x))
            if i < 3:
                x = nn.functional.avg_pool1d(x, 2)
        return self.fc(x.flatten(1))


def signals(n, length=64):
    kind = torch.randint(0, 3, (n,))
    t = torch.linspace(-1, 1, length).expand(n, length)
    centre = 0.15 * torch.randn(n, 1)
    width = torch.tensor([0.08, 0.2, 0.08])[kind].unsqueeze(1)
    sign = torch.tensor([1.0, 1.0, -1.0])[kind].unsqueeze(1)
    beat = sign * torch.exp(-(((t - centre) / width) ** 2))
    x = 2 * beat + 0.3 * torch.randn(n, length)
    return x.unsqueeze(1), kind


def main():
    torch.manual_seed(12)
    x, y = signals(1200)
    x_test, y_test = signals(400)
    model = BeatNet()
    opt = Nesterov(model.parameters(), lr=0.05)
    for step in range(600):
        pick = torch.randint(0, len(x), (48,))
        opt.zero_grad()
        loss = nn.functional.cross_entropy(model(x[pick]), y[pick])
        loss.backward()
        opt.step()
        if step % 100 == 0:
            print("step", step, "loss", f"{loss.item():.4f}")
    with torch.no_grad():
        acc = (model(x_test).argmax(1) == y_test).float().mean().item()
    print("test accuracy", acc)


if __name__ == "__main__":
    main()
