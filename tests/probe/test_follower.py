"""Following a loop of somebody else: it begins, it may end, and it warns once of each error."""

from __future__ import annotations

import subprocess
import sys
import warnings

import pytest
import torch
from torch import nn

import gainstage as gs
from gainstage.probe.follower import Follower, instance


def _steps(net, optimizer, n=12):
    for _ in range(n):
        optimizer.zero_grad()
        net(torch.randn(16, 4)).square().mean().backward()
        optimizer.step()


def test_it_begins_looks_and_ends(tmp_path, mlp):
    optimizer = torch.optim.SGD(mlp.parameters(), lr=0.01)
    follower = Follower({"dir": tmp_path})
    follower.begin(mlp, [optimizer])
    assert follower.is_open
    _steps(mlp, optimizer)
    assert follower.look().healthy
    follower.end()
    follower.end()
    assert not follower.is_open
    assert gs.open(follower.run.path).info.status == "finished"


def test_nothing_has_begun(tmp_path):
    with pytest.raises(RuntimeError, match="No training has begun"):
        Follower({"dir": tmp_path}).look()


def test_each_error_is_told_once(tmp_path):
    net = nn.Sequential(*(layer for _ in range(12) for layer in (nn.Linear(4, 4), nn.Sigmoid())))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    follower = Follower({"dir": tmp_path})
    follower.begin(net, [optimizer])
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(2):
            _steps(net, optimizer)
            assert any(finding.severity == "error" for finding in follower.look())
    follower.end()
    messages = [str(w.message) for w in told]
    assert len(messages) == len(set(messages)) >= 1
    assert "(vanishing-gradient; more by `gainstage show" in " ".join(messages)


def _sick(folder):
    net = nn.Sequential(*(layer for _ in range(12) for layer in (nn.Linear(4, 4), nn.Sigmoid())))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    follower = Follower({"dir": folder})
    follower.begin(net, [optimizer])
    _steps(net, optimizer)
    return follower, net, optimizer


def test_a_run_that_was_moved_away_does_not_end_the_training(tmp_path):
    follower, net, optimizer = _sick(tmp_path)
    follower.run.path.rename(tmp_path / "elsewhere.gs")
    with pytest.warns(RuntimeWarning, match=r"could not judge .*does not exist"):
        found = follower.look()
    assert len(found) == 0
    assert not found.healthy
    _steps(net, optimizer)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        follower.look()
    assert told == []
    (tmp_path / "elsewhere.gs").rename(follower.run.path)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert len(follower.look())
    assert any("vanishing-gradient" in str(one.message) for one in told)
    follower.end()


def test_a_rule_that_raises_does_not_end_the_training(tmp_path, monkeypatch):
    follower, _, _ = _sick(tmp_path)

    def broken(*_):
        msg = "a rule of somebody"
        raise ZeroDivisionError(msg)

    monkeypatch.setattr("gainstage.run.diagnose", broken)
    with pytest.warns(RuntimeWarning, match="could not judge .*ZeroDivisionError: a rule of some"):
        assert len(follower.look()) == 0
    follower.end()


def test_warnings_that_are_errors_do_not_end_the_training(tmp_path):
    follower, _, _ = _sick(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert any(finding.severity == "error" for finding in follower.look())
        follower.run.path.unlink()
        assert len(follower.look()) == 0
        follower.end()


def test_a_loop_that_never_ends_it_is_ended_with_the_process(tmp_path):
    code = f"""
import torch
from gainstage.probe.follower import Follower
net = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
follower = Follower({{"dir": {str(tmp_path)!r}}})
follower.begin(net, [optimizer])
net(torch.ones(4, 2)).mean().backward()
optimizer.step()
print(follower.run.path)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    run = gs.open(done.stdout.strip())
    assert run.info.status == "failed"
    assert "never said that it ended" in run.info.outcome
    assert len(run.recording.steps) == 1


def test_an_instance_belongs_to_both_classes():
    class Ours:
        def __init__(self, number):
            self.number = number

    class Theirs:
        pass

    made = instance(Ours, Theirs)
    made.__init__(3)
    assert isinstance(made, Ours)
    assert isinstance(made, Theirs)
    assert type(made) is type(instance(Ours, Theirs))
