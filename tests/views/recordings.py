"""Recordings to test and look at: a small MLP trained in plain numpy, and hand-made ones."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from gainstage.recording import MemoryRecording
from gainstage.records import Curve, Event, Finding, Remedy, RunInfo, Site
from gainstage.sketch import Histogram

CLASSES = 10
HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "a\u202egnol\u2066b\u200b",
    "two\nlines\tand\x1b[31mred\x07",
    "__proto__",
    "constructor",
    "%{x} ${y} $\\LaTeX$ &amp; <b>bold</b> [red]markup[/red]",
    "x" * 10_000,
    "\ud800 lone",
    "层.卷积" * 9,
    "",
)


class _Tape:
    """Collects sites, series and histograms while a numpy network trains."""

    def __init__(self) -> None:
        self.sites: list[Site] = []
        self.values: dict[tuple[int, str], list[float]] = {}
        self.histograms: dict[int, Histogram] = {}
        self._ids: dict[tuple[str, str], int] = {}

    def put(self, name, kind, op, order, step, **quantities):
        key = (name, kind)
        if key not in self._ids:
            self._ids[key] = len(self.sites)
            shape = quantities.pop("shape", ())
            self.sites.append(
                Site(len(self.sites), name, kind, name.rsplit(".weight", 1)[0], op, order, shape)
            )
        quantities.pop("shape", None)
        for quantity, value in quantities.items():
            row = self.values.setdefault((self._ids[key], quantity), [])
            row.extend([np.nan] * (step - len(row)))
            row.append(value)
        return self._ids[key]

    def tensor(self, name, kind, op, order, step, x, **more):
        flat = np.asarray(x, dtype=np.float32).ravel()
        where = self.put(
            name, kind, op, order, step, shape=x.shape, nan=0.0, inf=0.0,
            rms=float(np.sqrt(np.mean(np.square(flat, dtype=np.float64)))),
            mean=float(flat.mean()), zero_share=float(np.mean(flat == 0)), **more,
        )  # fmt: skip
        if step % 20 == 0:
            self.histograms[where] = self.histograms.get(where, Histogram.empty()) + Histogram.of(
                flat
            )


def _act(name, x):
    return np.tanh(x) if name == "Tanh" else np.maximum(x, 0)


def _slope(name, y):
    return 1 - y * y if name == "Tanh" else (y > 0).astype(np.float32)


def train(layers=6, steps=300, *, std=None, act="ReLU", lr=0.05, width=64):
    """Train an MLP of `layers` Linear stages; `std` None means He initialisation."""
    rng = np.random.default_rng(0)
    sizes = [32] + [width] * (layers - 1) + [CLASSES]
    weights = [
        (rng.normal(size=(a, b)) * (std or np.sqrt((2 if act == "ReLU" else 1.6) / a))).astype(
            np.float32
        )
        for a, b in pairwise(sizes)
    ]
    centres = rng.normal(size=(CLASSES, 32)) * 0.9
    tape, dead = _Tape(), {}
    for step in range(steps):
        label = rng.integers(0, CLASSES, 64)
        h = (centres[label] + rng.normal(size=(64, 32)) * 0.8).astype(np.float32)
        tape.tensor("input", "input", "", 0, step, h)
        cache = []
        for i, w in enumerate(weights):
            z = h @ w
            tape.tensor(f"layers.{2 * i}", "output", "Linear", 2 * i, step, z)
            y = z
            if i < layers - 1:
                y = _act(act, z)
                dead[i] = 0.9 * dead.get(i, 0) + 0.1 * np.any(y != 0, axis=0)
                more = (
                    {"dead_units": float(np.mean(dead[i] < 1e-3))}
                    if act == "ReLU"
                    else {"saturated": float(np.mean(np.abs(y) > 0.97))}
                )
                tape.tensor(f"layers.{2 * i + 1}", "output", act, 2 * i + 1, step, y, **more)
            cache.append((h, y))
            h = y
        e = np.exp(h - h.max(1, keepdims=True))
        p = e / e.sum(1, keepdims=True)
        loss = float(-np.log(p[np.arange(64), label] + 1e-12).mean())
        g = p.copy()
        g[np.arange(64), label] -= 1
        g /= 64
        rate = lr * (1 if step < steps * 2 // 3 else 0.3)
        for i in reversed(range(layers)):
            x, y = cache[i]
            if i < layers - 1:
                tape.tensor(f"layers.{2 * i + 1}", "output_grad", act, 2 * i + 1, step, g)
                g = g * _slope(act, y)
            tape.tensor(f"layers.{2 * i}", "output_grad", "Linear", 2 * i, step, g)
            grad = x.T @ g
            name = f"layers.{2 * i}.weight"
            tape.tensor(name, "weight", "Linear", 2 * i, step, weights[i])
            tape.tensor(name, "grad", "Linear", 2 * i, step, grad)
            tape.tensor(name, "update", "Linear", 2 * i, step, -rate * grad)
            g = g @ weights[i].T
            weights[i] = weights[i] - rate * grad
        tape.put("run", "run", "", 0, step, loss=loss, lr=rate, chance_loss=float(np.log(CLASSES)))
    return MemoryRecording(
        tape.sites, tape.values, histograms=tape.histograms,
        info=RunInfo(
            "2026-11-22-a1b2", 1795300000.0, script="examples/train_digits.py",
            args=("--epochs", "3"),
            detail="sampled", status="finished", seconds=41.7, probe_seconds=0.86,
            versions={"python": "3.11.2", "torch": "2.13.0", "gainstage": "0.1.0"},
            facts={"optimizer": "SGD", "loss": "cross_entropy", "classes": 10, "device": "cpu"},
        ),
        events=(Event(steps * 2 // 3, "lr-changed", "", {"to": lr * 0.3}), Event(steps, "stopped")),
    )  # fmt: skip


def vanishing(steps=300):
    """A six-layer tanh MLP drawn from N(0, 0.02): every layer loses 14 dB in both directions."""
    return train(6, steps, std=0.02, act="Tanh", lr=0.1)


def healthy(steps=300):
    return train(6, steps)


def deep(steps=300):
    """Thirty layers, sixty stages."""
    return train(30, steps, lr=0.01)


VANISHING_FINDINGS = (
    Finding(
        "vanishing-gradient", "error", 0.97, "layers.0.weight", 0,
        "The gradient loses 15.1 dB a layer on its way back: at layers.0 it is 5,900 times weaker "
        "than at layers.10, so the first layers hardly learn.",
        evidence={"gain_db_per_layer": -15.1, "first_to_last_ratio": 1.7e-4, "steps_held": 300,
                  "layers": ["layers.0", "layers.2", "layers.4"]},
        threshold={"gain_db_per_layer": -6.0, "first_to_last_ratio": 0.01},
        because=("poor-initialization",), rank=2,
    ),
    Finding(
        "poor-initialization", "error", 0.93, "layers.2.weight", 0,
        "6 of 6 weights were drawn with a standard deviation of 0.020, where Tanh after 64 inputs "
        "asks for 0.199: each layer passes on a tenth of its signal.",
        evidence={"std": 0.02, "std_expected": 0.199, "ratio_db": -20.0, "p_value": 1e-300},
        threshold={"ratio_db": 6.0, "p_value": 1e-6}, rank=1,
    ),
    Finding(
        "loss-not-decreasing", "warning", 0.81, "", 40,
        "The loss has stayed at 2.303, the level of guessing, for 260 steps.",
        evidence={"loss_first": 2.3026, "loss_last": 2.3019, "chance_loss": 2.3026,
                  "slope": float("nan")},
        threshold={"slope": -1e-5}, because=("vanishing-gradient",), rank=3,
    ),
    Finding(
        "unnormalized-input", "info", 0.55, "input", 0,
        "The input's features are 1.6 dB above 0 dB; harmless here.",
        evidence={"level_db": 1.6}, threshold={"level_db": 10.0}, rank=4,
    ),
)  # fmt: skip

MANUALS = {
    "poor-initialization": (
        "A weight fails the test against every scheme that suits its layer.\n\n"
        "Why: the level of a layer's output is the level of its input times sqrt(fan_in) times the "
        "weights' deviation. Drawn too small, the signal fades; too large, it saturates.\n\n"
        "What to do:\n"
        '- draw the weights anew: `gs.init.apply_(model, "xavier_normal")` at the start;\n'
        "- or let the data decide: `gs.init.calibrate_(model, batch)` brings every stage to 0 dB;\n"
        "- normalisation layers (LayerNorm, BatchNorm) make the network forgiving.\n\n"
        "Source: Glorot & Bengio 2010; He et al. 2015.\n"
    ),
    "vanishing-gradient": (
        "The gradient shrinks from layer to layer on its way back.\n\n"
        "What to do: mend the initialisation first; then residual connections or normalisation.\n"
    ),
}  # fmt: skip


def hostile():
    """Names that try to break out of a page, a terminal or a chart."""
    sites, values, histograms = [], {}, {}
    for i, name in enumerate(HOSTILE):
        for kind in ("output", "output_grad", "weight", "grad", "update"):
            site = Site(len(sites), name, kind, name, name[:40], i, (4, 4))
            sites.append(site)
            values[(site.id, "rms")] = [10.0 ** (-i), 0.0, np.nan]
            values[(site.id, "nan")] = [0.0, 3.0, np.nan]
            histograms[site.id] = Histogram.of(np.linspace(-1, 1, 50, dtype=np.float32))
    run = Site(len(sites), "run", "run", "run", "", 0)
    values[(run.id, "loss")] = [2.0, np.inf, np.nan]
    findings = tuple(
        Finding(name or "empty", "error", float("nan"), name, 0, f"Look: {name}",
                {name: name, "worse": [np.float32("nan"), {name: np.inf}]}, {name: -np.inf},
                (HOSTILE[i - 1],), i)
        for i, name in enumerate(HOSTILE)
    )  # fmt: skip
    info = RunInfo(HOSTILE[0], 0.0, HOSTILE[1], HOSTILE[2:5], facts={HOSTILE[0]: HOSTILE[1]})
    events = (Event(1, HOSTILE[0], HOSTILE[1], {"x": HOSTILE[2]}),)
    recording = MemoryRecording(
        [*sites, run], values, info=info, events=events, histograms=histograms
    )
    return recording, findings, dict.fromkeys(HOSTILE, HOSTILE[1])


def handmade():
    """Four stages with levels that can be read off: -10 dB a stage forward, -20 dB backward."""
    sites, values = [], {}

    def put(name, kind, op, order, level, shape=(8, 8)):
        site = Site(len(sites), name, kind, name.removesuffix(".weight"), op, order, shape)
        sites.append(site)
        rms = [0.0 if db is None else 10.0 ** (db / 20) for db in level]
        values[(site.id, "rms")] = rms
        return site.id

    put("input", "input", "", 0, [0.0, 0.0, 0.0, 0.0])
    ops = ["Linear", "Tanh", "Linear", "Linear"]
    for i, op in enumerate(ops):
        forward, backward = -10.0 * (i + 1), -40.0 - 20.0 * (3 - i)
        name = f"body.{i}"
        where = put(name, "output", op, i, [forward, forward, forward, forward - 3])
        values[(where, "dead_units")] = [0.0, 0.25, 0.25, 0.5]
        put(name, "output_grad", op, i, [backward] * 3 + [None if i == 0 else backward])
        if op == "Linear":
            put(f"{name}.weight", "weight", op, i, [-20.0] * 4)
            put(f"{name}.weight", "grad", op, i, [-80.0] * 4)
            put(f"{name}.weight", "update", op, i, [-80.0, -80.0, None, -80.0])
    put("body.0.bias", "weight", "Linear", 0, [-30.0] * 4, (8,))
    run = Site(len(sites), "run", "run", "run", "", 0)
    sites.append(run)
    values[(run.id, "loss")] = [2.4, 2.3, np.nan, 2.2]
    values[(run.id, "chance_loss")] = [2.3] * 4
    values[(run.id, "lr")] = [0.1, 0.1, 0.1, 0.01]
    info = RunInfo("hand", 0.0, "train.py", seconds=12.0, probe_seconds=0.24, status="finished")
    events = (Event(3, "lr-changed"),)
    return MemoryRecording(sites, values, steps=[0, 10, 20, 30], info=info, events=events)


def empty():
    return MemoryRecording([], {})


REMEDIES = (
    Remedy(
        "learning rate x 0.01",
        ("vanishing-gradient",),
        "Multiply the learning rate by 0.01.",
        where="train_digits.py:17",
        diff=(
            "--- a/train_digits.py\n+++ b/train_digits.py\n@@ -17 +17 @@\n"
            "-optimizer = SGD(lr=5.0)\n+optimizer = SGD(lr=0.05)\n"
        ),
        loss_before=(2.301, 2.302),
        loss_after=(0.21, 0.24),
        control=(2.28, 2.31),
        control_name="standardised input",
        score_before=(0.0, 0.0),
        score_after=(0.91, 0.9),
        score_control=(0.01, 0.0),
        seeds=2,
        verified=True,
        told="Better than unchanged and than the control, beyond the spread of the seeds.",
        curves=(
            Curve("unchanged", 0, (9, 19, 29), (2.302, 2.301, 2.301)),
            Curve("remedy", 0, (9, 19, 29), (2.0, 0.6, 0.21)),
            Curve("control", 0, (9, 19, 29), (2.3, None, 2.28)),
        ),
    ),
    Remedy(
        "<img src=x>\x1b[31m",
        ("vanishing-gradient", "loss-not-decreasing"),
        "Do it.",
        loss_before=(2.301, 2.302),
        loss_after=(None,),
        control=(2.28, 2.31),
        control_name="standardised input",
        score_before=(0.0, 0.0),
        score_after=(0.0,),
        score_control=(0.01, 0.0),
        seeds=1,
        told="It did not get through: it ended with exit code 1: ValueError: boom.",
    ),
)


def blocks(count=12, inside=8, steps=40):
    """Blocks of layers that lose 2 dB each, the last block 60 dB at once; one BatchNorm lags."""
    sites, values, histograms, level = [], {}, {}, 0.0
    for order in range(count * inside):
        block, layer = divmod(order, inside)
        name = f"blocks.{block}.layers.{layer}"
        level -= 60.0 if order == (count - 1) * inside else 2.0
        op = "BatchNorm1d" if layer == 1 else "Linear"
        for kind in ("output", "output_grad", "weight"):
            full = name + ".weight" if kind == "weight" else name
            site = Site(len(sites), full, kind, name, op, order, (16, 16))
            sites.append(site)
            values[(site.id, "rms")] = [10 ** ((level if kind == "output" else -20.0) / 20)] * steps
            histograms[site.id] = Histogram.of(np.linspace(-1, 1, 50, dtype=np.float32))
            if kind == "output" and layer == 1:
                gap = 8.0 if block == 0 else 4.0 / (1 + np.arange(steps))
                values[(site.id, "running_gap")] = np.broadcast_to(gap, steps).astype(float)
    run = Site(len(sites), "run", "run", "run", "", 0)
    values[(run.id, "loss")] = np.linspace(2.0, 1.0, steps)
    info = RunInfo("blocks", 0.0, "train_blocks.py", status="finished")
    return MemoryRecording([*sites, run], values, info=info, histograms=histograms)
