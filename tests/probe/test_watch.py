"""``gs.watch``: what it refuses, what it leaves behind, how it ends."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import torch
from torch import nn

import gainstage as gs
from gainstage.errors import RunFileError, UsageError
from gainstage.sketch.pool import Pool


def _sgd(net):
    return torch.optim.SGD(net.parameters(), lr=0.1)


NEEDS = "watch needs a torch.optim.Optimizer (or several), but got {}. "
WRONG = {
    "a function": (
        lambda net: gs.watch(net.forward, _sgd(net)),
        "watch needs a torch.nn.Module to watch, but got method.",
    ),
    "a class": (
        lambda net: gs.watch(nn.Linear, _sgd(net)),
        "watch needs a torch.nn.Module to watch, but got type.",
    ),
    "arguments in the other order": (
        lambda net: gs.watch(_sgd(net), net),
        "watch needs a torch.nn.Module to watch, but got SGD.",
    ),
    "no optimizer": (lambda net: gs.watch(net, None), NEEDS.format("NoneType")),
    "a rate": (lambda net: gs.watch(net, 0.1), NEEDS.format("float")),
    "parameters": (lambda net: gs.watch(net, net.parameters()), NEEDS.format("Parameter")),
    "one wrong of two": (lambda net: gs.watch(net, [_sgd(net), "Adam"]), NEEDS.format("str")),
    "a scheduler": (
        lambda net: gs.watch(net, torch.optim.lr_scheduler.ConstantLR(_sgd(net))),
        NEEDS.format("ConstantLR"),
    ),
    "every 0": (
        lambda net: gs.watch(net, _sgd(net), every=0),
        "every must be a whole number from 1 (measure each step) on, but got 0.",
    ),
    "every half": (
        lambda net: gs.watch(net, _sgd(net), every=0.5),
        "every must be a whole number from 1 (measure each step) on, but got 0.5.",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_arguments_are_refused_in_words_before_anything_is_made(
    monkeypatch, tmp_path, mlp, kind
):
    monkeypatch.chdir(tmp_path)
    call, text = WRONG[kind]
    with pytest.raises(UsageError) as error:
        call(mlp)
    assert str(error.value).startswith(text)
    assert list(tmp_path.iterdir()) == []


def test_asking_before_entering_and_entering_twice_are_refused_in_words(tmp_path, mlp):
    run = gs.watch(mlp, _sgd(mlp), dir=tmp_path)
    with pytest.raises(UsageError, match=r"Nothing has been watched yet: enter the watch first"):
        run.diagnose()
    with run:
        pass
    with pytest.raises(UsageError, match="This watch has been used already"), run:
        pass


@pytest.fixture
def watched(tmp_path, mlp, step):
    optimizer = _sgd(mlp)
    with gs.watch(mlp, optimizer, dir=tmp_path) as run:
        losses = [step(mlp, optimizer) for _ in range(4)]
    return run, losses


def test_the_run_file_holds_every_step(watched):
    run, losses = watched
    frame = run.frame()
    assert frame["run", "run", "loss"].tolist() == pytest.approx(losses)
    stages = {site for site, kind, _ in frame.columns if kind == "output"}
    assert stages == {"0", "1", "2"}
    info = gs.open(run.path).info
    assert (info.status, info.outcome, info.facts["optimizers"]) == ("finished", "", ["SGD"])
    assert info.versions["torch"] == torch.__version__
    assert info.probe_seconds > 0


def test_it_says_what_it_is_and_what_it_cost(watched):
    run, _ = watched
    assert repr(run) == f"<Watch {run.path}: 4 steps>"
    assert run.overhead > 0


def test_several_optimizers_may_be_given(tmp_path, mlp, step):
    first, second = (torch.optim.SGD(mlp[i].parameters(), lr=0.1) for i in (0, 2))
    with gs.watch(mlp, (o for o in (first, second)), dir=tmp_path) as run:
        step(mlp, first)
        second.step()
    assert run.frame()["2.weight", "update", "rms"].notna().all()


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError("bad batch"), "failed"), (KeyboardInterrupt(), "interrupted")]
)
def test_an_error_in_the_block_is_the_users_and_ends_the_run(tmp_path, mlp, step, error, status):
    optimizer = _sgd(mlp)
    run = gs.watch(mlp, optimizer, dir=tmp_path)

    def train():
        with run:
            step(mlp, optimizer)
            raise error

    with pytest.raises(type(error)):
        train()
    info = gs.open(run.path).info
    assert info.status == status
    assert info.outcome == f"{type(error).__name__}: {error}"
    assert len(run.frame()) == 1
    assert not mlp[0]._forward_hooks


def test_a_disk_that_refuses_the_end_does_not_end_the_training(tmp_path, mlp, step, monkeypatch):
    def refuse(*_):
        msg = "The disk is full."
        raise RunFileError(msg)

    optimizer = _sgd(mlp)
    monkeypatch.setattr("gainstage.store.Writer.finish", refuse)
    with (
        pytest.warns(RuntimeWarning, match=r"Gainstage could not finish .*\. The disk is full\."),
        gs.watch(mlp, optimizer, dir=tmp_path),
    ):
        step(mlp, optimizer)


def test_a_disk_that_refuses_a_frame_does_not_end_the_training(tmp_path, mlp, step, monkeypatch):
    def refuse(*_, **__):
        msg = "The disk is full."
        raise RunFileError(msg)

    optimizer = _sgd(mlp)
    monkeypatch.setattr("gainstage.probe.watch.WAIT", 0.0)
    with gs.watch(mlp, optimizer, dir=tmp_path):
        step(mlp, optimizer)
        monkeypatch.setattr("gainstage.store.Writer.write_frames", refuse)
        with pytest.warns(RuntimeWarning, match=r"frame tap failed .* The disk is full"):
            step(mlp, optimizer)
        step(mlp, optimizer)


def test_a_watch_whose_store_has_failed_measures_nothing_more(tmp_path, mlp, step, monkeypatch):
    def refuse(*_, **__):
        msg = "The disk is full."
        raise RunFileError(msg)

    optimizer = _sgd(mlp)
    reads = []
    monkeypatch.setattr("gainstage.probe.watch.WAIT", 0.0)
    take = Pool.take
    monkeypatch.setattr(Pool, "take", lambda self, *args: reads.append(1) or take(self, *args))
    with gs.watch(mlp, optimizer, dir=tmp_path) as run:
        step(mlp, optimizer)
        assert reads
        monkeypatch.setattr("gainstage.store.Writer.write_frames", refuse)
        with pytest.warns(RuntimeWarning, match=r"frame tap failed"):
            step(mlp, optimizer)
        reads.clear()
        seconds = run._probe.guard.seconds
        for _ in range(3):
            step(mlp, optimizer)
        assert (reads, run._probe.guard.seconds) == ([], seconds)
        assert run.overhead < 100


def test_a_run_that_is_kept_keeps_neither_the_model_nor_a_tensor_alive(tmp_path, step):
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    optimizer = torch.optim.Adam(net.parameters())
    with gs.watch(net, optimizer, dir=tmp_path, functional=True) as run:
        for _ in range(3):
            step(net, optimizer)
    dead = [weakref.ref(x) for x in (net, net[0], optimizer, net[0].weight, net[0].weight.grad)]
    del net, optimizer
    gc.collect()
    assert [ref() for ref in dead] == [None] * len(dead)
    assert len(run.frame()) == 3
    assert "3 steps" in repr(run)


def test_memory_does_not_grow_with_the_steps(tmp_path, step):
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    optimizer = _sgd(net)

    def tensors():
        gc.collect()
        return [x for x in gc.get_objects() if issubclass(type(x), torch.Tensor)]

    strangers = tensors()  # of other tests: held, so that none of them goes while we count
    with gs.watch(net, optimizer, dir=tmp_path, functional=True):
        counts = []
        for _ in range(3):
            for _ in range(10):
                step(net, optimizer)
            counts.append(len(tensors()))
    assert len(strangers) < counts[0] == counts[1] == counts[2]


def _values(run, name, kind, quantity="rms"):
    recording = gs.open(run.path).recording
    return recording.values(recording.site(name, kind), quantity)


def test_a_sample_is_near_and_says_how_near(tmp_path, step):
    torch.manual_seed(0)
    found = {}
    for detail in ("sampled", "exact"):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(4, 3000), nn.ReLU(), nn.Linear(3000, 2))
        optimizer = _sgd(net)
        with gs.watch(net, optimizer, dir=tmp_path, detail=detail) as run:
            for _ in range(3):
                step(net, optimizer)
        assert gs.open(run.path).info.detail == detail
        found[detail] = run
    for name, kind in [("1", "output"), ("1", "output_grad"), ("2.weight", "update")]:
        exact, sampled = (_values(found[d], name, kind) for d in ("exact", "sampled"))
        error = _values(found["sampled"], name, kind, "rms_error")
        assert (error > 0).all()
        assert (np.abs(sampled / exact - 1) < 5 * error).all()
        assert (_values(found["exact"], name, kind, "rms_error") == 0).all()
        assert (_values(found["sampled"], name, kind, "count") <= 2048).all()


@pytest.mark.parametrize("functional", [False, True])
def test_sites_are_chosen_by_pattern(tmp_path, mlp, step, functional):
    optimizer = _sgd(mlp)
    with gs.watch(mlp, optimizer, dir=tmp_path, sites=["0", "2.w*"], functional=functional) as run:
        for _ in range(3):
            step(mlp, optimizer)
    sites = gs.open(run.path).recording.sites
    assert {site.name for site in sites if site.kind == "output"} == {"0"}
    assert {site.name for site in sites if site.kind == "update"} == {
        "0.weight",
        "0.bias",
        "2.weight",
    }
    assert len(run.frame()) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sites": "0"}, r"sites must be a list of patterns, but got a string: write \['0'\]"),
        ({"sites": ["layers.*"]}, r"'layers\.\*' matches nothing in this model, which has 0, 1"),
        ({"budget": 3}, "budget must be a share of the step's time between 0 and 1, but got 3"),
        ({"detail": "full"}, 'detail must be "sampled" or "exact", but got \'full\''),
    ],
)
def test_arguments_that_make_no_sense_are_refused_in_words(tmp_path, mlp, arguments, message):
    with pytest.raises(UsageError, match=message):
        gs.watch(mlp, _sgd(mlp), dir=tmp_path, **arguments)


def test_a_budget_is_kept_by_measuring_fewer_steps(tmp_path, mlp, step):
    optimizer = _sgd(mlp)
    with gs.watch(mlp, optimizer, dir=tmp_path, budget=0.05) as run:
        for _ in range(1500):
            step(mlp, optimizer)
    recording = gs.open(run.path).recording
    efforts = [event.data for event in recording.events if event.code == "effort"]
    assert efforts, "so small a network cannot be watched at each step for 5 %"
    assert efforts[0]["lines"] < 32
    assert efforts[-1]["every"] > 1
    measured = ~np.isnan(_values(run, "0", "output"))
    assert 3 < measured.sum() < 1000
    assert (np.diff(recording.steps) > 0).all()
    assert recording.steps[-1] > 300


def test_a_number_that_is_not_finite_is_counted_although_the_tensor_is_sampled(tmp_path, step):
    net = nn.Sequential(nn.Linear(4, 3000), nn.Linear(3000, 2))
    with torch.no_grad():
        net[0].weight[::3] = float("inf")
    optimizer = _sgd(net)
    with gs.watch(net, optimizer, dir=tmp_path) as run:
        step(net, optimizer)
    assert _values(run, "0.weight", "weight", "inf").tolist() == [4000.0]
    assert _values(run, "0.weight", "weight", "count").tolist() == [12000.0]


def test_a_budget_turns_exact_reading_into_samples(tmp_path, step):
    net = nn.Sequential(nn.Linear(4, 3000), nn.ReLU(), nn.Linear(3000, 2))
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-6)
    with gs.watch(net, optimizer, dir=tmp_path, detail="exact", budget=0.001) as run:
        for _ in range(1200):
            step(net, optimizer)
    recording = gs.open(run.path).recording
    assert [e.code for e in recording.events if e.code == "tap-off"] == []
    counts = _values(run, "1", "output", "count")
    whole, sampled = counts[0], counts[~np.isnan(counts)][-1]
    assert sampled < whole
