"""Rate and decay of updates by hand: closed forms, torch's optimisers, and other rules."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gainstage.probe.rates import MOST, FirstUpdate, Update, infer

SHAPES = ((20, 30), (30, 10), (10,))


def _weights(*, dtype=torch.float32, scale=0.1):
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(s, generator=generator, dtype=dtype) * scale for s in SHAPES]
    for weight in weights:
        weight.requires_grad_()
        weight.grad = 0.01 * torch.randn(weight.shape, generator=generator, dtype=dtype)
    return weights


def _named(weights):
    return [(f"w{i}", weight) for i, weight in enumerate(weights)]


def _found(step, weights=None):
    """What is inferred of the first update that `step` makes of some weights."""
    weights = _weights() if weights is None else weights
    first = FirstUpdate()
    first.keep((name, weight, weight.grad) for name, weight in _named(weights))
    with torch.no_grad():
        step(weights)
    found = first.infer(_named(weights))
    assert first.over
    return found


def _by(rule, **options):
    """A first step by an optimiser of torch, which is made when it is taken."""

    def step(weights):
        with torch.enable_grad():
            rule(weights, **options).step()

    return step


DESCENTS = {
    "descent": ({}, 1.0),
    "momentum": ({"momentum": 0.9}, 1.0),
    "dampened, which torch's first step is not": ({"momentum": 0.9, "dampening": 0.5}, 1.0),
    "nesterov": ({"momentum": 0.9, "nesterov": True}, 1.9),
}


@pytest.mark.parametrize("decay", [0.0, 1e-4, 0.1])
@pytest.mark.parametrize("name", DESCENTS)
def test_descent_is_seen_through(name, decay):
    options, factor = DESCENTS[name]
    found = _found(_by(torch.optim.SGD, lr=0.03, weight_decay=decay, **options))
    assert found is not None
    assert found.lr == pytest.approx(factor * 0.03, rel=1e-4)
    assert found.weight_decay == pytest.approx(decay, rel=2e-2)
    assert not found.decoupled


@pytest.mark.parametrize("decay", [0.01, 0.1, 3.0])
def test_decay_beside_normalised_gradients_is_decoupled(decay):
    found = _found(_by(torch.optim.AdamW, lr=0.003, weight_decay=decay))
    assert found is not None
    assert (found.lr, found.decoupled) == (pytest.approx(0.003, rel=1e-4), True)
    assert found.weight_decay == pytest.approx(decay, rel=1e-2)


@given(
    lr=st.floats(1e-4, 10),
    decay=st.floats(1e-4, 10) | st.just(0.0),
    kept=st.floats(1e-3, 1),
    seed=st.integers(0, 2**16),
)
def test_any_rate_and_decay_come_back(lr, decay, kept, seed):
    updates = []
    for weight, grad in np.random.default_rng(seed).normal(size=(2, 2, 200)):
        after = weight - lr * (kept * grad + decay * weight)
        updates.append(Update(weight, after, grad, kept, 2.0**-53))
    found = infer(updates)
    assert found is not None
    assert found.lr == pytest.approx(lr, rel=1e-6)
    assert found.weight_decay == pytest.approx(decay, rel=1e-6, abs=1e-9)


def _noisy_signs(weights):
    generator = torch.Generator().manual_seed(1)
    for w in weights:
        w.sub_(0.01 * w.grad.sign() + 1e-3 * torch.randn(w.shape, generator=generator))


def _projected(weights):
    for w in weights:
        w.sub_(0.1 * w.grad)
        w.div_(w.norm())


def _orthogonal(weights):
    for w in weights:
        if w.dim() > 1:
            u, _, v = torch.linalg.svd(w.grad, full_matrices=False)
            w.sub_(0.01 * u @ v)
        else:
            w.sub_(0.1 * w.grad)


def _clamped(weights):
    for w in weights:
        w.sub_(0.1 * w.grad).clamp_(-0.1, 0.1)


def _second(weights):
    buffers = [torch.randn(w.shape, generator=torch.Generator().manual_seed(7)) for w in weights]
    for w, buffer in zip(weights, buffers, strict=True):
        w.sub_(0.1 * (0.9 * 0.01 * buffer + w.grad))


def _own_decays(weights):
    for share, w in zip((0.1, 0.5, 0.0), weights, strict=True):
        w.sub_(0.1 * (w.grad + share * w))


def _growing(weights):
    for w in weights:
        w.sub_(0.1 * (w.grad - 0.1 * w))


ODD = {
    "signs with noise": _noisy_signs,
    "signs": lambda weights: [w.sub_(0.01 * w.grad.sign()) for w in weights],
    "projected on a sphere": _projected,
    "orthogonal updates": _orthogonal,
    "kept within bounds": _clamped,
    "a buffer that was not zero": _second,
    "each weight another decay": _own_decays,
    "negative decay": _growing,
    "nothing at all": lambda _: None,
    "decay alone": lambda weights: [w.mul_(0.99) for w in weights],
    "decay within Adam": _by(torch.optim.Adam, lr=0.01, weight_decay=0.1),
    "Adam": _by(torch.optim.Adam, lr=0.01),
    "RMSprop": _by(torch.optim.RMSprop, lr=0.01, weight_decay=0.1),
    "Adadelta": _by(torch.optim.Adadelta, lr=1.0, weight_decay=0.1),
}


@pytest.mark.parametrize("name", ODD)
def test_of_other_rules_nothing_is_claimed(name):
    assert _found(ODD[name]) is None


def test_steps_by_the_sign_of_faint_gradients_tell_their_decay():
    generator = np.random.default_rng(0)
    updates = []
    for _ in range(2):
        weight, grad = generator.normal(size=(2, 200)) * [[0.1], [1e-9]]
        updates.append(Update(weight, weight * 0.95 - 1e-3 * np.sign(grad), grad))
    found = infer(updates)
    assert found.decoupled
    assert (found.lr, found.weight_decay) == (pytest.approx(1e-3), pytest.approx(50.0))


def test_a_quasi_newton_step_is_no_descent():
    weights = _weights()
    first = FirstUpdate()
    first.keep((name, w, w.grad) for name, w in _named(weights))

    def loss():
        optimizer.zero_grad()
        total = sum((w.abs() ** 3).sum() for w in weights)
        total.backward()
        return total

    optimizer = torch.optim.LBFGS(weights, lr=0.5, max_iter=5)
    optimizer.step(loss)
    assert first.infer(_named(weights)) is None


def test_the_decay_is_that_of_the_weights_which_decay():
    def step(weights):
        for w in weights[:2]:
            w.sub_(0.1 * (w.grad + 0.02 * w))

    weights = [*_weights(), torch.randn(100, generator=torch.Generator().manual_seed(3))]
    weights[-1].grad = torch.ones(100)
    found = _found(lambda ws: (step(ws), ws[3].sub_(0.1 * ws[3].grad)), weights)
    assert found is not None
    assert found.weight_decay == pytest.approx(0.02, rel=1e-3)


@pytest.mark.parametrize("seed", range(20))
def test_rounding_is_no_decay(seed):
    generator = torch.Generator().manual_seed(seed)
    weights = [torch.randn(50, generator=generator) for _ in range(6)]
    for w in weights:
        w.grad = 0.02 * torch.randn(50, generator=generator)
    found = _found(lambda ws: [w.sub_(0.005 * w.grad) for w in ws], weights)
    assert found is not None
    assert found.weight_decay == 0


def test_one_weight_alone_proves_nothing():
    assert _found(lambda ws: ws[0].sub_(0.1 * ws[0].grad), _weights()[:1]) is None


def test_what_rounding_hides_is_not_claimed():
    weights = _weights(dtype=torch.bfloat16)
    assert _found(lambda ws: [w.sub_(1e-3 * (w.grad + 1e-4 * w)) for w in ws], weights) is None


CHANGES = {
    "clipped": (lambda w: w.grad.mul_(0.25), lambda w: 0.1 * (w.grad + 0.02 * w)),
    "clipped anew": (lambda w: _put(w, w.grad * 0.25), lambda w: 0.1 * (w.grad + 0.02 * w)),
    "decay added in place": (lambda w: w.grad.add_(0.02 * w), lambda w: 0.1 * w.grad),
    "clipped, then decayed in place": (
        lambda w: w.grad.mul_(0.5).add_(0.02 * w),
        lambda w: 0.1 * w.grad,
    ),
}


def _put(weight, grad):
    weight.grad = grad


def _none(weight):
    weight.grad = None


CLEARINGS = {
    "left there": lambda _: None,
    "cleared to None": _none,
    "zeroed": lambda w: w.grad.zero_(),
    "zeroed behind autograd's back": lambda w: w.grad.data.zero_(),
}


@pytest.mark.parametrize("clearing", ["left there", "cleared to None"])
@pytest.mark.parametrize("name", CHANGES)
def test_gradients_that_the_script_changed_are_told_from_the_rate(name, clearing):
    change, update = CHANGES[name]

    def step(weights):
        for w in weights:
            change(w)
            w.sub_(update(w))
            CLEARINGS[clearing](w)

    found = _found(step)
    if name == "clipped anew" and clearing == "cleared to None":
        expected = (0.025, 0.08)  # nobody has seen that gradient: the same update, told otherwise
    else:
        expected = (0.1, 0.02)
    assert found is not None
    assert (found.lr, found.weight_decay) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("name", CLEARINGS)
def test_gradients_may_be_cleared_at_once(name):
    def step(weights):
        for w in weights:
            w.sub_(0.1 * (w.grad + 0.02 * w))
            CLEARINGS[name](w)

    found = _found(step)
    assert found is not None
    assert (found.lr, found.weight_decay) == pytest.approx((0.1, 0.02), rel=1e-3)


def test_a_gradient_that_was_changed_and_then_zeroed_is_unknown():
    def step(weights):
        for w in weights:
            w.grad.mul_(0.25)
            w.sub_(0.1 * (w.grad + 0.02 * w))
            w.grad.zero_()

    assert _found(step) is None


def test_clipped_element_by_element_is_no_scale():
    def step(weights):
        for w in weights:
            w.grad.clamp_(-0.005, 0.005)
            w.sub_(0.1 * (w.grad + 0.02 * w))

    assert _found(step) is None


def test_of_large_weights_the_first_elements_are_enough():
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(300, 300, generator=generator) for _ in range(2)]
    for w in weights:
        w.grad = torch.randn(300, 300, generator=generator)
    first = FirstUpdate()
    first.keep((name, w, w.grad) for name, w in _named(weights))
    assert {kept.weight.size for kept in first._kept.values()} == {MOST}
    for w in weights:
        w.sub_(0.1 * (w.grad + 0.5 * w))
    found = first.infer(_named(weights))
    assert found is not None
    assert (found.lr, found.weight_decay) == pytest.approx((0.1, 0.5), rel=1e-4)
    assert not first._kept


def test_weights_that_cannot_be_read_are_passed_over():
    first = FirstUpdate()
    sparse = torch.eye(20).to_sparse()
    complex_ = torch.ones(60, dtype=torch.complex64)
    pairs = [
        (torch.ones(20, 20), sparse),
        (complex_, complex_),
        (torch.ones(60, device="meta"),) * 2,
    ]
    first.keep((str(i), *pair) for i, pair in enumerate(pairs))
    assert not first._kept
    first.keep([("w", torch.ones(60), torch.ones(60))])
    first.forget()
    assert first.infer([("w", torch.zeros(60))]) is None
