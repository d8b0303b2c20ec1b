"""The benchmark of the optimisers: its contestants take the same steps, and each is judged."""

import pytest
import torch

from gainstage import optim as ours
from gainstage.bench import Settings
from gainstage.bench.benches import optim


def test_every_optimiser_is_measured_and_judged_twice(monkeypatch):
    monkeypatch.setattr(optim, "ROUNDS", 1)
    threads = torch.get_num_threads()
    lines = optim.optimizers(Settings()).lines
    assert torch.get_num_threads() == threads
    for name in optim.NAIVE:
        own = [line for line in lines if line.workload == name]
        assert [line.reach for line in own if line.reach] == [("<=", 1.15), (">=", 2.0)]
        assert sum(line.value is not None and line.value > 0 for line in own) == 4


def test_ratios_are_over_torch_and_under_the_naive(monkeypatch):
    spent = {"gainstage": 2.0, "torch, foreach=True": 4.0, "naive": 10.0}
    monkeypatch.setattr(
        optim, "_steps", lambda makers: {name: (spent.get(name, 1.0), 1.0) for name in makers}
    )
    for line in optim.optimizers(Settings()).lines:
        if line.ratio is not None:
            assert line.ratio == {"ours over torch": 0.5, "naive over ours": 5.0}[line.name]


@pytest.mark.parametrize("name", optim.NAIVE)
def test_the_naive_ones_do_the_same_work(name):
    naive, reference = ([torch.nn.Parameter(torch.arange(1.0, 4.0))] for _ in range(2))
    step = optim.NAIVE[name](naive)
    options = {"momentum": 0.9} if name == "SGD" else {}
    optimizer = getattr(ours, name)(reference, lr=1e-3, **options)
    for value in range(10):
        naive[0].grad = reference[0].grad = torch.tensor([1.0, -2.0, 0.1 * value])
        step()
        optimizer.step()
    torch.testing.assert_close(naive, reference, rtol=0, atol=1e-6)
