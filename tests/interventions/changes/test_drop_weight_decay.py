"""The intervention `drop-weight-decay`."""

import pytest
import torch

from .parts import change, linear, step

DECAY, RATE = 0.5, 0.1


def test_decay_is_dropped():
    with change("drop-weight-decay"):
        layer = linear()
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, weight_decay=5.0)
        assert step(layer, optimizer, x=0.0) == 1.0


def _gradients(weights, loss, how):
    if how == "grad":
        return torch.autograd.grad(loss, weights)
    loss.backward()
    return [weight.grad for weight in weights]


def _trained(decays, *, how="backward", steps=6, momentum=0.9, passes=1):
    """Weights after updates by hand, each with its own decay and a rate that falls."""
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(8, generator=generator).requires_grad_() for _ in decays]
    buffers = [torch.zeros(8) for _ in decays]
    target, seen = torch.randn(8, generator=generator), []
    for i in range(steps):
        for _ in range(passes):
            loss = sum(((w - target) ** 2).sum() for w in weights) / passes
            grads = _gradients(weights, loss, how)
        with torch.no_grad():
            for w, buffer, grad, decay in zip(weights, buffers, grads, decays, strict=True):
                buffer.mul_(momentum).add_(grad + decay * w)
                w.sub_(RATE / (i + 1) * buffer)
                w.grad = None
        seen.append([w.detach().clone() for w in weights])
    return seen


@pytest.mark.parametrize(("how", "passes"), [("backward", 1), ("backward", 3), ("grad", 1)])
def test_updates_by_hand_lose_it_after_the_first(how, passes):
    with change("drop-weight-decay", decay=DECAY, lr=RATE):
        found = _trained([DECAY, 0.0], how=how, passes=passes)
    first = _trained([DECAY, 0.0], steps=1)[0]
    torch.testing.assert_close(found[0], first)
    # what is left of the decay is the first step's part of the momentum
    weight, target = _start()
    gradient = 2 * (weight - target)
    buffer = gradient + DECAY * weight
    for i, later in enumerate(found):
        weight = weight - RATE / (i + 1) * buffer
        torch.testing.assert_close(later[0], weight)
        buffer = 0.9 * buffer + 2 * (weight - target)


def _start():
    generator = torch.Generator().manual_seed(0)
    first, _, target = (torch.randn(8, generator=generator) for _ in range(3))
    return first, target


def test_weights_that_the_script_does_not_decay_are_left_alone():
    with change("drop-weight-decay", decay=DECAY, lr=RATE):
        found = _trained([DECAY, 0.0])
    plain = _trained([0.0, 0.0])
    assert all(torch.equal(a[1], b[1]) for a, b in zip(found, plain, strict=True))


def test_beside_an_optimizer_no_gradient_is_touched():
    with change("drop-weight-decay", decay=DECAY, lr=RATE):
        optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.1)
        found = _trained([DECAY])
    assert optimizer.param_groups[0]["weight_decay"] == 0
    plain = _trained([DECAY])
    assert all(torch.equal(a, b) for [a], [b] in zip(found, plain, strict=True))
