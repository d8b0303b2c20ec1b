"""A live watch with sinks: what they get, what they cost, and that they cannot hurt."""

from __future__ import annotations

import os
import time
import warnings

import numpy as np
import pytest
import torch

import gainstage as gs
from gainstage.errors import UsageError
from gainstage.render.payload import run_told
from gainstage.render.words import sinks_told


def test_a_function_gets_every_step_as_it_is_stored(stored):
    run, caught = stored
    recording = run.recording
    loss = caught.series("run/loss")
    assert list(loss) == recording.steps.tolist() == list(range(20))
    assert np.float32(list(loss.values())).tolist() == recording.run_values("loss").tolist()
    site = recording.site("2", "output_grad")
    assert list(caught.series("rms/output_grad/2").values()) == (
        recording.values(site, "rms").astype(float).tolist()
    )


def test_histograms_come_at_their_steps(stored):
    run, caught = stored
    shapes = caught.shapes("histogram/weight/0.weight")
    assert list(shapes) == [*range(16), 16]
    site = run.recording.site("0.weight", "weight")
    first = run.recording.histogram(site, 0, 1)
    assert shapes[0].counts.tolist() == first.counts.tolist()


def test_findings_come_when_they_are_asked_for_and_at_the_end(catch, trained, tmp_path):
    caught = catch()
    run = trained(tmp_path, [caught], faint=True)
    *_, told, last = caught
    assert [f.code for f in told.findings] == [f.code for f in run.diagnose()]
    assert told.findings
    assert last.last
    assert last.findings is None
    assert not any(reading.last for reading in caught[:-1])
    assert all(reading.findings is None for reading in caught[:-2])


def test_a_diagnosis_on_the_way_is_handed_on(catch, tmp_path):
    caught = catch()
    net = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with gs.watch(net, optimizer, dir=tmp_path, sinks=[caught]) as run:
        net(torch.ones(4, 2)).mean().backward()
        optimizer.step()
        found = run.diagnose()
        assert caught[-1].findings == tuple(found)
    run.diagnose()
    assert sum(reading.findings is not None for reading in caught) == 2


def test_a_part_is_chosen_by_pattern_and_step(catch, trained, tmp_path):
    caught = catch()
    trained(tmp_path, [gs.sinks.choose(caught, "run/loss", "histogram/grad/*", every=8)])
    assert caught.names == {"run/loss"}
    assert list(caught.series("run/loss")) == [0, 8, 16]
    shapes = {name for reading in caught for name in reading.histograms}
    assert shapes == {
        f"histogram/grad/{name}" for name in ("0.weight", "0.bias", "2.weight", "2.bias")
    }


def test_the_training_is_the_same_with_and_without(trained, tmp_path, catch):
    runs = [trained(tmp_path / "a"), trained(tmp_path / "b", [catch()])]
    frames = [run.frame().drop(columns=["seconds", "probe_seconds"], level=2) for run in runs]
    assert frames[0].equals(frames[1])


def test_a_sink_that_fails_is_switched_off_and_told_of(catch, trained, tmp_path):
    calls = []

    def broken(reading):
        calls.append(reading)
        msg = "the disk of the tracker is full"
        raise OSError(msg)

    caught = catch()
    with pytest.warns(RuntimeWarning, match="The sink broken failed .* disk of the tracker"):
        run = trained(tmp_path, [broken, caught])
    assert len(calls) == 1
    assert len(caught.series("run/loss")) == 20
    (event,) = [e for e in gs.open(run.path).recording.events if e.code == "sink-off"]
    assert event.site == "broken"
    assert event.data == {"message": "OSError: the disk of the tracker is full"}


def test_the_cost_is_measured_and_shown(trained, tmp_path):
    def slow(reading):
        if reading.scalars:
            time.sleep(0.002)

    run = trained(tmp_path, [slow])
    info = gs.open(run.path).info
    assert info.facts["sinks"]["slow"] >= 20 * 0.002
    (told,) = sinks_told(info)
    assert told.endswith("% into slow")
    assert told in str(gs.open(run.path).diagnose())
    shown = run_told(gs.open(run.path).recording)
    assert shown["sinks"] == [told]
    assert "sinks" not in shown["facts"]


def test_a_run_without_sinks_says_nothing_of_them(trained, tmp_path):
    info = gs.open(trained(tmp_path).path).info
    assert "sinks" not in info.facts
    assert sinks_told(info) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_writes_nothing(catch, tmp_path):
    caught = catch()
    net = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with gs.watch(net, optimizer, dir=tmp_path, sinks=[caught]) as run:
        net(torch.ones(4, 2)).mean().backward()
        optimizer.step()
        outlet = run._outlet
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch has threads
            child = os.fork()
        if child == 0:
            outlet.end()
            os._exit(len(caught))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == len(caught)


def test_a_watch_refuses_what_is_no_sink(tmp_path):
    net = torch.nn.Linear(2, 1)
    with pytest.raises(UsageError, match="sinks must be a list"):
        gs.watch(net, torch.optim.SGD(net.parameters(), lr=0.1), dir=tmp_path, sinks=print)
