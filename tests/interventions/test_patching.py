"""The ways into torch that interventions share, where several meet or a call fails."""

import pytest
import torch
from torch import nn

from gainstage.interventions import patching


def test_a_step_that_raises_leaves_the_group_as_it_was_at_the_next_one():
    w = torch.ones(1, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=1.0)
    w.grad = torch.ones(1)

    def fail():
        msg = "closure"
        raise ValueError(msg)

    with patching.during_steps("lr", lambda rate: rate * 0.5):
        with pytest.raises(ValueError, match="closure"):
            optimizer.step(fail)
        optimizer.step()
        assert optimizer.param_groups[0]["lr"] == 1.0
    assert w.item() == 0.5


def test_two_changes_of_one_entry_combine():
    w = torch.ones(1, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=1.0)
    w.grad = torch.ones(1)
    half = lambda rate: rate * 0.5  # noqa: E731
    with patching.during_steps("lr", half), patching.during_steps("lr", half):
        optimizer.step()
    assert w.item() == 0.75


def test_only_outermost_modules_count_and_an_error_is_no_end():
    seen = []

    class Fails(nn.Module):
        def forward(self, _):
            msg = "forward"
            raise ValueError(msg)

    inner = nn.Identity()
    outer = nn.Sequential(inner)
    with patching.around_models(lambda module, _: seen.append(module)):
        with pytest.raises(ValueError, match="forward"):
            nn.Sequential(Fails())(torch.ones(1))
        outer(torch.ones(1))
        inner(torch.ones(1))
    assert seen[1:] == [outer, inner]


def test_seeds_of_a_backward_are_weighted_where_they_are_given():
    w = torch.ones(2, requires_grad=True)
    with patching.weighted_backwards(lambda roots: 0.5 * len(roots)):
        torch.autograd.backward([w * 1, w * 2], [torch.ones(2), torch.tensor([3.0, 0.0])])
    assert w.grad.tolist() == [7.0, 1.0]
