"""Parts of losses: what a call must be to be one, and what is kept of it."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gainstage.probe import lossparts

LABELS = torch.tensor([0, 2, 1, 1])
ROWS = torch.arange(4)


def scores(*shape):
    generator = torch.Generator().manual_seed(0)
    return (torch.randn(shape or (4, 3), generator=generator).requires_grad_() * 1.0).clone()


@given(st.lists(st.tuples(*[st.floats(-1e3, 1e3, width=32)] * 2), min_size=1, max_size=9))
def test_a_difference_has_the_sums_of_its_squares_and_sizes(pairs):
    z, y = torch.tensor(pairs, dtype=torch.float64).T
    z = z.requires_grad_() * 1.0
    for args in ((z, y), (y, z)):
        found = lossparts.difference(args, args[0] - args[1])
        assert found.target is y
        assert found.squares == pytest.approx(sum((a - b) ** 2 for a, b in pairs))
        assert found.sizes == pytest.approx(sum(abs(a - b) for a, b in pairs))
        assert math.isnan(found.minus_log)


NO_DIFFERENCES = {
    "of two answers": lambda: (scores(), scores()),
    "of two constants": lambda: (torch.ones(4, 3), torch.zeros(4, 3)),
    "of two shapes": lambda: (scores(), torch.zeros(3)),
    "from a number": lambda: (scores(), 1.0),
    "from a parameter": lambda: (nn.Parameter(torch.ones(4, 3)), torch.zeros(4, 3)),
    "of nothing": lambda: (scores(0), torch.zeros(0)),
    "of a kind of its own": lambda: (scores(), torch.zeros(4, 3).as_subclass(Own)),
}


class Own(torch.Tensor):
    """A user's own kind of tensor."""


@pytest.mark.parametrize("kind", NO_DIFFERENCES)
def test_other_differences_are_no_parts(kind):
    args = NO_DIFFERENCES[kind]()
    assert lossparts.difference(args, args[0] - args[1]) is None


def test_a_target_that_was_changed_is_known_to_be():
    z, y = scores(), torch.zeros(4, 3)
    found = lossparts.difference((z, y), z - y)
    assert found.unchanged
    y.add_(1)
    assert not found.unchanged


LOGARITHMS = float(-scores().detach().double().log_softmax(1)[ROWS, LABELS].sum())


@pytest.mark.parametrize(
    ("table", "picked"),
    [(torch.log_softmax, "logarithms"), (torch.softmax, "probabilities")],
)
def test_labels_pick_of_probabilities_or_of_their_logarithms(table, picked):
    rows = table(scores(), 1)
    columns = rows.T.contiguous()
    found = [
        lossparts.indexed((rows, (ROWS, LABELS)), rows[ROWS, LABELS]),
        lossparts.gathered((rows, 1, LABELS[:, None]), {}, rows.gather(1, LABELS[:, None])),
        lossparts.gathered(
            (columns,), {"dim": 0, "index": LABELS[None]}, columns.gather(0, LABELS[None])
        ),
    ]
    for part in found:
        assert part.picked == picked
        assert part.classes == 3
        assert part.target.flatten().tolist() == LABELS.tolist()
        assert part.minus_log == pytest.approx(LOGARITHMS, rel=1e-6)


def test_other_choices_are_no_parts():
    z, logs = scores(), scores().log_softmax(1)
    assert lossparts.indexed((z, (ROWS, LABELS)), z[ROWS, LABELS]) is None
    assert lossparts.indexed((logs, LABELS), logs[LABELS]) is None
    assert lossparts.indexed((logs, (ROWS.flip(0), LABELS)), logs[ROWS.flip(0), LABELS]) is None
    assert lossparts.indexed((logs, (ROWS, -LABELS)), logs[ROWS, -LABELS]) is None
    assert lossparts.indexed((logs, (slice(None), LABELS)), logs[:, LABELS]) is None
    two = torch.stack([LABELS, LABELS], 1)
    assert lossparts.gathered((logs, 1, two), {}, logs.gather(1, two)) is None
    assert lossparts.gathered((z, 1, LABELS[:, None]), {}, z.gather(1, LABELS[:, None])) is None
    flat = torch.take_along_dim(logs, LABELS)
    assert lossparts.gathered((logs, LABELS), {}, flat) is None


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("sign", [1, -1])
def test_targets_of_probabilities_have_their_classes_along_an_axis(axis, sign):
    logs = scores(4, 3, 5).log_softmax(axis)
    shares = sign * scores(4, 3, 5).detach().softmax(axis)
    found = lossparts.product((shares, logs), shares * logs)
    assert (found.axis, found.classes) == (axis, logs.shape[axis])
    assert found.minus_log == pytest.approx(float((shares * logs).detach().abs().sum()), rel=1e-5)


def test_shares_without_classes_may_be_one_half_of_a_binary_loss():
    logs, hits = scores(4).sigmoid().log(), torch.tensor([1.0, 0.0, 0.0, 1.0])
    found = lossparts.product((hits, logs), hits * logs)
    assert found.axis is None
    assert found.classes == 0


def test_other_products_are_no_parts():
    logs = scores().log_softmax(1)
    for constant in (torch.full((4, 3), 1.5), torch.randn(4, 3), torch.ones(3), 0.5):
        assert lossparts.product((constant, logs), constant * logs) is None
    mask, z = torch.ones(4, 3), scores()
    assert lossparts.product((mask, z), mask * z) is None
