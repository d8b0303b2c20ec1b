"""The training loop: kept, resumed bit for bit, stopped early, and honest about checkpoints."""

import json

import pytest
import torch
from torch import nn

import gainstage as gs
from gainstage.errors import DataError
from gainstage.lab.data import Images
from gainstage.lab.training import BEST, LAST, RESULT, Plan, accuracy, fit


class Killed(BaseException):
    """Whatever ends a process."""


def images(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 4, generator=generator)
    return Images(x, (x[:, 0] > x[:, 1]).long())


DATA = images(200), images(60, 1), images(60, 2)
PLAN = Plan(epochs=4, batch=32, seed=3)


def training(rule=torch.optim.Adam):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2))
    return model, rule(model.parameters(), lr=0.01)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_it_learns_and_keeps_what_it_saw(tmp_path):
    model, optimizer = training()
    course = fit(model, optimizer, DATA, Plan(epochs=20, batch=32), tmp_path)
    assert course.test_acc == accuracy(model, DATA[2]) > 0.85
    assert len(course.train_losses) == 20 * (200 // 32)
    assert len(course.val_scores) == len(course.train_scores) == 20
    assert accuracy(model, DATA[1]) == max(course.val_scores)
    assert json.loads((tmp_path / RESULT).read_text())["test_acc"] == course.test_acc
    assert sorted(path.name for path in tmp_path.iterdir()) == [BEST, LAST, RESULT]


def killed_in_epoch(epoch, monkeypatch, tmp_path):
    model, optimizer = training()
    calls = iter(range(1000))
    step = optimizer.step

    def dying(*arguments):
        if next(calls) == 6 * epoch + 2:
            raise Killed
        return step(*arguments)

    monkeypatch.setattr(optimizer, "step", dying)
    with pytest.raises(Killed):
        fit(model, optimizer, DATA, PLAN, tmp_path)


@pytest.mark.parametrize("epoch", [0, 2])
def test_a_killed_training_goes_on_to_the_same_weights_bit_for_bit(epoch, monkeypatch, tmp_path):
    killed_in_epoch(epoch, monkeypatch, tmp_path / "killed")
    model, optimizer = training()
    torch.rand(7)  # another process has another global state
    resumed = fit(model, optimizer, DATA, PLAN, tmp_path / "killed")
    whole_model, whole_optimizer = training()
    whole = fit(whole_model, whole_optimizer, DATA, PLAN, tmp_path / "whole")
    assert resumed == whole
    assert torch.equal(weights(model), weights(whole_model))
    last = [torch.load(tmp_path / one / LAST, weights_only=True) for one in ("killed", "whole")]
    assert all(torch.equal(last[0]["model"][n], t) for n, t in last[1]["model"].items())


def test_a_training_that_has_ended_is_loaded_and_not_repeated(tmp_path):
    model, optimizer = training()
    first = fit(model, optimizer, DATA, PLAN, tmp_path)
    other, _ = training()
    optimizer = torch.optim.Adam(other.parameters())
    optimizer.step = None  # a step would fail
    assert fit(other, optimizer, DATA, PLAN, tmp_path) == first
    assert torch.equal(weights(other), weights(model))


def test_overwriting_trains_again(tmp_path):
    model, optimizer = training()
    first = fit(model, optimizer, DATA, Plan(epochs=1, batch=32), tmp_path)
    model, optimizer = training()
    again = fit(model, optimizer, DATA, PLAN, tmp_path, overwrite=True)
    assert len(again.val_scores) == 4 > len(first.val_scores)


def test_it_stops_when_validation_has_not_improved_for_a_while(tmp_path):
    model, _ = training()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    course = fit(model, optimizer, DATA, Plan(epochs=50, batch=32, patience=3), tmp_path)
    assert len(course.val_scores) == 4
    assert course.best == 0


def test_the_global_random_state_is_left_alone(tmp_path):
    before = torch.get_rng_state()
    fit(*training(), DATA, PLAN, tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


def test_it_can_be_watched(tmp_path):
    model, optimizer = training()
    with gs.watch(model, optimizer, dir=tmp_path / "runs") as run:
        fit(model, optimizer, DATA, PLAN, tmp_path / "one")
    other, other_optimizer = training()
    fit(other, other_optimizer, DATA, PLAN, tmp_path / "other")
    assert torch.equal(weights(model), weights(other))
    assert len(run.frame()) == 4 * 6


def test_checkpoints_of_another_model_or_optimiser_are_refused(monkeypatch, tmp_path):
    killed_in_epoch(2, monkeypatch, tmp_path)
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(DataError, match=r"last.pt is of another model: they disagree at 0.bias"):
        fit(model, optimizer, DATA, PLAN, tmp_path)
    model, _ = training()
    optimizer = torch.optim.SGD([{"params": [p]} for p in model.parameters()], lr=0.1)
    with pytest.raises(DataError, match=r"is of another optimiser: .* Use another folder"):
        fit(model, optimizer, DATA, PLAN, tmp_path)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 and nothing more"])
def test_a_damaged_checkpoint_is_named(content, tmp_path):
    (tmp_path / LAST).write_bytes(content)
    with pytest.raises(DataError, match=r"last.pt cannot be read: it is damaged, or no checkpoint"):
        fit(*training(), DATA, PLAN, tmp_path)
