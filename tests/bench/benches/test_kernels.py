"""The benchmark of the kernels, on a small tensor: it runs and leaves torch's threads alone."""

import torch

from gainstage.bench import Settings
from gainstage.bench.benches import kernels


def test_every_contestant_is_measured_and_judged(monkeypatch):
    monkeypatch.setattr(kernels, "SIZE", 1000)
    threads = torch.get_num_threads()
    lines = kernels.kernels(Settings()).lines
    assert torch.get_num_threads() == threads
    assert all(line.value > 0 for line in lines if line.unit)
    judged = [line for line in lines if line.reach]
    assert [line.name for line in judged] == ["ours over one read", "histc + var_mean over ours"]
    assert all(line.ratio > 0 for line in judged)
