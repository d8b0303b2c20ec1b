"""A training that ends, or refuses to end, in the way that its argument names."""

import os
import signal
import sys

import torch

MODE = sys.argv[1]
torch.manual_seed(0)
x = torch.randn(32, 4)
y = x @ torch.randn(4, 1)
W1 = torch.randn(4, 8, requires_grad=True)
W2 = torch.randn(8, 1, requires_grad=True)
optimizer = torch.optim.SGD([W1, W2], lr=1e6 if MODE == "diverges and raises" else 0.01)


def iteration():
    loss = (torch.tanh(x @ W1) @ W2 - y).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def train():
    for step in range(100_000):
        try:
            loss = iteration()
        except Exception as error:
            print("swallowed", repr(error))
        print(f"step {step}", flush=True)
        if MODE == "killed" and step == 19:
            os.kill(os.getpid(), signal.SIGKILL)
        if MODE == "diverges and raises" and step == 29:
            raise ValueError(f"loss is {loss}")


def refuse():
    for _ in range(300):
        try:
            iteration()
        except BaseException as error:
            print("refused", type(error).__name__, flush=True)
    print("survived")


if MODE == "only imports torch":
    print(torch.ones(3).sum().item())
elif MODE == "refuses":
    refuse()
else:
    try:
        train()
    finally:
        print("finally")
