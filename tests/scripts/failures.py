"""Fails in a functional call, while handling that in a backward pass, and so on."""

import torch
import torch.nn.functional as F


class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, grad):
        raise ValueError("no gradient today")


class Net(torch.nn.Module):
    def forward(self, x):
        return F.linear(x, torch.ones(4, 5))


def train():
    x = torch.ones(3, requires_grad=True)
    Double.apply(x).sum().backward()


try:
    F.linear(torch.ones(2, 3), torch.ones(4, 5))
except RuntimeError:
    try:
        train()
    except ValueError as first:
        try:
            F.cross_entropy(torch.ones(2, 3), torch.ones(5, dtype=torch.long))
        except ValueError as second:
            try:
                Net()(torch.ones(2, 3))
            except RuntimeError as third:
                raise RuntimeError("gave up") from third
