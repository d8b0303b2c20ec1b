"""Make the figures of the pages on initialisation: `python docs/figures.py`, or `make docs`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from slim import slim
from torch import nn

import gainstage as gs
from gainstage.bench.nets import Transformer, plain_cnn, plain_mlp
from gainstage.render.canvas import FAULT, FORWARD, MUTED, new_axes, new_figure

IMAGES = Path(__file__).resolve().parent / "img"


def main() -> None:
    """Draw them all."""
    IMAGES.mkdir(exist_ok=True)
    for draw in (gains, depth, both_ways, networks, audit):
        draw()
    for picture in IMAGES.glob("init_*.png"):
        slim(picture)


def gains() -> None:
    """Forward gains, and torch's where it has any."""
    names = sorted(gs.init.GAINS, key=lambda n: gs.init.GAINS[n].forward)
    figure = new_figure(8.5, 3.6)
    axis = new_axes(figure, "", "", "gain")
    at = np.arange(len(names))
    axis.bar(at - 0.2, [gs.gain(n) for n in names], 0.38, color=FORWARD, label="forward")
    back = [gs.gain(n, "backward") for n in names]
    axis.bar(at + 0.2, np.minimum(back, 3), 0.38, color=MUTED, label="backward")
    for x, value in zip(at, back, strict=True):
        if value > 3:
            axis.annotate(f"{value:.1f}", (x + 0.2, 3), ha="center", va="bottom", fontsize=8)
    known = {n: value for n in names if (value := torch_gain(n)) is not None}
    axis.plot([names.index(n) - 0.2 for n in known], list(known.values()), "D", color=FAULT,
              markersize=5, label="torch.nn.init.calculate_gain")  # fmt: skip
    axis.set_xticks(at, names, rotation=60, ha="right", fontsize=8)
    axis.legend(frameon=False, fontsize=9, loc="upper left")
    figure.savefig(IMAGES / "init_gains.png")


def torch_gain(name: str) -> float | None:
    """Torch's own gain, if it has one."""
    try:
        return torch.nn.init.calculate_gain(name)
    except ValueError:
        return None


def depth() -> None:
    """Second moments of activations over depth, against the variance map: who settles where."""
    figure = new_figure(11, 3.8)
    left = new_axes(figure, "Second moment of the activations", "layer", "", place=(1, 2, 1))
    right = new_axes(figure, "The same, logarithmic", "layer", "", place=(1, 2, 2))
    cases = (
        ("tanh, gain 1 (Xavier)", "tanh", nn.Tanh, 1.0),
        ("tanh, gain 5/3 (torch)", "tanh", nn.Tanh, 5 / 3),
        ("tanh, gain 1.5925", "tanh", nn.Tanh, float(gs.gain("tanh"))),
        ("ReLU, gain sqrt 2", "relu", nn.ReLU, 2**0.5),
        ("ReLU, gain 1 (Xavier)", "relu", nn.ReLU, 1.0),
    )
    colours = ("#d1495b", "#edae49", "#1d4e89", "#00798c", "#8d99ae")
    steps = np.arange(1, 41)
    for colour, (name, fn, activation, gain) in zip(colours, cases, strict=True):
        path = gs.init.VarianceMap.of(fn, gain).trajectory(1.0, 39)
        power = [q / gs.gain(fn, std=q**0.5) ** 2 for q in path]
        measured = second_moments(activation, gain)
        for axis in (left, right):
            axis.plot(steps, power, color=colour, linewidth=1.5, label=name)
            axis.plot(steps, measured, ".", color=colour, markersize=4)
    left.axhline(0.25, color="black", linewidth=0.8, linestyle=":")
    left.annotate("0.25 of the folklore", (40, 0.26), ha="right", fontsize=8)
    left.set_ylim(0, 1.1)
    right.set_xscale("log")
    right.set_yscale("log")
    right.set_ylim(3e-3, 1)
    right.plot(steps, 0.5 / steps, color="black", linewidth=0.8, linestyle=":")
    right.annotate("1/(2 depth)", (9, 0.075), fontsize=8)
    left.legend(frameon=False, fontsize=8, loc="upper right", ncols=2)
    figure.savefig(IMAGES / "init_depth.png")


