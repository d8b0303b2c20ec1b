"""Run the lab and make its page and pictures: `make docs-lab` (half an hour).

With the argument `--reuse` nothing is run: the page is made of the results under runs/lab.
"""

import json
import math
import shutil
import sys
from itertools import pairwise
from pathlib import Path

import torch
from sklearn.datasets import make_moons
from slim import slim
from torch import nn

import gainstage as gs
from gainstage.lab import EXPERIMENTS, run
from gainstage.lab.experiment import Row
from gainstage.lab.plots import curves
from gainstage.lab.runner import cells

DOCS = Path(__file__).resolve().parent
RUNS = DOCS.parent / "runs" / "lab"
IMAGES = DOCS / "img"

PICTURES = {
    "surfaces": [
        "pathological-curvature-map",
        "pathological-curvature-3d",
        "steep-optima-map",
        "surface-rosenbrock",
    ],
    "line-fit": ["losses", "momentum-0.9-Nesterov"],
    "gradient-scales": ["SGD-linspace-frame-1023", "Adam-linspace-frame-1023", "Adam-linspace-rms"],
    "optimizers-compared": ["accuracy"],
    "names": ["loss"],
}

HEAD = """# The classic experiments

Made by `make docs-lab` from `gainstage lab run` of each; nothing here is written by hand. Kinds:
**D** deterministic, held to its tolerance; **C** seeded but chaotic, rounding changes the path;
**R** random, held to the range measured over many seeds.
"""


def main() -> None:
    """Run what is missing, then write the page and the pictures."""
    ordered = sorted((EXPERIMENTS[name] for name in EXPERIMENTS), key=lambda one: one.number)
    page = [HEAD]
    for one in ordered:
        kept = RUNS / one.name / "results.json"
        if "--reuse" not in sys.argv:
            run(one.name, folder=RUNS)
        elif not kept.exists():
            print(f"{one.name} has no results under {RUNS}: left out")
            continue
        page.append(section(one.number, one.name, one.manual, json.loads(kept.read_text("utf-8"))))
        for picture in PICTURES.get(one.name, []):
            source = RUNS / one.name / f"{picture}.png"
            small = IMAGES / f"{one.name}-{picture}.png"
            shutil.copyfile(source, small)
            slim(small)
    (DOCS / "experiments.md").write_text("\n".join(page), "utf-8")
    averages().savefig(IMAGES / "optimizers-averages.png")
    gs.landscape.figure_losses(own_training()).savefig(IMAGES / "landscapes-training.png")
    for drawn in ("optimizers-averages", "landscapes-training"):
        slim(IMAGES / f"{drawn}.png")
    print(DOCS / "experiments.md")


def section(number: int, name: str, manual: str, kept: dict) -> str:
    """One experiment: what it shows, and its table."""
    title, _, rest = manual.partition("\n")
    text = "\n".join(line.strip() for line in rest.strip().splitlines())
    lines = [f"## {number}. {title}", "", f"`gainstage lab run {name}`", "", text, ""]
    lines += ["| quantity | kind | published | measured | inside? |", "|---|---|---|---|---|"]
    for row in kept["rows"]:
        fields = {key: value for key, value in row.items() if key != "inside"}
        lines.append("| " + " | ".join(cells(Row(**fields))) + " |")
    settings = ", ".join(f"{key} = {value}" for key, value in kept["options"].items())
    return "\n".join([*lines, "", f"{settings}; {kept['seconds']:.0f} seconds.", ""])


def averages() -> object:
    """An average of a noisy gradient about 1, with and without its bias corrected."""
    generator = torch.Generator().manual_seed(0)
    gradients = 1 + 0.5 * torch.randn(60, generator=generator)
    biased = optimizer_path(gradients, bias_correction=False)
    corrected = optimizer_path(gradients, bias_correction=True)
    steps = list(range(1, 61))
    series = {
        "gradient": (steps, gradients.tolist()),
        "average, beta 0.9": (steps, biased),
        "bias corrected": (steps, corrected),
    }
    axes = ("step", "value")
    return curves(series, title="An average that begins at zero is too small at first", axes=axes)


def optimizer_path(gradients: torch.Tensor, *, bias_correction: bool) -> list[float]:
    """What `EMA` makes of gradients: the lengths of its steps at rate 1."""
    weight = nn.Parameter(torch.zeros(1))
    optimizer = gs.optim.EMA([weight], lr=1.0, beta=0.9, bias_correction=bias_correction)
    places = [0.0]
    for gradient in gradients:
        weight.grad = -gradient.view(1)
        optimizer.step()
        places.append(weight.item())
    return [after - before for before, after in pairwise(places)]


def own_training() -> object:
    """The loss of a small network on the plane of its own training."""
    points, labels = make_moons(200, noise=0.1, random_state=0)
    batch = torch.tensor(points, dtype=torch.float32), torch.tensor(labels)
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 2)
    )
    optimizer = gs.optim.Adam(model.parameters(), lr=0.01)
    trajectory = gs.landscape.Trajectory(model, optimizer, every=2)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(batch[0]), batch[1]).backward()
        optimizer.step()
    trajectory.close()
    way = trajectory.points
    directions, _ = gs.landscape.principal_directions(way)
    ends = gs.landscape.project(way, way[-1], directions)
    low, high = (ends.amin(0) - 1.0).tolist(), (ends.amax(0) + 1.0).tolist()
    spans = [(math.floor(a), math.ceil(b)) for a, b in zip(low, high, strict=True)]
    return gs.landscape.plane(
        model,
        batch,
        nn.functional.cross_entropy,
        directions,
        x=spans[0],
        y=spans[1],
        trajectory=way,
    )


if __name__ == "__main__":
    main()
