"""A network whose signals fade, a healthy one, and data, for loops of other people."""

from __future__ import annotations

import torch
from torch import nn

DEPTH = 12


def tanh_net(*, faint: bool) -> nn.Sequential:
    """Deep and narrow; with weights far too small, or as Xavier draws them."""
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Linear(10, 32)]
    for _ in range(DEPTH):
        layers += [nn.Linear(32, 32), nn.Tanh()]
    net = nn.Sequential(*layers, nn.Linear(32, 2))
    for module in net:
        if isinstance(module, nn.Linear):
            if faint:
                nn.init.normal_(module.weight, std=0.01)
            else:
                nn.init.xavier_normal_(module.weight)
    return net


def points(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Points [n, 10], and on which side of a plane they are [n]."""
    x = torch.randn(n, 10, generator=torch.Generator().manual_seed(1))
    return x, (x.sum(1) > 0).long()
