"""Losses that scripts write out: each has the chance level of the function that it equals."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gainstage.probe.criterion import Criterion
from gainstage.probe.handwritten import Handwritten

N, CLASSES = 12, 3
LABELS = torch.arange(N) * torch.arange(N) % 5 % CLASSES
HOT = F.one_hot(LABELS, CLASSES).float()
SOFT = 0.8 * HOT + 0.2 / CLASSES
ROWS = torch.arange(N)
HITS = (torch.arange(N) % 4 == 0).float()


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


Y = random(N, CLASSES, seed=1)


class Net(nn.Module):
    """Scores of a batch that is always the same."""

    def __init__(self):
        super().__init__()
        self.x = random(N, 5)
        self.w = nn.Parameter(random(5, CLASSES, seed=2))

    def forward(self):
        return self.x @ self.w


def chances(watching_everything, loss, steps=3):
    """The run's chance losses where `loss` is that of a net's scores, and its facts."""
    net = Net()
    with watching_everything() as seen:
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        for _ in range(steps):
            optimizer.zero_grad()
            loss(net()).backward()
            optimizer.step()
    return seen.run("chance_loss"), seen.probe.ending()["facts"]


def as_called(function, target, reduction="mean"):
    """What the run would have, had the script called the function."""
    scores = torch.full((N,) if function is F.binary_cross_entropy else (N, CLASSES), 0.5)
    criterion = Criterion()
    loss = function(scores, target, reduction=reduction)
    criterion.saw(function, (scores, target), {"reduction": reduction}, loss)
    return criterion.take(float(loss))


def squares_by_product(z):
    d = z - Y
    return (d * d).mean()


def normalised(z):
    counts = z.exp()
    return counts / counts.sum(1, keepdim=True)


def hits(z, negative=False):
    p = torch.sigmoid(z[:, 0])
    if negative:
        return -HITS * torch.log(p) - (1 - HITS) * torch.log(1 - p)
    return HITS * p.log() + (1 - HITS) * (1 - p).log()


SQUARES, SIZES = as_called(F.mse_loss, Y), as_called(F.l1_loss, Y)
ENTROPY, SOFT_ENTROPY = as_called(F.nll_loss, LABELS), as_called(F.cross_entropy, SOFT)
BINARY = as_called(F.binary_cross_entropy, HITS)

NUMBERS = {
    "squares": (lambda z: ((z - Y) ** 2).mean(), SQUARES),
    "squares by pow, summed": (lambda z: (z - Y).pow(2).sum(), SQUARES * Y.numel()),
    "squares by product": (squares_by_product, SQUARES),
    "squares of the target less the prediction": (lambda z: (Y - z).square().mean(), SQUARES),
    "squares by torch.sub": (lambda z: torch.sub(z, Y).square().mean(), SQUARES),
    "summed over a row": (lambda z: ((z - Y) ** 2).sum(1).mean(), SQUARES * CLASSES),
    "averaged over a row": (lambda z: ((z - Y) ** 2).mean(1).sum(), SQUARES * N),
    "half": (lambda z: 0.5 * ((z - Y) ** 2).mean(), SQUARES / 2),
    "half, inside": (lambda z: (0.5 * (z - Y) ** 2).mean(), SQUARES / 2),
    "divided by 2n": (lambda z: ((z - Y) ** 2).sum() / (2 * N), SQUARES * CLASSES / 2),
    "flat": (lambda z: ((z - Y).reshape(-1) ** 2).mean(), SQUARES),
    "in double precision": (lambda z: ((z - Y).double() ** 2).mean(), SQUARES),
    "sizes": (lambda z: (z - Y).abs().mean(), SIZES),
}
CLASSIFIED = {
    "labels": (lambda z: -z.log_softmax(1)[ROWS, LABELS].mean(), ENTROPY),
    "labels by range": (lambda z: -z.log_softmax(1)[range(N), LABELS.tolist()].mean(), ENTROPY),
    "labels, summed": (lambda z: -z.log_softmax(1)[ROWS, LABELS].sum(), ENTROPY * N),
    "labels, divided": (lambda z: -z.log_softmax(1)[ROWS, LABELS].sum() / N, ENTROPY),
    "gathered": (lambda z: -z.log_softmax(1).gather(1, LABELS[:, None]).mean(), ENTROPY),
    "gathered, squeezed": (
        lambda z: -torch.gather(z.log_softmax(-1), -1, LABELS[:, None]).squeeze(1).mean(),
        ENTROPY,
    ),
    "taken along": (
        lambda z: -torch.take_along_dim(z.log_softmax(1), LABELS[:, None], dim=1).mean(),
        ENTROPY,
    ),
    "probabilities picked": (lambda z: -z.softmax(1)[ROWS, LABELS].log().mean(), ENTROPY),
    "normalised by hand": (lambda z: -normalised(z)[ROWS, LABELS].log().mean(), ENTROPY),
    "logarithm of these": (lambda z: -normalised(z).log()[ROWS, LABELS].mean(), ENTROPY),
    "less their logsumexp": (
        lambda z: -(z - z.logsumexp(1, keepdim=True))[ROWS, LABELS].mean(),
        ENTROPY,
    ),
    "one-hot": (lambda z: -(HOT * z.log_softmax(1)).sum(1).mean(), ENTROPY),
    "negative one-hot": (lambda z: (-HOT * z.log_softmax(1)).sum(1).mean(), ENTROPY),
    "one-hot, over all": (lambda z: -(z.log_softmax(1) * HOT).mean(), ENTROPY / CLASSES),
    "soft": (lambda z: -torch.sum(SOFT * z.softmax(1).log(), 1).mean(), SOFT_ENTROPY),
    "binary": (lambda z: -hits(z).mean(), BINARY),
    "binary, negative": (lambda z: hits(z, negative=True).sum(), BINARY * N),
    "binary, divided": (lambda z: -1 / N * torch.sum(hits(z)), BINARY),
}


@pytest.mark.parametrize("kind", [*NUMBERS, *CLASSIFIED])
def test_each_has_the_chance_of_the_function_that_it_equals(watching_everything, kind):
    loss, expected = {**NUMBERS, **CLASSIFIED}[kind]
    found, facts = chances(watching_everything, loss)
    assert found == pytest.approx([expected] * 3, rel=1e-5)
    word = kind.split()[0].strip(",")
    if word in {"squares", "sizes"}:
        assert facts["loss"] == {"squares": "mse_loss", "sizes": "l1_loss"}[word]
    if kind in CLASSIFIED:
        assert facts["loss"] in {"nll_loss", "cross_entropy", "binary_cross_entropy"}
        assert facts.get("classes", 2) == (2 if word == "binary" else CLASSES)


def energy(z):
    return ((z - Y) ** 2).mean()


def triplet(z):
    return F.relu((z[0] - z[1]).square().sum() - (z[0] - z[2]).square().sum() + 30.0)


def variational(z):
    mean, log_variance = z[:, :2], z[:, 2:]
    divergence = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).mean()
    return energy(z) + 1e-3 * divergence


MASK = (torch.arange(N) % 3 > 0).float()[:, None]
RETURNS = random(N, seed=3)
UNKNOWN = {
    "of the answer alone": lambda z: z.square().mean(),
    "of a fourth power": lambda z: ((z - Y) ** 4).mean(),
    "the root of squares": lambda z: ((z - Y) ** 2).mean().sqrt(),
    "squares within a mask": lambda z: (MASK * (z - Y) ** 2).sum() / MASK.sum(),
    "a column from a row": lambda z: ((z[:, :1] - Y[:, 0]) ** 2).mean(),
    "one constant for all": lambda z: ((z - Y[:1]) ** 2).mean(),
    "a plain number": lambda z: ((z - 1.0) ** 2).mean(),
    "the same for all": lambda z: ((z - torch.ones(N, CLASSES)) ** 2).mean(),
    "two answers": lambda z: ((z - z.roll(1, 0)) ** 2).mean(),
    "an answer that was cut off": lambda z: ((z - z.detach().flip(0)) ** 2).mean(),
    "two terms": lambda z: energy(z) + (z - 2 * Y).abs().mean(),
    "of distances": triplet,
    "with a divergence": variational,
    "with one of activations": lambda z: energy(z) + 1e-3 * z.abs().mean(),
    "weighted by returns": lambda z: -(z.log_softmax(1)[ROWS, LABELS] * RETURNS).mean(),
    "with one return": lambda z: -z.log_softmax(1)[ROWS, LABELS].mean() * 1.37,
    "against the probabilities": lambda z: 30 + z.log_softmax(1)[ROWS, LABELS].mean(),
    "scores that are picked": lambda z: 30 - z[ROWS, LABELS].mean(),
    "without the ignored": lambda z: -(HOT * MASK * z.log_softmax(1)).sum(1).mean(),
    "the entropy of the answer": lambda z: -(z.softmax(1) * z.log_softmax(1)).sum(1).mean(),
    "a judge's": lambda z: -(z.sigmoid().log() + (1 - z.flip(0).sigmoid()).log()).mean(),
    "binary, of two answers": lambda z: (
        -(HITS * z[:, 0].sigmoid().log() + (1 - HITS) * z[:, 1].sigmoid().log()).mean()
    ),
}


@pytest.mark.parametrize("kind", UNKNOWN)
def test_what_only_looks_like_one_is_unknown(watching_everything, kind):
    found, _ = chances(watching_everything, UNKNOWN[kind])
    assert len(found) == 3
    assert all(map(math.isnan, found))


def test_a_penalty_of_the_parameters_is_left_out(watching_everything):
    net, penalties = Net(), []
    with watching_everything() as seen:
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        for _ in range(3):
            optimizer.zero_grad()
            penalty = 1e-3 * net.w.pow(2).sum() + 1e-3 * net.w.abs().sum()
            penalties.append(float(penalty.detach()))
            (energy(net()) + penalty).backward()
            optimizer.step()
    assert seen.run("chance_loss") == pytest.approx([SQUARES + p for p in penalties], rel=1e-5)


def test_a_report_of_the_last_answer_is_no_target(watching_everything):
    net = Net()
    with watching_everything() as seen:
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        for _ in range(3):
            optimizer.zero_grad()
            z = net()
            energy(z).backward()
            optimizer.step()
            float((z.detach() - Y).abs().max())
    assert seen.run("chance_loss") == pytest.approx([SQUARES] * 3, rel=1e-5)


def test_an_anchor_is_no_target(watching_everything):
    w, anchor = nn.Parameter(random(5, 3)), random(5, 3, seed=1)
    with watching_everything() as seen:
        optimizer = torch.optim.SGD([w], lr=0.01)
        for _ in range(3):
            optimizer.zero_grad()
            ((w - anchor) ** 2).mean().backward()
            optimizer.step()
    assert all(map(math.isnan, seen.run("chance_loss")))


def test_what_another_network_answers_is_no_target(watching_everything):
    net, teacher = nn.Linear(4, 2), nn.Linear(4, 2)
    x, noise = random(8, 4), random(8, 2, seed=1)
    with watching_everything() as seen:
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        for taught in (True, False):
            optimizer.zero_grad()
            target = noise
            if taught:
                with torch.no_grad():
                    target = noise + 0.9 * teacher(x)
            ((net(x) - target) ** 2).mean().backward()
            optimizer.step()
    taught, own = seen.run("chance_loss")
    assert math.isnan(taught)
    assert own == pytest.approx(float(noise.var(0, correction=0).mean()))


def test_bare_tensors_that_are_stepped_by_hand(watching_everything):
    x, y = random(64, 4), random(64, 1, seed=1)
    w1, b1 = random(4, 8, seed=2).requires_grad_(), torch.zeros(8, requires_grad=True)
    w2 = random(8, 1, seed=3).requires_grad_()
    batches = [torch.arange(i, i + 16) for i in (0, 16, 32)]
    with watching_everything() as seen:
        for batch in batches:
            loss = (torch.tanh(x[batch] @ w1 + b1) @ w2 - y[batch]).pow(2).mean()
            loss.backward()
            with torch.no_grad():
                for parameter in (w1, b1, w2):
                    parameter.sub_(0.01 * parameter.grad)
                    parameter.grad.zero_()
    means = [y[: 16 * (i + 1)].mean() for i in range(3)]
    expected = [float((y[b] - m).square().mean()) for b, m in zip(batches, means, strict=True)]
    assert seen.run("chance_loss") == pytest.approx(expected, rel=1e-5)


def test_a_loss_in_a_module_of_the_scripts_own(watching_everything):
    class Loss(nn.Module):
        def forward(self, z, y):
            return ((z - y) ** 2).mean()

    found, _ = chances(watching_everything, lambda z: Loss()(z, Y))
    assert found == pytest.approx([SQUARES] * 3, rel=1e-5)


def test_a_function_that_is_called_is_followed_as_it_always_was(watching_everything):
    found, facts = chances(watching_everything, lambda z: F.mse_loss(z - Y, torch.zeros_like(Y)))
    assert found == [0.0] * 3
    assert facts["loss"] == "mse_loss"


def test_a_target_that_is_changed_in_place_is_unknown(watching_everything):
    y = Y.clone()

    def loss(z):
        energy = ((z - y) ** 2).mean()
        y.add_(1.0)
        return energy

    found, _ = chances(watching_everything, loss)
    assert all(map(math.isnan, found))


def test_once_in_doubt_it_looks_no_more(watching_everything):
    weights = iter([1.0, 1.37, 1.0])
    found, _ = chances(
        watching_everything, lambda z: next(weights) * -z.log_softmax(1)[ROWS, LABELS].mean()
    )
    assert found[0] == pytest.approx(ENTROPY, rel=1e-5)
    assert all(map(math.isnan, found[1:]))


def test_it_looks_at_the_first_backwards_and_then_at_powers_of_two():
    w, y = torch.ones(4, 1, requires_grad=True), torch.arange(4.0)[:, None]

    def looked(written, *, found=False, called=False):
        times = []
        for n in range(1, 600):
            if written.looking:
                times.append(n)
            if found and written.looking:
                z = w * 2
                d = z - y
                written.saw(torch.sub, (z, y), {}, d)
                assert written.read((d * d).mean()) is not None
            written.over([], called=called)
        return times

    powers = [128, 256, 512]
    assert looked(Handwritten(), found=True) == [*range(1, 65), *powers]
    assert looked(Handwritten()) == [*range(1, 9), 16, 32, 64, *powers]
    assert looked(Handwritten(), called=True) == [*range(1, 9), 16, 32, 64, *powers]


@pytest.mark.parametrize("kind", [*NUMBERS, *CLASSIFIED])
def test_to_look_changes_no_bit(watching_everything, kind):
    loss, _ = {**NUMBERS, **CLASSIFIED}[kind]

    def trained():
        net = Net()
        optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            loss(net()).backward()
            optimizer.step()
        return net.w.detach(), torch.get_rng_state()

    alone = trained()
    with watching_everything():
        watched = trained()
    assert all(map(torch.equal, alone, watched))


def test_a_checkpoint_is_not_run_again_to_look(watching_everything):
    net, calls = Net(), []

    def loss(w):
        calls.append(1)
        return -(net.x @ w).log_softmax(1)[ROWS, LABELS].mean()

    with watching_everything() as seen:
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        for _ in range(2):
            optimizer.zero_grad()
            torch.utils.checkpoint.checkpoint(loss, net.w, use_reentrant=False).backward()
            optimizer.step()
    assert len(calls) == 4
    assert seen.run("chance_loss") == pytest.approx([ENTROPY] * 2, rel=1e-5)


def test_what_a_second_target_is_taken_from_is_no_prediction():
    w, x = torch.randn(3, 2, requires_grad=True), torch.randn(8, 3)
    written, prediction = Handwritten(), x @ w
    first, second = torch.randn(8, 2), torch.randn(8, 2)
    residual = prediction - first
    written.saw(torch.sub, (prediction, first), {}, residual)
    difference = residual - second
    written.saw(torch.sub, (residual, second), {}, difference)
    assert written.read((difference**2).mean()) is None
