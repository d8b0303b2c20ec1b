"""The chance loss: what the best constant prediction would cost, on the scale of the loss."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from gainstage.probe.criterion import Criterion

LABELS = torch.tensor([0, 0, 0, 1])
SHARES = np.array([0.75, 0.25, 0.0])
ENTROPY = float(-(SHARES[:2] * np.log(SHARES[:2])).sum())


def chance(function, *args, scale=1.0, extra=0.0, **kwargs):
    """Chance loss beside a backward from ``scale * loss + extra``."""
    criterion = Criterion()
    with torch.no_grad():
        loss = function(*args, **kwargs)
    criterion.saw(function, args, kwargs, loss)
    return criterion.take(float(loss) * scale + extra)


def logits(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def one_hot(labels):
    return F.one_hot(labels, 3).float()


def smoothed(epsilon):
    shares = (1 - epsilon) * SHARES + epsilon / 3
    return float(-(shares * np.log(shares)).sum())


RATE = 0.75
BINARY = float(-(RATE * math.log(RATE) + (1 - RATE) * math.log(1 - RATE)))
RATES = torch.tensor([[1.0], [1.0], [0.0], [1.0]])
ROWS = torch.tensor([[1.0, 10.0], [3.0, 10.0], [5.0, 40.0]])
VARIANCE = float(ROWS.double().var(0, unbiased=False).mean())

CASES = {
    "labels": (F.cross_entropy, (logits(4, 3), LABELS), {}, ENTROPY),
    "labels, summed": (F.cross_entropy, (logits(4, 3), LABELS), {"reduction": "sum"}, 4 * ENTROPY),
    "smoothed": (F.cross_entropy, (logits(4, 3), LABELS), {"label_smoothing": 0.1}, smoothed(0.1)),
    "by keyword": (F.cross_entropy, (), {"input": logits(4, 3), "target": LABELS}, ENTROPY),
    "probabilities": (F.cross_entropy, (logits(4, 3), one_hot(LABELS)), {}, ENTROPY),
    "probabilities, summed": (
        F.cross_entropy,
        (logits(4, 3), one_hot(LABELS)),
        {"reduction": "sum"},
        4 * ENTROPY,
    ),
    "some ignored": (
        F.cross_entropy,
        (logits(6, 3), torch.tensor([0, 0, -100, 0, 1, -100])),
        {},
        ENTROPY,
    ),
    "some ignored, summed": (
        F.cross_entropy,
        (logits(6, 3), torch.tensor([0, 0, -100, 0, 1, -100])),
        {"reduction": "sum"},
        4 * ENTROPY,
    ),
    "labels by position": (F.cross_entropy, (logits(2, 3, 2), LABELS.reshape(2, 2)), {}, ENTROPY),
    "probabilities by position": (
        F.cross_entropy,
        (logits(1, 3, 4), one_hot(LABELS).T.reshape(1, 3, 4)),
        {},
        ENTROPY,
    ),
    "one sample": (F.cross_entropy, (logits(3), torch.tensor(1)), {}, 0.0),
    "log-likelihood": (F.nll_loss, (logits(4, 3).log_softmax(1), LABELS), {}, ENTROPY),
    "logits of one unit": (F.binary_cross_entropy_with_logits, (logits(4, 1), RATES), {}, BINARY),
    "rates of one unit": (F.binary_cross_entropy, (logits(4, 1).sigmoid(), RATES), {}, BINARY),
    "logits, summed": (
        F.binary_cross_entropy_with_logits,
        (logits(4, 1), RATES),
        {"reduction": "sum"},
        4 * BINARY,
    ),
    "logits, rates weighted": (
        F.binary_cross_entropy_with_logits,
        (logits(4, 1), RATES),
        {"pos_weight": torch.tensor([1.0])},
        BINARY,
    ),
    "squares": (F.mse_loss, (logits(3, 2), ROWS), {}, VARIANCE),
    "squares of a vector": (
        F.mse_loss,
        (logits(3), ROWS[:, 0]),
        {},
        float(ROWS[:, 0].double().var(unbiased=False)),
    ),
    "squares, summed": (F.mse_loss, (logits(3, 2), ROWS), {"reduction": "sum"}, 6 * VARIANCE),
    "squares of images": (
        F.mse_loss,
        (logits(3, 2, 1), ROWS.unsqueeze(-1)),
        {},
        VARIANCE,
    ),
    "half precision": (F.mse_loss, (logits(3, 2).bfloat16(), ROWS.bfloat16()), {}, VARIANCE),
}


@pytest.mark.parametrize("kind", CASES)
def test_the_chance_loss_of_each_function_is_the_one_worked_out_by_hand(kind):
    function, args, kwargs, expected = CASES[kind]
    assert chance(function, *args, **kwargs) == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("scale", "extra", "expected"),
    [
        (1.0, 0.0, ENTROPY),
        (1 / 2, 0.0, ENTROPY / 2),
        (1 / 8, 0.0, ENTROPY / 8),
        (1.0, 0.1, ENTROPY + 0.1),
        (1.0, 50.0, math.nan),
        (0.0, 0.0, math.nan),
        (math.inf, 0.0, math.nan),
        (math.nan, 0.0, math.nan),
        (0.37, 0.0, math.nan),
    ],
)
def test_the_chance_follows_the_scale_of_the_backward(scale, extra, expected):
    found = chance(F.cross_entropy, logits(4, 3), LABELS, scale=scale, extra=extra)
    assert found == pytest.approx(expected, rel=1e-5, nan_ok=True)


UNKNOWN = {
    "no call": lambda _: None,
    "another shape": lambda c: c.saw(F.mse_loss, (logits(3, 1), ROWS[:, 0]), {}, torch.ones(())),
    "not reduced": lambda c: c.saw(
        F.mse_loss, (logits(3, 2), ROWS), {"reduction": "none"}, torch.ones(3, 2)
    ),
    "no target": lambda c: c.saw(F.mse_loss, (logits(3, 2),), {}, torch.ones(())),
}


@pytest.mark.parametrize("kind", UNKNOWN)
def test_what_is_unknown_is_nan(kind):
    criterion = Criterion()
    UNKNOWN[kind](criterion)
    assert math.isnan(criterion.take(1.0))


def test_targets_accumulate_over_the_run():
    criterion = Criterion()
    for labels, expected in (
        (torch.tensor([0, 0]), 0.0),
        (torch.tensor([1, 1]), math.log(2)),
        (torch.tensor([2, 2]), math.log(3)),
    ):
        loss = F.cross_entropy(logits(2, 3), labels)
        criterion.saw(F.cross_entropy, (logits(2, 3), labels), {}, loss)
        assert criterion.take(float(loss)) == pytest.approx(expected, abs=1e-12)
    assert criterion.facts == {"loss": "cross_entropy", "classes": 3}


def test_two_calls_before_one_backward_add_up():
    criterion = Criterion()
    total = 0.0
    for _ in range(2):
        loss = F.cross_entropy(logits(4, 3), LABELS)
        criterion.saw(F.cross_entropy, (logits(4, 3), LABELS), {}, loss)
        total += float(loss)
    assert criterion.take(total) == pytest.approx(2 * ENTROPY)
    assert math.isnan(criterion.take(total))


def test_the_chance_loss_of_a_training_is_recorded(watching_everything):
    torch.manual_seed(0)
    net = torch.nn.Linear(4, 3)
    criterion = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with watching_everything() as seen:
        for _ in range(3):
            optimizer.zero_grad()
            criterion(net(torch.randn(4, 4)), LABELS).backward()
            optimizer.step()
    assert seen.run("chance_loss") == pytest.approx([ENTROPY] * 3)
    assert seen.probe.forward.criterion.facts == {"loss": "cross_entropy", "classes": 3}


def test_micro_batches_have_the_chance_loss_of_their_sum(watching_everything):
    net = torch.nn.Linear(4, 3)
    with watching_everything() as seen:
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(4):
            (F.cross_entropy(net(torch.randn(4, 4)), LABELS) / 4).backward()
        optimizer.step()
    assert seen.run("chance_loss") == pytest.approx([ENTROPY])


def test_a_validation_before_the_step_does_not_hide_the_chance_level():
    criterion = Criterion()
    target = torch.tensor([0, 1])
    for _ in range(3):  # a validation with gradients enabled, on other predictions
        prediction = torch.randn(2, 2, requires_grad=True)
        loss = F.cross_entropy(prediction, target)
        criterion.saw(F.cross_entropy, (prediction, target), {}, loss)
    assert criterion.take(float(loss.detach())) == pytest.approx(math.log(2))


def test_ignored_labels_do_not_count():
    criterion = Criterion()
    prediction = torch.randn(8, 4, requires_grad=True)
    target = torch.tensor([0, 0, 0, 0, 1, 2, 1, 2])
    loss = F.cross_entropy(prediction, target, ignore_index=0)
    criterion.saw(F.cross_entropy, (prediction, target), {"ignore_index": 0}, loss)
    assert criterion.take(float(loss.detach())) == pytest.approx(math.log(2))


def test_class_weights_make_the_chance_level_unknown():
    criterion = Criterion()
    prediction = torch.randn(8, 2, requires_grad=True)
    target, weight = torch.arange(8) % 2, torch.tensor([1.0, 3.0])
    loss = F.cross_entropy(prediction, target, weight=weight)
    criterion.saw(F.cross_entropy, (prediction, target), {"weight": weight}, loss)
    assert math.isnan(criterion.take(float(loss.detach())))


@pytest.mark.parametrize("factor", [8.0, 65536.0])
def test_a_gradient_scalers_factor_is_taken_out(factor):
    criterion = Criterion()
    prediction, target = torch.randn(8, 2, requires_grad=True), torch.arange(8) % 2
    loss = F.cross_entropy(prediction, target)
    criterion.saw(F.cross_entropy, (prediction, target), {}, loss)
    value = criterion.unscaled(factor * float(loss.detach()))
    assert value == pytest.approx(float(loss.detach()))
    assert criterion.take(value) == pytest.approx(math.log(2))


@pytest.mark.parametrize("loss", [0.7, 1.4, -3.0, 0.0, math.nan, math.inf, 70.0])
def test_any_other_factor_stays(loss):
    criterion = Criterion()
    assert criterion.unscaled(loss) == pytest.approx(loss, nan_ok=True)
    prediction, target = torch.zeros(4, 2, requires_grad=True), torch.arange(4) % 2
    criterion.saw(F.cross_entropy, (prediction, target), {}, F.cross_entropy(prediction, target))
    assert criterion.unscaled(loss) == pytest.approx(loss, nan_ok=True)


@pytest.mark.parametrize("probable", [True, False])
def test_scores_that_are_probabilities_however_they_were_made(watching_everything, probable):
    scores = torch.randn(6, 3, requires_grad=True)
    with watching_everything() as seen:
        given = scores.exp() / scores.exp().sum(1, keepdim=True) if probable else scores.exp()
        F.cross_entropy(given, torch.arange(6) % 3).backward()
    facts = seen.probe.ending()["facts"]
    wanted = {"loss": "cross_entropy", "input": "probabilities"} if probable else None
    assert facts.get("squashed_twice") == wanted


def test_a_graph_that_squashes_twice_is_a_fact_of_the_run(watching, mlp):
    optimizer = torch.optim.SGD(mlp.parameters(), lr=0.1)
    with watching(mlp, optimizer) as seen:
        F.cross_entropy(mlp(torch.randn(6, 4)).softmax(1), torch.arange(6) % 3).backward()
        optimizer.step()
    found = seen.probe.ending()["facts"]["squashed_twice"]
    assert found == {"loss": "cross_entropy", "input": "softmax"}


def test_a_loss_of_counts_has_no_zero_to_go_to():
    counts = torch.tensor([[2.0], [4.0], [9.0]])
    assert math.isnan(chance(F.poisson_nll_loss, torch.zeros(3, 1), counts))


@pytest.mark.parametrize("shape", [(8,), (8, 1), (4, 2), (4, 1, 2)])
def test_a_constant_knows_how_much_a_hit_counts(shape):
    target = (torch.arange(8) % 4 == 0).float().reshape(shape)
    weight = torch.full(shape[1:] or (1,), 9.0)
    rate = target.flatten(1).mean(0) if target.dim() > 1 else target.mean()
    best = (
        torch.logit(9 * rate / (9 * rate + 1 - rate), eps=1e-6)
        .expand_as(target.flatten(1) if target.dim() > 1 else target)
        .reshape(shape)
    )
    wanted = float(F.binary_cross_entropy_with_logits(best, target, pos_weight=weight))
    found = chance(
        F.binary_cross_entropy_with_logits, torch.zeros(shape), target, pos_weight=weight
    )
    assert found == pytest.approx(wanted, rel=1e-3)


def test_a_target_that_is_trained_itself_has_no_constant_answer():
    one, other = (logits(4, 3).requires_grad_() for _ in range(2))
    assert math.isnan(chance(F.mse_loss, one, other))
    assert chance(F.mse_loss, one, other.detach()) > 0
    criterion = Criterion()
    with torch.no_grad():
        loss = F.mse_loss(one, other)
    criterion.saw(F.mse_loss, (one, other), {}, loss)
    assert criterion.facts == {"loss": "mse_loss", "targets": "trained"}


def test_prediction_and_target_may_be_swapped():
    scores, numbers = logits(4, 3).requires_grad_(), one_hot(LABELS)
    for function in (F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss):
        assert chance(function, numbers, scores) == pytest.approx(chance(function, scores, numbers))
