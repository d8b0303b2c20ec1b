"""Training with and without the watch gives the same bits: weights, states, buffers, randomness."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import gainstage as gs

from . import loops, models
from .loops import Loop

pytestmark = [
    pytest.mark.filterwarnings("ignore:Lazy modules are a new feature:UserWarning"),
    pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]


def _vectors():
    return torch.randn(6, 8)


def _images():
    return torch.randn(6, 1, 8, 8)


def _sequences():
    return torch.randn(6, 5, 4)


def _tokens():
    return torch.randint(11, (6, 5))


def _keywords():
    return {"x": torch.randn(6, 8), "scale": random.choice([1.0, 2.0])}  # noqa: S311


def _by(make, **options):
    """One optimiser for all that is to be trained."""
    return lambda net: [make([p for p in net.parameters() if p.requires_grad], **options)]


def _each(net):
    return [torch.optim.SGD([p], lr=0.05, momentum=0.9) for p in net.parameters()]


def _for_players(net):
    return [torch.optim.Adam(net[name].parameters(), lr=0.01) for name in ("maker", "judge")]


def _sparse(net):
    dense = torch.optim.Adam(net.head.parameters(), lr=0.01)
    return [torch.optim.SparseAdam(net.table.parameters(), lr=0.01), dense]


ADAM = _by(torch.optim.Adam, lr=0.01)
SGD = _by(torch.optim.SGD, lr=0.05, momentum=0.9, weight_decay=1e-3)


@dataclass(frozen=True)
class Kind:
    """A model, its batches, its optimisers, a way to train it, and the frames a step makes."""

    model: Callable[[], nn.Module]
    batch: Callable[[], Any] = _vectors
    optimizers: Callable[[nn.Module], list[Any]] = ADAM
    step: Callable[[Loop, int], Any] = loops.plain
    steps: int = 8
    frames: int | None = None


_mlp = partial(models.mlp, 0.1)
_embedding = partial(nn.Embedding, 11, 8)

# a new kind is one entry
KINDS = {
    "MLP": Kind(_mlp, step=loops.everyday, steps=50),
    "CNN": Kind(models.cnn, _images, SGD, loops.everyday, steps=50),
    "transformer": Kind(models.Encoder, _tokens, step=loops.everyday, steps=50),
    "functional": Kind(models.Functional, step=loops.everyday, steps=20),
    "LSTM": Kind(partial(models.Recurrent, nn.LSTM), _sequences),
    "GRU": Kind(partial(models.Recurrent, nn.GRU), _sequences),
    "packed LSTM": Kind(partial(models.Recurrent, nn.LSTM, packed=True), _sequences),
    "cell in a loop": Kind(models.Unrolled, _sequences),
    "checkpoint, reentrant": Kind(partial(models.Checkpointed, reentrant=True)),
    "checkpoint, not reentrant": Kind(partial(models.Checkpointed, reentrant=False)),
    "tied weights": Kind(models.Tied, _tokens),
    "module called often": Kind(models.called_often),
    "packed outputs, keywords": Kind(models.Packing, _keywords),
    "frozen backbone": Kind(models.Frozen, optimizers=SGD),
    "sparse gradients": Kind(
        lambda: models.Embedded(_embedding(sparse=True)), _tokens, optimizers=_sparse
    ),
    "embedding bag": Kind(lambda: models.Embedded(nn.EmbeddingBag(11, 8, mode="max")), _tokens),
    "sparse embedding bag": Kind(
        lambda: models.Embedded(nn.EmbeddingBag(11, 8, sparse=True)), _tokens, optimizers=_sparse
    ),
    "attention": Kind(models.Attention, lambda: torch.randn(6, 5, 8)),
    "parametrizations": Kind(models.normed),
    "complex": Kind(models.Complex),
    "lazy": Kind(models.lazy),
    "custom function, views": Kind(models.Custom),
    "undefined gradients": Kind(models.Undefined),
    "hooks of the user": Kind(models.hooked),
    "bfloat16": Kind(lambda: _mlp().bfloat16(), lambda: _vectors().bfloat16()),
    "float16": Kind(lambda: _mlp().half(), lambda: _vectors().half(), SGD),
    "float64": Kind(lambda: _mlp().double(), lambda: _vectors().double()),
    "channels last": Kind(
        lambda: models.cnn().to(memory_format=torch.channels_last),
        lambda: _images().contiguous(memory_format=torch.channels_last),
    ),
    "scaler": Kind(_mlp, step=loops.scaled),
    "scaler, overflow": Kind(_mlp, step=loops.overflowing),
    "scaler, fused": Kind(
        _mlp, optimizers=_by(torch.optim.Adam, fused=True), step=loops.overflowing
    ),
    "accumulated": Kind(_mlp, step=loops.accumulated),
    "two optimizers": Kind(
        models.players, lambda: torch.randn(6, 4), _for_players, loops.two_players, frames=16
    ),
    "LBFGS": Kind(
        partial(models.mlp, 0.0),
        optimizers=_by(torch.optim.LBFGS, lr=0.1, max_iter=4),
        step=loops.closure,
    ),
    "sharpness aware": Kind(_mlp, step=loops.sharpness_aware),
    "averaged copies": Kind(models.cnn, _images, step=loops.averaged),
    "optimizers in backward": Kind(_mlp, optimizers=_each, step=loops.in_backward),
    "clipped": Kind(_mlp, optimizers=SGD, step=loops.clipped),
    "fused Adam": Kind(_mlp, optimizers=_by(torch.optim.Adam, fused=True)),
    "foreach Adam": Kind(_mlp, optimizers=_by(torch.optim.Adam, foreach=True)),
    "AdamW": Kind(_mlp, optimizers=_by(torch.optim.AdamW, amsgrad=True)),
    "gradient penalty": Kind(partial(models.mlp, 0.0), step=loops.penalised),
    "functional call": Kind(_mlp, step=loops.replaced),
    "torch.func": Kind(partial(models.mlp, 0.0), step=loops.per_sample, frames=1),
    "validated": Kind(models.cnn, _images, step=loops.validated),
    "growing": Kind(_mlp, step=loops.growing),
    "updated by hand": Kind(_mlp, step=loops.by_hand, frames=1),
    "an optimizer of its own": Kind(_mlp, optimizers=lambda _: [], step=loops.own_momentum),
    "offloaded, anomaly": Kind(_mlp, step=loops.offloaded),
    "forked workers": Kind(_mlp, step=loops.loaded),
}


def _bits(value):
    """A value as something that is equal only if every bit is."""
    if isinstance(value, dict):
        return {key: _bits(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_bits(item) for item in value]
    if not isinstance(value, torch.Tensor):
        return repr(value)
    if value.is_sparse:
        value = value.detach().coalesce()
        return [_bits(value.indices()), _bits(value.values())]
    plain = value.detach().contiguous().reshape(-1).view(torch.uint8)
    return value.dtype, tuple(value.shape), plain.numpy().tobytes()


def _state(loop):
    model, kept = loop.model, loop.kept.items()
    return {
        "state_dict": _bits(model.state_dict()),
        "buffers": _bits(dict(model.named_buffers())),
        "grads": _bits({name: p.grad for name, p in model.named_parameters()}),
        "modes": [module.training for module in model.modules()],
        "optimizers": _bits([optimizer.state_dict() for optimizer in loop.optimizers]),
        "kept": {name: _bits(x.state_dict()) for name, x in kept if hasattr(x, "state_dict")},
        "outputs": _bits(loop.outputs),
        "torch's randomness": _bits(torch.get_rng_state()),
        "numpy's randomness": _bits(torch.from_numpy(np.random.get_state()[1])),  # noqa: NPY002
        "python's randomness": random.getstate(),
        "settings": (torch.get_num_threads(), torch.is_grad_enabled(), torch.get_default_dtype()),
    }


def _train(kind, *, around=nullcontext, watch=lambda *_: nullcontext(), until=None):
    """Everything that could differ after a training that is watched `until` a step."""
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002 - the global state is what must not be touched
    random.seed(3)
    with around(), ExitStack() as watching:
        model = kind.model()
        loop = Loop(model, kind.optimizers(model), kind.batch)
        watching.enter_context(watch(loop.model, loop.optimizers))
        losses = []
        for i in range(kind.steps):
            if i == until:
                watching.close()
            losses.append(kind.step(loop, i).detach())
    return {**_state(loop), "losses": _bits(losses)}


@functools.cache
def _plain(name):
    return _train(KINDS[name])


def assert_same_bits(found, expected):
    assert [key for key in expected if found[key] != expected[key]] == []


@pytest.fixture
def watched(tmp_path):
    """A function to train by, and the run that it left."""
    runs = []

    def train(kind, *, until=None, **options):
        def watch(model, optimizers):
            runs.append(gs.watch(model, optimizers, dir=tmp_path, **options))
            return runs[-1]

        found = _train(kind, watch=watch, until=until)
        return found, gs.open(runs[-1].path).recording

    return train


def _failures(events):
    return [(event.site, event.data) for event in events if event.code == "tap-off"]


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("functional", [False, True], ids=["", "functional"])
@pytest.mark.parametrize("name", KINDS)
def test_watched_training_is_bit_identical(watched, name, functional):
    kind = KINDS[name]
    found, recording = watched(kind, functional=functional)
    assert_same_bits(found, _plain(name))
    assert _failures(recording.events) == []
    assert len(recording.steps) == (kind.steps if kind.frames is None else kind.frames)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", KINDS)
def test_training_under_the_global_taps_is_bit_identical(watching_everything, name):
    seen = []

    @contextmanager
    def around():
        with watching_everything() as one:
            seen.append(one)
            yield

    assert_same_bits(_train(KINDS[name], around=around), _plain(name))
    assert _failures(seen[0].sink.events) == []
    assert seen[0].frames > 0


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", KINDS)
def test_a_watch_that_ends_half_way_leaves_no_trace(watched, name):
    kind = KINDS[name]
    found, recording = watched(kind, until=kind.steps // 2, functional=True)
    assert_same_bits(found, _plain(name))
    assert _failures(recording.events) == []


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", ["MLP", "CNN", "transformer"])
def test_watching_every_third_step_is_bit_identical(watched, name):
    found, _ = watched(KINDS[name], every=3)
    assert_same_bits(found, _plain(name))


@pytest.mark.usefixtures("one_thread")
def test_what_a_watched_transformer_says_in_evaluation_is_bit_identical(watched):
    kind = Kind(models.Encoder, _tokens, step=loops.validated)
    assert_same_bits(watched(kind)[0], _train(kind))


def test_watched_training_on_many_threads_is_bit_identical(watched):
    kind = replace(KINDS["CNN"], steps=8)
    assert_same_bits(watched(kind)[0], _train(kind))
