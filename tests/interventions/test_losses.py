"""Interventions on what a loss is given: scores, logarithms, shapes."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gainstage.interventions import Change, applied
from gainstage.probe.criterion import Criterion
from gainstage.probe.functions import FunctionTap


def change(name, **params):
    return applied([Change(name, params)])


def test_the_softmax_before_cross_entropy_is_unwound():
    logits = torch.tensor([[2.0, -1.0, 0.5]], requires_grad=True)
    target = torch.tensor([1])
    wanted = F.cross_entropy(logits, target)
    (gradient,) = torch.autograd.grad(wanted, logits)
    with change("remove-softmax"):
        got = F.cross_entropy(logits.softmax(1), target)
        assert F.cross_entropy(logits, target) == wanted
    assert got.item() == pytest.approx(wanted.item(), rel=1e-5)
    assert torch.allclose(torch.autograd.grad(got, logits)[0], gradient, atol=1e-5)


@pytest.mark.parametrize(
    "moved",
    [
        lambda p: p.reshape(-1, 3),
        lambda p: p.transpose(0, 1).flatten(0, 1),
        lambda p: p[torch.tensor([[True, False], [True, True]])],
        lambda p: p.view(4, 3).contiguous().clone(),
        lambda p: p[:, 0],
    ],
)
def test_a_softmax_is_known_behind_views_and_selections(moved):
    logits = torch.randn(2, 2, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    rows = moved(logits)
    wanted = F.cross_entropy(rows, torch.arange(len(rows)) % 3)
    with change("remove-softmax"):
        got = F.cross_entropy(moved(logits.softmax(-1)), torch.arange(len(rows)) % 3)
    assert got.item() == pytest.approx(wanted.item(), rel=1e-5)


def test_a_softmax_written_out_by_hand_is_unwound():
    logits = torch.tensor([[2.0, -1.0, 0.5], [0.1, 0.2, 0.3]], requires_grad=True)
    with change("remove-softmax"):
        got = F.cross_entropy(
            logits.exp() / logits.exp().sum(1, keepdim=True), torch.tensor([1, 2])
        )
    assert got.item() == pytest.approx(F.cross_entropy(logits, torch.tensor([1, 2])).item())


def test_the_sigmoid_before_a_loss_of_logits_is_unwound():
    logits, target = torch.tensor([1.5, -2.0], requires_grad=True), torch.tensor([1.0, 1.0])
    wanted = F.binary_cross_entropy_with_logits(logits, target)
    with change("remove-softmax"):
        got = F.binary_cross_entropy_with_logits(torch.sigmoid(logits), target)
    assert got.item() == pytest.approx(wanted.item(), rel=1e-4)


def test_a_sigmoid_is_known_behind_views():
    logits, target = torch.tensor([[1.5], [-2.0]], requires_grad=True), torch.tensor([1.0, 1.0])
    wanted = F.binary_cross_entropy_with_logits(logits.squeeze(1), target)
    with change("remove-softmax"):
        got = F.binary_cross_entropy_with_logits(torch.sigmoid(logits).squeeze(1), target)
    assert got.item() == pytest.approx(wanted.item(), rel=1e-4)


def test_a_yardstick_has_the_value_of_the_logits_and_the_gradient_of_the_script():
    logits, target = torch.tensor([[2.0, -1.0, 0.5]], requires_grad=True), torch.tensor([1])
    own = F.cross_entropy(logits.softmax(1), target)
    (gradient,) = torch.autograd.grad(own, logits)
    with change("remove-softmax", keep_gradient=True):
        measured = F.cross_entropy(logits.softmax(1), target)
    assert measured.item() == pytest.approx(F.cross_entropy(logits, target).item(), rel=1e-5)
    assert torch.allclose(torch.autograd.grad(measured, logits)[0], gradient, atol=1e-6)


def test_scores_become_logarithms_of_probabilities():
    scores = torch.tensor([[2.0, -1.0, 0.5], [0.0, 3.0, 1.0]])
    target = torch.tensor([1, 0])
    wanted = F.cross_entropy(scores, target)
    with change("normalise-scores"):
        assert F.nll_loss(scores, target) == wanted
        assert nn.NLLLoss()(scores, target) == wanted
        assert F.nll_loss(scores.log_softmax(1), target).item() == pytest.approx(wanted.item())
        assert F.nll_loss(scores[0], target[0]) == F.cross_entropy(scores[0], target[0])


@pytest.mark.parametrize("loss", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
@pytest.mark.parametrize("shapes", [((4, 1), (4,)), ((4,), (4, 1)), ((4, 1), (1, 4))])
def test_targets_take_the_shape_of_the_predictions(loss, shapes):
    x, y = torch.arange(4.0), torch.arange(4.0) * 2
    wanted = getattr(F, loss)(x, y)
    with change("match-shapes"):
        assert getattr(F, loss)(x.reshape(shapes[0]), y.reshape(shapes[1])) == wanted


def test_a_single_target_for_all_is_left_as_it_is():
    x = torch.arange(4.0)[:, None]
    with change("match-shapes"):
        assert F.mse_loss(x, torch.zeros(1, 1).expand(4, 1)) == (x * x).mean()


def test_probabilities_become_logarithms():
    scores = torch.tensor([[2.0, -1.0, 0.5]], requires_grad=True)
    target = torch.tensor([1])
    with change("take-logarithm"):
        got = F.nll_loss(scores.softmax(1), target)
        kept = F.nll_loss(scores.log_softmax(1), target)
    assert got.item() == pytest.approx(F.cross_entropy(scores, target).item(), rel=1e-5)
    assert kept.item() == pytest.approx(got.item(), rel=1e-5)


def test_a_loss_that_a_trial_has_changed_keeps_its_chance_level():
    scores = torch.zeros(8, 2, requires_grad=True)
    heard = []
    listener = SimpleNamespace(
        guard=SimpleNamespace(call=lambda tap, act, *args: act(*args)),
        loss_output=lambda function, *_: heard.append(function),
        inside_module=lambda: True,
        criterion=Criterion(),
    )
    original = F.cross_entropy
    with change("remove-softmax"), FunctionTap(listener):
        F.cross_entropy(scores, torch.arange(8) % 2)
    assert heard == [original]


@pytest.mark.parametrize("shapes", [((4, 1), (4,)), ((4,), (4, 1)), ((4, 1), (1, 4))])
def test_differences_by_hand_are_taken_of_one_shape(shapes):
    x, y = torch.arange(4.0).reshape(shapes[0]).requires_grad_(), torch.arange(4.0) * 2
    y = y.reshape(shapes[1])
    with change("match-shapes"):
        for difference in (x - y, torch.sub(x, y), x.sub(y), -(y - x), -y.subtract(x)):
            assert difference.flatten().tolist() == [0.0, -1.0, -2.0, -3.0]
    assert (x - y).numel() == 16


def test_tables_that_are_meant_stay_tables():
    x, y = torch.arange(4.0, requires_grad=True), torch.arange(4.0)
    with change("match-shapes"):
        assert (x[:, None] - x).shape == (4, 4)  # all pairs of the network's answers
        assert (y[:, None] - y).shape == (4, 4)
        assert (x[:, None] - torch.zeros(3)).shape == (4, 3)
        assert (x - 1.0).shape == (4,)
        with pytest.raises(RuntimeError, match="size of tensor"):
            x - torch.zeros(2, 2)
