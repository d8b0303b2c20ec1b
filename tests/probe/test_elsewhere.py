"""On other devices the same is recorded, by torch alone, and no step waits for the device.

There is no other device here, so this one is taken for one: the kernels are told to read nothing.
"""

from __future__ import annotations

import traceback
from contextlib import contextmanager

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import gainstage as gs
from gainstage.sketch import elsewhere, reader


@pytest.fixture
def far(monkeypatch):
    """This device is another one."""

    @contextmanager
    def away():
        with monkeypatch.context() as patch:
            patch.setattr(elsewhere, "_HOME", "another")
            patch.setattr(reader, "_KINDS", {})
            yield

    return away


WAITS = ("item", "tolist", "numpy", "cpu", "nonzero", "__bool__", "__float__", "__int__")
"""What waits for a device to finish."""


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True)
        )
        self.hidden = nn.Linear(8 * 6 * 6, 40)
        self.bounded, self.dropout = nn.Tanh(), nn.Dropout(0.2)
        self.out = nn.Linear(40, 4)

    def forward(self, x):
        x = self.bounded(3 * self.hidden(self.features(x).flatten(1)))
        return self.out(self.dropout(x))


def _train(path, *, steps=20, micro=1, clip=None, within=lambda: None, **options):
    torch.manual_seed(0)
    net = Net()
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01, weight_decay=0.1)
    x, y = torch.randn(steps * micro, 16, 3, 6, 6), torch.randint(4, (steps * micro, 16))
    with gs.watch(net, optimizer, dir=path, **options) as run:
        for step in range(steps):
            within()
            optimizer.zero_grad()
            for i in range(step * micro, (step + 1) * micro):
                F.cross_entropy(net(x[i]), y[i]).backward()
            if clip:
                nn.utils.clip_grad_norm_(net.parameters(), clip)
            optimizer.step()
    return gs.open(run.path).recording, [p.detach().clone() for p in net.parameters()]


OPTIONS = {
    "exact": {"detail": "exact"},
    "sampled": {},
    "micro-batches": {"micro": 2},
    "clipped": {"clip": 0.1},
    "every third": {"every": 3},
    "functional": {"functional": True},
}


@pytest.mark.parametrize("kind", OPTIONS)
def test_what_is_recorded_is_what_the_kernels_would_have(tmp_path, far, kind):
    expected, weights = _train(tmp_path / "here", **OPTIONS[kind])
    with far():
        found, same = _train(tmp_path / "there", **OPTIONS[kind])
    assert all(torch.equal(*pair) for pair in zip(weights, same, strict=True))
    assert [e.code for e in found.events] == [e.code for e in expected.events]
    assert [s.name for s in found.sites] == [s.name for s in expected.sites]
    for site in expected.sites:
        for quantity in expected.quantities(site):
            ours, theirs = (r.values(r.sites[site.id], quantity) for r in (found, expected))
            if quantity in {"seconds", "probe_seconds"}:
                continue
            if quantity in {"dead_units", "saturated_units"}:
                # other samples are looked at in between
                assert (np.isfinite(ours) == np.isfinite(theirs)).all(), (site.name, quantity)
                tolerance = 0.35
            elif quantity in {"kept_grad", "stale_grad"}:
                ours, theirs, tolerance = ours[:16], theirs[:16], 1e-3
            else:
                tolerance = 1e-6
            np.testing.assert_allclose(
                ours, theirs, rtol=tolerance, atol=tolerance, err_msg=f"{site.name} {quantity}"
            )


def test_no_step_waits_for_the_device(tmp_path, far, monkeypatch):
    """But for the first steps, which look closer, and what is written four times a second."""
    waited = []
    step = 0

    def counted(name, function):
        def wrapper(self, *args, **kwargs):
            if 17 < step < 40:
                callers = [f.filename for f in traceback.extract_stack(limit=12)]
                waited.extend((name, step) for caller in callers if "gainstage" in caller)
            return function(self, *args, **kwargs)

        return wrapper

    for name in WAITS:
        monkeypatch.setattr(Tensor, name, counted(name, getattr(Tensor, name)))
    monkeypatch.setattr("gainstage.probe.watch.WAIT", 1e9)  # nothing is written before the end

    def within():
        nonlocal step
        step += 1

    with far():
        _train(tmp_path, steps=40, within=within)
    assert step == 40
    assert waited == []


def test_updates_by_hand_are_seen(tmp_path, far):
    torch.manual_seed(0)
    net = Net()
    never = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    with far(), gs.watch(net, never, dir=tmp_path) as run:
        for _ in range(5):
            F.cross_entropy(net(torch.randn(16, 3, 6, 6)), torch.randint(4, (16,))).backward()
            with torch.no_grad():
                for parameter in net.parameters():
                    parameter.sub_(0.1 * parameter.grad)
            net.zero_grad()
    recording = gs.open(run.path).recording
    site = recording.site("out.weight", "update")
    assert site is not None
    assert (recording.values(site, "rms") > 0).sum() >= 4


def _train_half(folder, dtype, **options):
    """A few steps in half precision: the recording, and the weights in the end."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 8)).to(dtype)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    x = torch.randn(64, 256, generator=torch.Generator().manual_seed(1)).to(dtype)
    with gs.watch(net, optimizer, dir=folder, **options) as run:
        for _ in range(4):
            optimizer.zero_grad()
            net(x).square().mean().backward()
            optimizer.step()
    return gs.open(run.path).recording, [p.detach().clone() for p in net.parameters()]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_parameters_of_half_precision_are_sampled_too(tmp_path, dtype):
    sampled, weights = _train_half(tmp_path / "sampled", dtype)
    exact, same = _train_half(tmp_path / "exact", dtype, detail="exact")
    assert all(torch.equal(*pair) for pair in zip(weights, same, strict=True))
    for kind in ("weight", "grad", "update"):
        ours, theirs = (run.site("0.weight", kind) for run in (sampled, exact))
        error = sampled.values(ours, "rms_error")
        assert (error > 0).all()  # it is a sample
        rms = sampled.values(ours, "rms") / exact.values(theirs, "rms")
        assert (np.abs(rms - 1) < 5 * error).all(), kind
        assert sampled.values(ours, "count").tolist() == [2048] * 4
        if kind != "weight":
            cosines = [r.values(s, "cosine")[1:] for r, s in ((sampled, ours), (exact, theirs))]
            np.testing.assert_allclose(*cosines, atol=0.1)
    change = sampled.run_values("predicted_change") / exact.run_values("predicted_change")
    np.testing.assert_allclose(change, 1, atol=0.3)
