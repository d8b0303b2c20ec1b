"""The benchmark of sinks, on a few steps."""

import os

import pytest

from gainstage.bench import Settings
from gainstage.bench.benches import sinks


@pytest.mark.filterwarnings("ignore")
def test_every_sink_that_is_installed_is_measured(monkeypatch):
    monkeypatch.setattr(sinks, "STEPS", 20)
    makers = {name: sinks.MAKERS[name] for name in ("a function", "TensorBoard")}
    monkeypatch.setattr(sinks, "MAKERS", makers)
    before = dict(os.environ)
    lines = sinks.price(Settings()).lines
    assert [line.name for line in lines][:2] == ["a function", "a function, every 10th step"]
    assert all(line.value > 0 and line.ratio > 1 for line in lines)
    assert dict(os.environ) == before


def test_a_sink_that_is_missing_is_left_out(monkeypatch):
    def missing(_):
        raise sinks.MissingExtraError

    monkeypatch.setattr(sinks, "STEPS", 5)
    monkeypatch.setattr(sinks, "MAKERS", {"none": missing})
    assert sinks.price(Settings()).lines == []