def second_moments(activation: type[nn.Module], gain: float) -> list[float]:
    """Measured in a stack of 40 layers of 256, mean over 10 seeds."""
    rows = []
    for seed in range(10):
        model = nn.Sequential(plain_mlp(40, 256, activation), activation())
        gs.init.apply_(model, "lecun_normal", generator=seed)
        with torch.no_grad():
            for at, layer in enumerate(m for m in model.modules() if isinstance(m, nn.Linear)):
                layer.weight.mul_(gain if at else 1.0)
            x = torch.randn(256, 256, generator=torch.Generator().manual_seed(seed))
            powers = []
            for layer in (*model[0], model[1]):
                x = layer(x)
                if not isinstance(layer, nn.Linear):
                    powers.append(float(x.square().mean()))
        rows.append(powers)
    return np.mean(rows, axis=0).tolist()


def both_ways() -> None:
    """A deep tanh network cannot keep both levels."""
    figure = new_figure(11, 3.6)
    axes = [
        new_axes(figure, title, "layer", "level in dB", place=(1, 2, place))
        for place, title in enumerate(("Forward", "Backward"), 1)
    ]
    x = torch.randn(256, 256, generator=torch.Generator().manual_seed(1))
    cases = (("kaiming_normal", {}, "forward gain 1.5925", FORWARD),
             ("kaiming_normal", {"mode": "fan_out"}, "backward gain 1.4674", FAULT))  # fmt: skip
    for scheme, options, name, colour in cases:
        model = plain_mlp(40, 256, nn.Tanh)
        gs.init.apply_(model, scheme, generator=0, **options)
        stages = [s for s in gs.predict(model, x).stages if s.op == "linear"]
        back = stages[-1].grad
        ways = [[s.rms for s in stages], [s.grad / back for s in stages]]
        for axis, levels in zip(axes, ways, strict=True):
            axis.plot(range(1, 41), 20 * np.log10(levels), ".-", color=colour, label=name, lw=1)
    for axis in axes:
        axis.axhline(0, color=MUTED, linewidth=0.8)
    axes[0].set_ylim(-5, 5)
    axes[1].legend(frameon=False, fontsize=9)
    figure.savefig(IMAGES / "init_tanh.png")


def networks() -> None:
    """Predicted beside measured: what padding costs, and a transformer's stream."""
    chance = torch.Generator().manual_seed(1)
    cnn = plain_cnn(20, 96)
    images = torch.randn(4, 3, 20, 20, generator=chance)
    gs.init.apply_(cnn, "kaiming_normal", generator=0)
    gs.predict(cnn, images).draw(
        IMAGES / "init_cnn.png", "20 convolutions of 96 channels with padding, Kaiming normal"
    )
    transformer = Transformer(6, 256)
    tokens = torch.randint(100, (4, 32), generator=chance)
    gs.init.apply_(transformer, "kaiming_normal", generator=0, batch=tokens)
    gs.predict(transformer, tokens).draw(
        IMAGES / "init_transformer.png", "6 pre-norm blocks of width 256, Kaiming normal"
    )


def audit() -> None:
    """Which scheme each weight was drawn by, and one that fits none."""
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(32 * 144, 256), nn.Tanh(), nn.Linear(256, 128), nn.Tanh(), nn.Linear(128, 10),
    )  # fmt: skip
    gs.init.apply_(model, "kaiming_normal", generator=0, only=["0", "2"])
    gs.init.apply_(model, "orthogonal", generator=0, only=["7"])
    gs.init.apply_(model, "normal", generator=0, std=1.0, only=["9"])
    gs.init.audit(model).draw(IMAGES / "init_audit.png")


if __name__ == "__main__":
    main()
