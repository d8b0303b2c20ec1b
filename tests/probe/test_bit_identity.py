"""Training with and without the watch gives the same bits: weights, states, buffers, randomness."""

from __future__ import annotations

import functools
import random
from contextlib import nullcontext

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

import gainstage as gs

STEPS = 50


class Functional(nn.Module):
    """Functional calls, a bare parameter beside modules, a residual branch, in-place addition."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(8, 8)
        self.bare = nn.Parameter(torch.randn(8, 3) * 0.3)

    def forward(self, x):
        h = F.dropout(F.gelu(self.inner(x)), 0.2, self.training)
        h += x
        return torch.relu_(h.clone()) @ self.bare


class Checkpointed(nn.Module):
    def __init__(self, *, reentrant):
        super().__init__()
        self.block = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Dropout(0.3), nn.Linear(16, 8))
        self.head = nn.Linear(8, 3)
        self._reentrant = reentrant

    def forward(self, x):
        x = x.requires_grad_()
        return self.head(checkpoint(self.block, x, use_reentrant=self._reentrant))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 8, num_layers=2, dropout=0.1, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        outputs, (hidden, _) = self.lstm(x)
        return self.head(outputs[:, -1] + hidden[-1])


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(11, 16)
        layer = nn.TransformerEncoderLayer(16, 4, 32, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(16, 3)

    def forward(self, tokens):
        return self.head(self.encoder(self.tokens(tokens)).mean(1))


def _mlp():
    return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Dropout(0.1), nn.Linear(16, 3))


def _cnn():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.Dropout2d(0.2),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * 3 * 3, 3),
    )


def _tied():
    shared = nn.Linear(8, 8)
    net = nn.Sequential(shared, nn.ReLU(inplace=True), shared, nn.Linear(8, 8), nn.Linear(8, 3))
    net[3].weight = shared.weight
    net[4].bias.requires_grad_(requires_grad=False)
    return net


# kind -> (the model, one batch of inputs); a new kind is one line
MODELS = {
    "MLP": (_mlp, lambda: torch.randn(6, 8)),
    "CNN": (_cnn, lambda: torch.randn(6, 1, 8, 8)),
    "transformer": (Encoder, lambda: torch.randint(11, (6, 5))),
    "LSTM": (Recurrent, lambda: torch.randn(6, 5, 4)),
    "functional": (Functional, lambda: torch.randn(6, 8)),
    "checkpoint, reentrant": (
        functools.partial(Checkpointed, reentrant=True),
        lambda: torch.randn(6, 8),
    ),
    "checkpoint, not reentrant": (
        functools.partial(Checkpointed, reentrant=False),
        lambda: torch.randn(6, 8),
    ),
    "shared and tied": (_tied, lambda: torch.randn(6, 8)),
    "float64": (lambda: _mlp().double(), lambda: torch.randn(6, 8, dtype=torch.float64)),
    "bfloat16": (lambda: _mlp().bfloat16(), lambda: torch.randn(6, 8).bfloat16()),
}

OPTIMIZERS = {
    "momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=1e-3),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
}

WATCHES = {
    "default": {},
    "functional": {"functional": True},
    "every third": {"every": 3},
}


def _train(kind, optimizer, watch):
    """Train for :data:`STEPS` steps; everything that could differ, as bytes."""
    make, batch = MODELS[kind]
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002 - the global state is what must not be touched
    random.seed(3)
    model = make()
    optimizer = OPTIMIZERS[optimizer](p for p in model.parameters() if p.requires_grad)
    losses = []
    with watch(model, optimizer):
        for i in range(STEPS):
            x = batch() * random.choice([1, 2]) if i % 2 else batch()  # noqa: S311
            x = x.clamp(max=10)
            y = torch.from_numpy(np.random.randint(3, size=6))  # noqa: NPY002
            optimizer.zero_grad(set_to_none=bool(i % 3))
            loss = F.cross_entropy(model(x).float(), y)
            loss.backward()
            if i % 5 == 0:
                nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            losses.append(loss.detach())
            if i % 10 == 0:
                model.eval()
                with torch.no_grad():
                    model(x)
                model.train()
    states = [v for s in optimizer.state.values() for v in s.values() if torch.is_tensor(v)]
    tensors = [*model.state_dict().values(), *(p.grad for p in model.parameters()), *states]
    return (
        [None if t is None else t.contiguous().reshape(-1).view(torch.uint8) for t in tensors],
        torch.stack(losses).view(torch.uint8),
        torch.get_rng_state(),
        np.random.get_state()[1].tobytes(),  # noqa: NPY002
        random.getstate(),
    )


@functools.cache
def _plain(kind, optimizer):
    return _train(kind, optimizer, lambda *_: nullcontext())


def assert_same_bits(a, b):
    assert len(a[0]) == len(b[0])
    for left, right in zip(a[0], b[0], strict=True):
        assert left is right is None or torch.equal(left, right)
    assert torch.equal(a[1], b[1])
    assert torch.equal(a[2], b[2])
    assert a[3:] == b[3:]


MAIN = ("MLP", "CNN", "transformer")
CASES = {
    *((kind, optimizer, "default") for kind in MAIN for optimizer in OPTIMIZERS),
    *((kind, "Adam", "functional") for kind in MODELS),
    ("CNN", "momentum", "every third"),
}


@pytest.mark.parametrize(("kind", "optimizer", "how"), sorted(CASES))
def test_watched_training_is_bit_identical(tmp_path, kind, optimizer, how):
    runs = []

    def watch(model, optimizer):
        run = gs.watch(model, optimizer, dir=tmp_path, **WATCHES[how])
        runs.append(run)
        return run

    assert_same_bits(_train(kind, optimizer, watch), _plain(kind, optimizer))
    assert len(runs[0].frame()) == STEPS  # it did watch


@pytest.mark.parametrize("kind", ["MLP", "CNN", "functional"])
def test_training_under_the_global_taps_is_bit_identical(watching_everything, kind):
    with_taps = _train(kind, "Adam", lambda *_: watching_everything())
    assert_same_bits(with_taps, _plain(kind, "Adam"))


def test_detaching_half_way_changes_nothing_either(tmp_path):
    def half(model, optimizer):
        with gs.watch(model, optimizer, dir=tmp_path):
            x = torch.randn(6, 8)
            model(x).sum().backward()
            optimizer.step()
        return nullcontext()

    def plain(model, optimizer):
        model(torch.randn(6, 8)).sum().backward()
        optimizer.step()
        return nullcontext()

    assert_same_bits(_train("MLP", "Adam", half), _train("MLP", "Adam", plain))
