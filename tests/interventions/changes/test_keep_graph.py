"""The intervention `keep-graph`."""

import pytest
import torch
from torch import nn

from .parts import change, linear


class Cut(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = linear(), linear()

    def forward(self, x):
        return self.second(self.first(x).detach())


def test_the_graph_is_kept_inside_a_model_and_cut_outside():
    model = Cut()
    with change("keep-graph"):
        out = model(torch.ones(1, 1))
        out.sum().backward()
        assert model.first.weight.grad.item() == 1.0
        assert not out.detach().requires_grad
        with torch.no_grad():
            assert not model(torch.ones(1, 1)).requires_grad
    model.zero_grad()
    model(torch.ones(1, 1)).sum().backward()
    assert model.first.weight.grad is None


def test_what_is_detached_between_two_models_reaches_the_first_one():
    first, second = linear(2.0), linear(3.0)
    with change("keep-graph"):
        code = first(torch.ones(1, 1)).detach()
        assert not code.requires_grad  # as whoever logs it wants it
        second(code).sum().backward()
    assert first.weight.grad.item() == 3.0


def test_a_part_under_no_grad_learns_where_that_is_asked_for():
    first, second = linear(2.0), linear(3.0)
    with change("keep-graph", recording=True):
        with torch.no_grad():
            code = first(torch.ones(1, 1))
            assert not torch.is_grad_enabled()
            assert not first.eval()(torch.ones(1, 1)).requires_grad
        second(code).sum().backward()
    assert first.weight.grad.item() == 3.0


class Inner(nn.Module):
    def __init__(self, cut):
        super().__init__()
        self.first, self.second, self.cut = linear(2.0), linear(3.0), cut

    def forward(self, x):
        return self.second(self.cut(self.first, x))


def without_gradient(layer, x):
    with torch.no_grad():
        return layer(x)


@pytest.mark.parametrize(
    "cut",
    [
        without_gradient,
        lambda layer, x: layer(x).data,
        lambda layer, x: torch.tensor(layer(x)),
    ],
)
@pytest.mark.filterwarnings("ignore:To copy construct")
def test_a_graph_that_is_cut_inside_a_model_is_recorded_where_that_is_asked_for(cut):
    kept, lost = Inner(cut), Inner(cut)
    with change("keep-graph", recording=True):
        kept(torch.ones(1, 1)).sum().backward()
        kept.first.weight.data.mul_(2.0)  # an update by hand is none of the graph
        kept.second.weight.data = torch.ones(1, 1)
    lost(torch.ones(1, 1)).sum().backward()
    assert kept.first.weight.grad.item() == 3.0
    assert (kept.first.weight.item(), kept.second.weight.item()) == (4.0, 1.0)
    assert lost.first.weight.grad is None
