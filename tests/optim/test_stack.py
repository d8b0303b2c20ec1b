"""Operations on many tensors, and without torch's private ones."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gainstage.optim.stack import Stack
from gainstage.torch_private import foreach


@settings(deadline=None)  # the first call of each operation loads it
@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.floats(-2, 2))
def test_each_tensor_is_treated_as_it_would_be_alone(sizes, alpha):
    alone = [torch.arange(float(size)) for size in sizes]
    stack, other = Stack([t.clone() for t in alone]), Stack([t + 1 for t in alone])
    assert stack.add_(other, alpha=alpha) is stack
    result = stack.mul_(0.5).addcmul(other, other, value=2)
    for tensor, expected in zip(result.tensors, alone, strict=True):
        torch.testing.assert_close(
            tensor, expected.add(expected + 1, alpha=alpha).mul(0.5) + 2 * (expected + 1) ** 2
        )


def test_where_torch_has_no_such_operation_it_goes_one_by_one(monkeypatch):
    monkeypatch.delattr(torch, "_foreach_add_")
    monkeypatch.delattr(torch, "_foreach_sqrt")
    stack = Stack([torch.ones(2), torch.zeros(1)])
    stack.add_(Stack([torch.ones(2), torch.ones(1)]), alpha=3).add_(5)
    assert [t.square().tolist() for t in stack.sqrt().tensors] == [[9, 9], [pytest.approx(8)]]


def test_what_tensors_cannot_do_stacks_cannot():
    with pytest.raises(AttributeError, match="frobnicate"):
        foreach("frobnicate")
