"""A probe that writes to memory, and the questions that tests ask of what it wrote."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager

import numpy as np
import pytest
import torch
from torch import nn

from gainstage.probe import taps
from gainstage.probe.functions import FunctionTap
from gainstage.probe.probe import Probe
from gainstage.probe.sink import MemorySink


class Seen:
    """What a probe wrote to memory."""

    def __init__(self, *, every=1):
        self.sink = MemorySink()
        self.probe = Probe(self.sink, every=every)

    @property
    def frames(self):
        return len(self.sink.rows)

    def names(self, kind):
        """Names of the sites of one kind, in forward order."""
        return [site.name for site in self.sink.recording().of_kind(kind)]

    def site(self, name, kind):
        found = self.sink.recording().site(name, kind)
        assert found is not None, f"no {kind} of {name!r} among {self.names(kind)}"
        return found

    def values(self, name, kind, quantity="rms"):
        """One number a frame."""
        return self.sink.recording().values(self.site(name, kind), quantity).tolist()

    def run(self, quantity):
        return self.sink.recording().run_values(quantity).tolist()

    def events(self, code):
        return [event for event in self.sink.events if event.code == code]

    def summaries(self, kind):
        """All numbers of one kind: (name, quantity) to one number a frame."""
        recording = self.sink.recording()
        return {
            (site.name, quantity): recording.values(site, quantity)
            for site in recording.of_kind(kind)
            for quantity in recording.quantities(site)
        }


@contextmanager
def _watching(model, *optimizers, functional=False, every=1):
    """The taps of ``gs.watch``, with a probe that writes to memory."""
    seen = Seen(every=every)
    with ExitStack() as stack:
        stack.enter_context(taps.module_tap(seen.probe, model))
        stack.enter_context(taps.optimizer_tap(seen.probe, optimizers))
        stack.enter_context(taps.backward_tap(seen.probe))
        if functional:
            stack.enter_context(FunctionTap(seen.probe.forward))
        yield seen
    seen.probe.finish()


@contextmanager
def _watching_everything(*, every=1):
    """The taps of ``gainstage run``, in this process."""
    seen = Seen(every=every)
    with ExitStack() as stack:
        stack.enter_context(taps.every_module_tap(seen.probe))
        stack.enter_context(taps.every_optimizer_tap(seen.probe))
        stack.enter_context(taps.backward_tap(seen.probe))
        stack.enter_context(FunctionTap(seen.probe.forward))
        yield seen
    seen.probe.finish()


@pytest.fixture(scope="session")
def watching():
    return _watching


@pytest.fixture(scope="session")
def watching_everything():
    return _watching_everything


@pytest.fixture
def mlp():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


@pytest.fixture(scope="session")
def step():
    """One iteration of the plainest loop."""

    def one(model, optimizer, x=None):
        x = torch.randn(16, 4) if x is None else x
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return one


@pytest.fixture(scope="session")
def rms():
    return lambda tensor: float(np.sqrt(np.square(np.asarray(tensor.detach(), np.float64)).mean()))


@pytest.fixture
def one_thread():
    """Many threads on a shared processor mostly wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
