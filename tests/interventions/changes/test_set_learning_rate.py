"""The intervention `set-learning-rate`."""

import pytest
import torch

from .parts import change, linear


def test_the_rate_is_set_and_schedules_and_groups_keep_their_proportion():
    layers = [linear(), linear()]
    groups = [{"params": layers[0].parameters()}, {"params": layers[1].parameters(), "lr": 0.4}]
    optimizer = torch.optim.SGD(groups, lr=0.2)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    with change("set-learning-rate", rate=1.0):
        for layer in layers:
            layer(torch.ones(1, 1)).sum().backward()
        optimizer.step()
        assert [layer.weight.item() for layer in layers] == pytest.approx([0.0, -1.0])
        assert [group["lr"] for group in optimizer.param_groups] == [0.2, 0.4]
        scheduler.step()
        optimizer.step()
    assert [layer.weight.item() for layer in layers] == pytest.approx([-0.5, -2.0])
