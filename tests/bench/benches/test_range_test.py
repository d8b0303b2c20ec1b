"""The benchmark of range tests, made small."""

import pytest

from gainstage.bench import Settings
from gainstage.bench.benches import range_test


@pytest.fixture(autouse=True)
def small(monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.setattr(range_test, "SEEDS", 2)
    monkeypatch.setattr(range_test, "STEPS", 20)
    monkeypatch.setattr(range_test, "RANGES", {"SGD": (1e-5, 10.0)})


def test_tasks_are_judged_by_a_sweep_and_by_lot():
    outcome = range_test.range_tests(Settings())
    assert [line.name for line in outcome.lines] == ["SGD, digits", "SGD, labels by lot"]
    assert outcome.lines[1].reached
    rows = outcome.grids[0].rows
    assert rows[0][2] != ""
    assert rows[1][1:] == ("no signal", "", "")


def test_the_peer_that_is_missing_is_one_sentence(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch_lr_finder", None)
    with pytest.raises(range_test.MissingExtraError, match="pip install torch-lr-finder"):
        range_test.range_tests(Settings(peers=True))
