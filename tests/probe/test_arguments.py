"""What one call of a loss function tells of arguments that do not fit it."""

import pytest
import torch
import torch.nn.functional as F

from gainstage.probe.arguments import looked_at

SCORES = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(6) % 3
COLUMN, ROW = torch.zeros(6, 1), torch.ones(6)


@pytest.mark.parametrize(
    ("function", "scores", "found"),
    [
        (F.cross_entropy, SCORES, ()),
        (F.cross_entropy, SCORES.softmax(1), ("squashed_twice",)),
        (F.nll_loss, SCORES.log_softmax(1), ()),
        (F.nll_loss, SCORES.log_softmax(1).bfloat16(), ()),
        (F.nll_loss, SCORES.softmax(1), ("squashed_twice",)),
        (F.nll_loss, SCORES, ("not_logarithms",)),
        (F.nll_loss, SCORES.log_softmax(0), ("not_logarithms",)),
        (F.nll_loss, SCORES[:1], ()),  # one sample is no rule
        (F.nll_loss, SCORES.log_softmax(1).masked_fill(SCORES < 0, -torch.inf), ()),
        (F.nll_loss, SCORES * torch.nan, ()),
    ],
)
def test_scores_are_what_the_loss_takes(function, scores, found):
    assert tuple(looked_at(function, scores, LABELS)) == found


def test_scores_of_pixels_are_summed_over_the_classes():
    scores = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.zeros(2, 4, 4, dtype=torch.long)
    assert looked_at(F.nll_loss, scores.log_softmax(1), labels) == {}
    told = looked_at(F.nll_loss, scores.log_softmax(2), labels)["not_logarithms"]
    assert told["sum_of_probabilities"] != pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("function", [F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss])
def test_a_column_and_a_row_make_a_table(function):
    told = {"loss": function.__name__, "input": "6 x 1", "target": "6"}
    assert looked_at(function, COLUMN, ROW) == {"broadcast": told}
    assert "broadcast" not in looked_at(function, COLUMN, ROW[:, None])


@pytest.mark.parametrize("target", [torch.tensor(0.3), torch.ones(1), torch.ones(1, 1)])
def test_one_target_for_all_is_meant(target):
    assert "broadcast" not in looked_at(F.mse_loss, COLUMN, target)


def test_shapes_that_do_not_meet_are_the_losss_own_affair():
    assert "broadcast" not in looked_at(F.mse_loss, torch.ones(3), torch.ones(4))


def test_the_level_of_targets_stands_beside_the_answers():
    wanted = {"mean": 1.0, "std": 0.0, "output_rms": 0.0}
    assert looked_at(F.mse_loss, COLUMN, ROW[:, None]) == {"target_level": wanted}
    trained = COLUMN.clone().requires_grad_()
    assert looked_at(F.mse_loss, ROW[:, None], trained) == {"target_level": wanted}
    assert looked_at(F.mse_loss, trained, trained.clone()) == {}


def test_what_cannot_be_compared_has_no_level():
    assert looked_at(F.binary_cross_entropy_with_logits, COLUMN, ROW[:, None]) == {}
