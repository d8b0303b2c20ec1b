"""The range test of a function and of a script."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gainstage.errors import ScriptError, UsageError
from gainstage.sweeps.range_test import range_script, range_test

SCRIPT = """\
import torch
w = torch.nn.Linear(8, 8, bias=False)
optimizer = torch.optim.SGD(w.parameters(), lr=1e-4)
x = torch.eye(8)
for step in range(int({steps})):
    target = 5 * x + 0.1 * torch.randn(8, 8)
    loss = (w(x) - target).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def descent(rates, seed):
    """Gradient descent on a parabola with noise: rates below 1 train, 0.5 at best."""
    rng, w, losses = np.random.default_rng(seed), 2.0, []
    for rate in rates:
        losses.append(w * w + 0.01 * rng.normal())
        w -= rate * 2 * w
        if abs(w) > 1e3:
            break
    return losses


def test_the_band_of_a_parabola_holds_its_rates():
    found = range_test(descent, low=1e-4, high=10.0, seeds=4)
    assert 1e-4 < found.band[0] < 0.5 < found.band[1] < 2.0
    assert np.isnan(found.losses[:, -1]).all()


def test_noise_is_no_signal():
    def fn(rates, seed):
        return 2.3 + 0.1 * np.random.default_rng(seed).normal(size=len(rates))

    assert range_test(fn).band is None
    assert range_test(descent, chance=-1.0).band is None


def test_a_script_that_ends_before_the_rates_do_is_told_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(SCRIPT.format(steps=40))
    with pytest.raises(UsageError, match=r"ends after about 40 of the 60 steps .* Give --steps 40"):
        range_script("train.py", steps=60, low=1e-4, high=1e-2, seeds=2, jobs=2)


def test_a_script_is_tested_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(SCRIPT.format(steps=500))
    found = range_script("train.py", steps=60, low=1e-2, high=1e3, seeds=2, jobs=2)
    assert found.rates[0] == pytest.approx(1e-2)
    assert found.rates[-1] == pytest.approx(1e3)
    assert found.losses.shape == (2, 60)
    assert not np.array_equal(found.losses[0], found.losses[1])
    assert 0.1 < found.band[0] < 16 < 2 * found.band[1]  # the Hessian is 1/32: best at 16


def test_a_script_that_ends_too_early_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(SCRIPT.format(steps=5))
    with pytest.raises(UsageError, match="The script cannot be tested: it made 5 steps"):
        range_script("train.py", seeds=2, jobs=2)
    with pytest.raises(ScriptError, match=r"There is no script"):
        range_script("other.py")
    with pytest.raises(UsageError, match=r"not from 1 to 0\.1"):
        range_script("train.py", low=1.0, high=0.1)
    assert math.isnan(range_test(descent, seeds=2).losses[0, -1])
