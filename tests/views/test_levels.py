from __future__ import annotations

import pytest

from gainstage.recording import MemoryRecording
from gainstage.records import Site
from gainstage.views import level_diagram, parameter_table


def test_levels_and_gains_forward(recordings):
    stages = level_diagram(recordings.handmade()).stages
    assert [s.name for s in stages] == ["body.0", "body.1", "body.2", "body.3"]
    assert [s.forward.level for s in stages] == pytest.approx([-10, -20, -30, -40], abs=1e-3)
    assert [s.forward.gain for s in stages] == pytest.approx([-10] * 4, abs=1e-3)


def test_backward_gain_is_what_the_stage_does_to_the_gradient(recordings):
    stages = level_diagram(recordings.handmade()).stages
    assert [s.backward.level for s in stages] == pytest.approx([-100, -80, -60, -40], abs=1e-3)
    assert stages[0].backward.gain is None
    assert [s.backward.gain for s in stages[1:]] == pytest.approx([-20] * 3, abs=1e-3)


def test_a_silent_stage_has_no_level_but_a_flag(recordings):
    first, second, *_ = level_diagram(recordings.handmade(), step=30).stages
    assert (first.backward.level, first.backward.silent) == (None, True)
    assert first.backward.silences == (3,)
    assert second.backward.gain is None
    assert not second.backward.silent


def test_the_nearest_recorded_step_is_read(recordings):
    diagram = level_diagram(recordings.handmade(), step=27)
    assert diagram.at == 30
    assert diagram.stages[0].forward.level == pytest.approx(-13, abs=1e-3)


def test_a_range_and_the_band_of_the_run(recordings):
    diagram = level_diagram(recordings.handmade(), start=5, stop=30)
    assert (diagram.at, diagram.start, diagram.stop) == (None, 10, 30)
    meter = diagram.stages[0].forward
    assert (meter.low, meter.high) == pytest.approx((-13, -10), abs=1e-3)
    assert diagram.steps == (0, 10, 20, 30)
    assert meter.track == pytest.approx((-10, -10, -10, -13), abs=1e-2)
    assert meter.gains == pytest.approx((-10, -10, -10, -13), abs=1e-2)


def test_parameters_have_three_levels(recordings):
    rows = parameter_table(recordings.handmade(), step=20).rows
    weight = next(row for row in rows if row.name == "body.0.weight")
    assert weight.weight == pytest.approx(-20, abs=1e-3)
    assert weight.grad == pytest.approx(-80, abs=1e-3)
    assert (weight.update, weight.silent) == (None, ("update",))


def test_without_an_input_the_first_gain_is_unknown():
    site = Site(0, "fc", "output", "fc", "Linear", 0)
    (stage,) = level_diagram(MemoryRecording([site], {(0, "rms"): [1.0]})).stages
    assert stage.forward.gain is None
    assert stage.backward.level is None


def test_a_deep_network_gets_fewer_steps_in_its_tracks():
    sites = [Site(i, f"s{i}", "output", f"s{i}", "Linear", i) for i in range(1500)]
    values = {(i, "rms"): [1.0] * 50 for i in range(1500)}
    diagram = level_diagram(MemoryRecording(sites, values))
    assert len(diagram.steps) == 16
    assert (diagram.steps[0], diagram.steps[-1]) == (0, 49)
