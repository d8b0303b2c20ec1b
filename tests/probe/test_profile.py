"""``gs.profile``: the levels of one pass, on a model that is left as it was."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import gainstage as gs
from gainstage.errors import UsageError


def _net():
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.Dropout(0.5),
        nn.Flatten(), nn.Linear(27, 3),
    )  # fmt: skip


X, Y = torch.randn(6, 1, 5, 5), torch.arange(6) % 3


def _state(net):
    return (
        copy.deepcopy(net.state_dict()),
        [None if p.grad is None else p.grad.clone() for p in net.parameters()],
        [m.training for m in net.modules()],
        [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules()],
        torch.get_rng_state(),
    )


def assert_same(a, b):
    for key in a[0]:
        assert torch.equal(a[0][key], b[0][key]), key
    for left, right in zip(a[1], b[1], strict=True):
        assert left is right is None or torch.equal(left, right)
    assert a[2:4] == b[2:4]
    assert torch.equal(a[4], b[4])


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("grads", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_the_model_is_left_as_it_was(train, grads, fails):
    net = _net().train(train)
    if grads:
        net(X).sum().backward()
    held = [p.grad for p in net.parameters()]
    before = _state(net)
    if fails:
        with pytest.raises(ZeroDivisionError):
            gs.profile(net, (X, Y), lambda *_: 1 // 0)
    else:
        gs.profile(net, (X, Y), F.cross_entropy)
    assert_same(_state(net), before)
    assert all(p.grad is g for p, g in zip(net.parameters(), held, strict=True))


def test_levels_are_those_of_the_pass(rms):
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
    x, y = torch.randn(16, 4), torch.randn(16, 2)
    found = gs.profile(net, (x, y), F.mse_loss)
    recording = found.recording
    assert found.loss == pytest.approx(float(F.mse_loss(net(x), y).detach()))
    h = x
    for name, layer in net.named_children():
        h = layer(h)
        site = recording.site(name, "output")
        assert recording.values(site, "rms").tolist() == [pytest.approx(rms(h))]
    assert [s.name for s in recording.of_kind("output_grad")] == ["0", "1", "2"]
    assert len(recording.of_kind("weight")) == 4
    assert recording.of_kind("update") == ()


class Keywords(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 2)

    def forward(self, *, x, scale=1.0):
        return F.relu(self.a(x)) * scale


BATCHES = {
    "pair": (lambda: nn.Linear(4, 2), (torch.ones(3, 4), torch.ones(3, 2)), F.mse_loss),
    "list": (lambda: nn.Linear(4, 2), [torch.ones(3, 4), torch.ones(3, 2)], F.mse_loss),
    "inputs alone": (lambda: nn.Linear(4, 2), torch.ones(3, 4), lambda y: y.sum()),
    "keywords": (Keywords, {"x": torch.ones(3, 4), "scale": 2.0}, lambda y: y.sum()),
}


@pytest.mark.parametrize("kind", BATCHES)
def test_batches_of_each_form_are_taken(kind):
    make, batch, loss_fn = BATCHES[kind]
    found = gs.profile(make(), batch, loss_fn)
    assert len(found.recording.of_kind("output")) == (2 if kind == "keywords" else 1)


WRONG = {
    "not averaged": (
        lambda y: y,
        r"loss_fn must return a scalar tensor, but returned \(3, 2\); average it\.",
    ),
    "a number": (
        lambda y: float(y.sum().detach()),
        r"loss_fn must return a scalar tensor, but returned float; average it\.",
    ),
    "detached": (
        lambda y: y.detach().sum(),
        r"The loss does not depend on any parameter that requires a gradient\.",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_losses_are_refused_in_words(kind):
    loss_fn, text = WRONG[kind]
    with pytest.raises(UsageError, match=text):
        gs.profile(nn.Linear(4, 2), torch.ones(3, 4), loss_fn)


def test_a_pass_under_no_grad_is_measured_all_the_same():
    with torch.no_grad():
        found = gs.profile(nn.Linear(4, 2), torch.ones(3, 4), lambda y: y.sum())
        assert not torch.is_grad_enabled()
    assert len(found.recording.of_kind("output_grad")) == 1


def test_a_model_with_a_bare_parameter_shows_its_stages():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.position = nn.Parameter(torch.zeros(4))
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x):
            return self.b(F.gelu(self.a(x + self.position)))

    found = gs.profile(Net(), torch.ones(3, 4), lambda y: y.sum())
    assert [s.name for s in found.recording.of_kind("output")] == ["a", "gelu", "b"]


def test_it_prints_the_level_diagram():
    found = gs.profile(nn.Sequential(nn.Linear(4, 2)), torch.ones(3, 4), lambda y: y.sum())
    assert repr(found) == f"<Profile: 1 stages, loss {found.loss:.4g}; print it for the levels>"
    assert "dB" in str(found)


def test_profiling_inside_a_watch_disturbs_neither(watching, mlp, step):
    optimizer = torch.optim.SGD(mlp.parameters(), lr=0.1)
    with watching(mlp, optimizer) as seen:
        step(mlp, optimizer)
        found = gs.profile(mlp, torch.ones(3, 4), lambda y: y.sum())
        step(mlp, optimizer)
    assert found.recording.of_kind("output")[0].name == "0"
    assert seen.events("tap-off") == []


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 1)
        self.register_buffer("steps", torch.zeros(1))
        self.register_buffer("last", None)

    def forward(self, x):
        self.steps = self.steps + 1
        self.last = self.steps.clone()
        return self.layer(x)


def test_buffers_that_a_forward_puts_anew_and_the_batchs_gradient_are_as_they_were():
    net = Counting()
    steps, x = net.steps, torch.ones(3, 4, requires_grad=True)
    gs.profile(net, (x, torch.zeros(3, 1)), F.mse_loss)
    assert net.steps is steps
    assert (float(steps), net.last, x.grad) == (0.0, None, None)
    x.grad = kept = torch.ones(3, 4)
    gs.profile(net, {"x": x}, lambda y: y.sum())
    assert x.grad is kept
    assert torch.equal(kept, torch.ones(3, 4))
