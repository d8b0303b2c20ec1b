"""``torch.compile``: what is seen inside, and what the compiler notices of it (nothing)."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch.utils.checkpoint import checkpoint

import gainstage as gs

STEPS = 5


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


class Residual(nn.Module):
    """In-place activations, running statistics, a residual, and a module that is called twice."""

    def __init__(self):
        super().__init__()
        self.stem, self.bn, self.relu = nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(inplace=True)
        self.fc, self.drop, self.out = nn.Linear(8, 8), nn.Dropout(0.1), nn.Linear(8, 3)

    def forward(self, x):
        x = self.relu(self.bn(self.stem(x)))
        x = x + self.drop(self.relu(self.fc(x)))
        return self.out(x)


class Checkpointed(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.relu, self.out = nn.Linear(4, 8), nn.ReLU(inplace=True), nn.Linear(8, 3)

    def forward(self, x):
        def body(x):
            return self.out(self.relu(self.stem(x)))

        return checkpoint(body, x, use_reentrant=False)


class Convolutions(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.flat = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten()
        self.act, self.same, self.out = nn.ReLU(), nn.Identity(), nn.Linear(16, 3)
        self.conv.requires_grad_(requires_grad=False)

    def forward(self, x):
        x = self.act(self.norm(self.conv(x.reshape(-1, 1, 2, 2).repeat(1, 1, 2, 2))))
        return self.out(self.same(self.flat(x)))


MODELS = [Residual, Checkpointed, Convolutions]


class Run:
    """A training: what became of it, and what was seen of it."""

    def __init__(self, make, backend, path=None, *, order="before", **options):
        torch.manual_seed(0)
        self.net = make()
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=0.1)
        self.counter = CompileCounterWithBackend(backend) if backend else None
        self.losses = []
        self.frame = None
        self.path = None
        if path is None:
            self.train(self.compiled())
            return
        model = self.compiled() if order in {"after", "late"} else self.net
        if order == "late":
            model(torch.randn(16, 4)).sum().backward()
        if order == "method":
            self.net.compile(backend=self.counter, fullgraph=True)
        with gs.watch(model, self.optimizer, dir=path, **options) as run:
            self.train(self.compiled() if order == "before" else model)
        self.path, self.frame = run.path, run.frame()

    def compiled(self):
        if self.counter is None:
            return self.net
        return torch.compile(self.net, backend=self.counter, fullgraph=True)

    def train(self, model):
        torch.manual_seed(1)
        for i in range(STEPS):
            x = torch.randn(16, 4)
            x = x[:7] if i == STEPS - 1 else x  # the last batch is smaller
            self.optimizer.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            self.optimizer.step()
            self.losses.append(float(loss.detach()))

    @property
    def graphs(self):
        return self.counter.frame_count

    def stages(self):
        return {site for site, kind, _ in self.frame.columns if kind == "output"}

    def events(self):
        return [event.code for event in gs.open(self.path).recording.events]

    def state(self):
        return [value.tolist() for value in self.net.state_dict().values()]


INSIDE = ("count", "mean", "rms", "std", "norm", "min", "max", "zeros", "nan", "inf")


def differences(a, b):
    """The largest relative difference of the numbers of outputs and their gradients."""
    kinds = ("output", "output_grad")
    columns = [c for c in a.columns if c[1] in kinds and c[2] in INSIDE]
    assert len(columns) > 20
    x, y = (frame[columns].to_numpy(float) for frame in (a, b))
    assert (np.isnan(x) == np.isnan(y)).all()
    return np.nanmax(np.abs(x - y) / np.maximum(np.abs(x), 1e-4))


@pytest.mark.parametrize("order", ["before", "after", "method"])
@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_the_same_graphs_the_same_training_and_the_numbers_of_an_eager_one(
    tmp_path, make, backend, order
):
    plain = Run(make, backend)
    torch._dynamo.reset()
    watched = Run(make, backend, tmp_path, order=order, detail="exact")
    assert watched.graphs == plain.graphs  # each a whole one: fullgraph=True
    assert watched.losses == plain.losses
    assert watched.state() == plain.state()
    eager = Run(make, None, tmp_path, detail="exact")
    assert watched.stages() == eager.stages()
    assert differences(eager.frame, watched.frame) < 1e-5
    assert watched.events() == []


def test_a_sample_inside_a_graph_of_small_tensors_is_all_of_them(tmp_path):
    watched = Run(Residual, "aot_eager", tmp_path)
    eager = Run(Residual, None, tmp_path, detail="exact")
    assert differences(eager.frame, watched.frame) < 1e-5
    assert watched.graphs == 2
    assert "relu#2" in watched.stages()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # its own
def test_inductor_too(tmp_path):
    class Two(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Linear(4, 8), nn.ReLU(inplace=True), nn.Linear(8, 3))

    plain = Run(Two, "inductor")
    torch._dynamo.reset()
    watched = Run(Two, "inductor", tmp_path)
    assert watched.graphs == plain.graphs
    assert watched.losses == pytest.approx(plain.losses, rel=1e-5)  # it fuses other operations
    eager = Run(Two, None, tmp_path, detail="exact")
    assert differences(eager.frame, watched.frame) < 1e-4


def test_no_step_compiles_anything_again(tmp_path):
    net = Residual()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    model = torch.compile(net, backend="aot_eager", fullgraph=True)

    def train(steps):
        for _ in range(steps):
            optimizer.zero_grad()
            model(torch.randn(16, 4)).square().mean().backward()
            optimizer.step()

    with gs.watch(net, optimizer, dir=tmp_path) as run:
        train(2)
        with torch.compiler.set_stance("fail_on_recompile"):
            train(30)
    assert run.frame()["out", "output_grad", "rms"].notna().sum() == 32


def test_steps_that_are_not_measured_run_the_users_own_graph(tmp_path):
    plain = Run(Residual, "aot_eager")
    torch._dynamo.reset()
    watched = Run(Residual, "aot_eager", tmp_path, every=2)
    assert plain.graphs == 2
    assert watched.graphs <= 4  # each shape, measured and not; never one a step
    assert watched.losses == plain.losses
    values = watched.frame["out", "output", "rms"]
    assert values.notna().tolist() == [True, False, True, False, True]


def test_a_compiled_model_that_ran_before_is_reported_as_blind(tmp_path):
    with pytest.warns(RuntimeWarning, match=r"sees nothing of the model \(4 stages\): a graph"):
        late = Run(Residual, "aot_eager", tmp_path, order="late")
    assert late.events() == ["blind"]
    assert late.frame["out.weight", "grad", "rms"].notna().all()


def test_with_consent_it_is_compiled_anew_and_seen(tmp_path):
    late = Run(Residual, "aot_eager", tmp_path, order="late", recompile=True)
    assert late.events() == []
    assert late.frame["out", "output_grad", "rms"].notna().all()


def test_after_the_watch_the_graph_is_made_once_more_and_is_the_users_own(tmp_path):
    watched = Run(Residual, "aot_eager", tmp_path)
    before = watched.graphs
    model = watched.compiled()
    x = torch.randn(16, 4)
    for _ in range(3):
        model(x).sum().backward()
    assert watched.graphs <= before + 1
    assert not any("index_copy" in graph.code for graph in watched.counter.graphs[before:])


def test_what_was_not_differentiated_leaves_no_trace(tmp_path):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh())
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    model = torch.compile(net, backend="aot_eager")
    x = torch.randn(16, 4)
    with gs.watch(net, optimizer, dir=tmp_path, detail="exact") as run:
        for _ in range(2):
            model(x * 100)  # a validation that forgot no_grad
            for _ in range(2):  # micro-batches merge
                model(x).sum().backward()
            optimizer.step()
    frame = run.frame()
    assert {site for site, kind, _ in frame.columns if kind == "output"} == {"0", "1"}
    assert frame["0", "output", "count"].tolist() == [2 * 16 * 8] * 2
    assert frame["0", "output", "max"].tolist() == pytest.approx(
        [float(net[0](x).detach().max())] * 2
    )


def test_backwards_in_any_order_do_not_disturb_the_users_graph(tmp_path):
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(inplace=True))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    model = torch.compile(net, backend="aot_eager")
    with gs.watch(net, optimizer, dir=tmp_path):
        for _ in range(3):
            first, second = (model(torch.randn(16, 4)).sum() for _ in range(2))
            second.backward()
            first.backward()
            optimizer.step()


def test_an_export_and_a_transform_hold_nothing_of_ours(tmp_path):
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh())
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    x = torch.randn(3, 4)
    plain = torch.export.export(net, (x,), strict=True).graph_module.code
    mapped = torch.compile(torch.vmap(net), backend="aot_eager", fullgraph=True)
    with gs.watch(net, optimizer, dir=tmp_path):
        assert torch.export.export(net, (x,), strict=True).graph_module.code == plain
        assert torch.allclose(mapped(x), net(x))


def test_copies_of_a_watched_compiled_model_are_just_copies(tmp_path):
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh())
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    model = torch.compile(net, backend="aot_eager")
    with gs.watch(net, optimizer, dir=tmp_path) as run:
        model(torch.randn(3, 4)).sum().backward()
        optimizer.step()
        twin = copy.deepcopy(net)
        torch.compile(twin, backend="aot_eager")(torch.randn(5, 4)).sum().backward()
        pickle.loads(pickle.dumps(net))(torch.randn(3, 4))  # noqa: S301 - our own
    assert run.frame()["0", "output", "count"].tolist()[0] == 3 * 8
