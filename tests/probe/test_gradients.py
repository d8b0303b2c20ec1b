"""What is said of gradients between a backward and its step: how much was kept, what is stale."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from gainstage.probe.gradients import Fate, Gradients


def _loss(net):
    return net(torch.ones(3, 4)).square().mean()


def _plain(net, optimizer):
    optimizer.zero_grad()
    _loss(net).backward()
    optimizer.step()


def _clipped(net, optimizer):
    optimizer.zero_grad()
    _loss(net).backward()
    norm = nn.utils.clip_grad_norm_(net.parameters(), 1e-3)
    optimizer.step()
    return 1e-3 / float(norm)


def _zeroed_in_place(net, optimizer):
    optimizer.zero_grad(set_to_none=False)
    _loss(net).backward()
    optimizer.step()


def _cleared_after(net, optimizer):
    _loss(net).backward()
    optimizer.step()
    net.zero_grad()


def _accumulated(net, optimizer):
    optimizer.zero_grad()
    for _ in range(3):
        (_loss(net) / 3).backward()
    optimizer.step()


def _closure(net, optimizer):
    def closure():
        optimizer.zero_grad()
        loss = _loss(net)
        loss.backward()
        return loss

    optimizer.step(closure)


def _never_cleared(net, optimizer):
    _loss(net).backward()
    optimizer.step()


HEALTHY = [_plain, _clipped, _zeroed_in_place, _cleared_after, _accumulated, _closure]


@pytest.mark.parametrize("step", [*HEALTHY, _never_cleared])
@pytest.mark.parametrize("every", [1, 2])
def test_stale_are_gradients_that_nobody_cleared_since_the_last_step(watching, mlp, step, every):
    optimizer = torch.optim.SGD(mlp.parameters(), lr=1e-3)
    with watching(mlp, optimizer, every=every) as seen:
        for _ in range(6):
            step(mlp, optimizer)
    stale = [value for value in seen.run("stale_grad") if not math.isnan(value)]
    assert stale[0] == 0.0
    assert set(stale[1:]) == {1.0 if step is _never_cleared else 0.0}


def test_kept_is_the_share_that_a_clipping_left(watching, mlp):
    optimizer = torch.optim.SGD(mlp.parameters(), lr=1e-3)
    with watching(mlp, optimizer) as seen:
        left = [_clipped(mlp, optimizer) for _ in range(4)]
        _plain(mlp, optimizer)
    kept = seen.run("kept_grad")
    assert math.isnan(kept[0])
    assert kept[1:] == pytest.approx([*left[1:], 1.0], rel=1e-4)


def test_a_scaler_is_no_clipping_and_what_it_leaves_out_is_marked(watching, mlp):
    optimizer = torch.optim.SGD(mlp.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)
    with watching(mlp, optimizer) as seen:
        for i in range(5):
            optimizer.zero_grad()
            loss = _loss(mlp) * (math.inf if i == 2 else 1.0)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
    assert seen.run("skipped") == [0.0, 0.0, 1.0, 0.0, 0.0]
    assert [k for k in seen.run("kept_grad") if not math.isnan(k)] == pytest.approx([1.0] * 3)
    assert torch.amp.GradScaler.step.__qualname__ == "GradScaler.step"
    assert not hasattr(torch.amp.GradScaler.step, "_gainstage")


@pytest.mark.parametrize("functional", [True, False])
@pytest.mark.parametrize("scale", [2.0**12, 1000.0, 2.0])
def test_the_loss_is_recorded_without_a_scalers_factor(watching, mlp, functional, scale):
    optimizer = torch.optim.SGD(mlp.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    losses = []
    with watching(mlp, optimizer, functional=functional) as seen:
        for _ in range(3):
            optimizer.zero_grad()
            for _ in range(2):
                loss = nn.functional.mse_loss(mlp(torch.randn(8, 4)), torch.ones(8, 3)) / 2
                scaler.scale(loss).backward()
                losses.append(float(loss.detach()))
            scaler.step(optimizer)
            scaler.update()
    sums = [a + b for a, b in zip(losses[::2], losses[1::2], strict=True)]
    assert seen.run("loss") == pytest.approx(sums, rel=1e-5)


def test_a_scaler_that_is_off_marks_nothing(watching, mlp):
    optimizer = torch.optim.SGD(mlp.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    with watching(mlp, optimizer) as seen:
        _loss(mlp).backward()
        scaler.step(optimizer)
    assert all(map(math.isnan, seen.run("skipped")))


def test_two_players_clear_each_for_itself(watching):
    torch.manual_seed(0)
    net = nn.ModuleDict({"maker": nn.Linear(2, 4), "judge": nn.Linear(4, 1)})
    optimizers = {name: torch.optim.SGD(part.parameters(), lr=1e-2) for name, part in net.items()}

    def score():
        return net["judge"](net["maker"](torch.ones(3, 2))).mean()

    with watching(net, *optimizers.values()) as seen:
        for _ in range(4):
            optimizers["judge"].zero_grad()
            score().backward()  # reaches the maker as well, which clears for itself below
            optimizers["judge"].step()
            optimizers["maker"].zero_grad()
            (-score()).backward()
            optimizers["maker"].step()
    assert set(seen.run("stale_grad")) == {0.0}


def test_steps_by_hand_that_leave_the_gradient(watching_everything):
    w = torch.ones(3, requires_grad=True)
    found = []
    for clear in (True, False):
        with watching_everything() as seen:
            for _ in range(4):
                (w * torch.arange(3.0)).sum().square().backward()
                with torch.no_grad():
                    w -= 1e-3 * w.grad
                if clear:
                    w.grad = None
        w.grad = None
        found.append([value for value in seen.run("stale_grad") if not math.isnan(value)])
    assert set(found[0]) == {0.0}
    assert set(found[1]) == {1.0}


def test_parameters_that_are_gone_are_chosen_anew():
    gradients = Gradients()
    for _ in range(3):
        w = torch.ones(2, requires_grad=True)
        gradients.before_backward()
        w.sum().backward()
        gradients.after_backward()
        fate = gradients.before_step(7, [w])
        assert math.isnan(fate.kept)
        assert not fate.stale
        del w
    gradients.clear()
    assert gradients.before_step(7, []) == pytest.approx(Fate(math.nan, 0.0), nan_ok=True)
