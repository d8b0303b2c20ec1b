"""The plain records in which the measuring half and the reading half meet.

Frozen, free of torch, and versioned: what is stored in a run file is exactly these.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

SCHEMA = 1
"""Version of everything in this file; a run file with a newer one is refused, never guessed at."""

Kind = Literal["input", "output", "output_grad", "weight", "grad", "update", "run"]
"""Where in the chain a site sits.

``input``: a tensor that enters the network from outside; ``output``: what a stage returned;
``output_grad``: the gradient of the loss with respect to that; ``weight``: a parameter before
the step; ``grad``: its gradient as the optimiser sees it; ``update``: parameter after minus
before the step; ``run``: the whole training (the loss and its like).
"""

KINDS: tuple[Kind, ...] = get_args(Kind)

Severity = Literal["error", "warning", "info"]

Merge = Literal["sum", "same"]
"""How the ranks of one training add up at a site.

``sum``: each rank has a part (its share of the batch, its shard of a parameter), and the parts
add up; ``same``: the rank has a copy of what another one has, and one of them is enough.
"""


@dataclass(frozen=True, slots=True)
class Site:
    """A place in the chain at which something is measured.

    Attributes:
        id: position in the run's list of sites.
        name: what the user calls it: ``"layers.0"`` for a stage, ``"layers.0.weight"`` for a
            parameter, ``"layers.1.relu"`` for a functional call inside a module.
        kind: which of the stage's signals this is.
        layer: the stage that it belongs to; every kind of a stage shares it.
        op: the operation: ``"Linear"``, ``"Conv2d"``, ``"relu"``, ``"matmul"``.
        order: rank of the stage in the forward pass, from 0 (the first to be computed).
        shape: shape of the tensor when first seen.
        dtype: its element type, for example ``"float32"``.
        unit_axis: the axis that numbers the units (channels, features), if there is one.
        aliases: other names of the same parameter (tied weights).
        merge: how the ranks of a training with several processes add up here.
    """

    id: int
    name: str
    kind: Kind
    layer: str
    op: str
    order: int
    shape: tuple[int, ...] = ()
    dtype: str = "float32"
    unit_axis: int | None = None
    aliases: tuple[str, ...] = ()
    merge: Merge = "sum"


@dataclass(frozen=True, slots=True)
class Series:
    """One measured quantity at one site: one number a step.

    Attributes:
        id: column of the quantity in the step's row.
        site: id of the site.
        quantity: a key of :data:`gainstage.quantities.QUANTITIES`.
    """

    id: int
    site: int
    quantity: str


class Frame(NamedTuple):
    """The numbers of one step.

    Attributes:
        step: which.
        values: float64, one for each series known at that step; NaN where nothing was measured.
        t: seconds since the start of the run.
    """

    step: int
    values: NDArray[np.float32] | NDArray[np.float64]
    t: float


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at one step.

    Attributes:
        step: when.
        code: what, for example ``"stopped"``, ``"non-finite"``, ``"tap-off"``.
        site: name of the place, or ``""``.
        data: details, JSON-ready.
    """

    step: int
    code: str
    site: str = ""
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What is known of a run as a whole.

    Attributes:
        id: short unique name, also the file's stem; of a rank's file, that of its folder.
        started: seconds since the epoch.
        script: path of the user's script, or ``""`` for a watch inside a program.
        args: the script's own arguments.
        detail: ``"exact"`` (every element is read) or ``"sampled"``.
        versions: of python, torch, gainstage and sqlite.
        status: ``"running"``, ``"finished"`` (the script or the block ended), ``"stopped"`` (the
            step or time limit), ``"failed"`` (it raised), ``"interrupted"`` (Ctrl-C).
        outcome: the exception's last line or the like; ``""`` if there is nothing to tell.
        seconds: wall time from the first to the last frame.
        probe_seconds: how much of that was spent in the probe.
        facts: what was learned of the training: ``optimizers``, ``loss`` (the function's name),
            ``classes``, ``inferred`` (``lr``, ``weight_decay`` and ``decoupled`` of a first update
            by hand), and ``made``: ``file:line`` of the first ``optimizer``, ``backward`` and
            ``step``.
        rank: number of the process that wrote the file, where a training has several; None for a
            whole training, of one process or merged.
        world: how many processes the training has.
        schema: version of these records.
    """

    id: str
    started: float
    script: str = ""
    args: tuple[str, ...] = ()
    detail: str = "exact"
    versions: dict[str, str] = field(default_factory=dict)
    status: str = "running"
    outcome: str = ""
    seconds: float = 0.0
    probe_seconds: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)
    rank: int | None = None
    world: int = 1
    schema: int = SCHEMA

    @property
    def overhead(self) -> float:
        """Time spent in the probe as a share of the rest (0.02 means 2 %)."""
        rest = self.seconds - self.probe_seconds
        return self.probe_seconds / rest if rest > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found.

    Attributes:
        code: public, stable name of the fault.
        severity: ``"error"``: it hurts this training; ``"warning"``: unusual, may hurt.
        confidence: between 0 and 1.
        site: where it is clearest.
        since_step: first step at which it held.
        message: one sentence with the numbers.
        evidence: the numbers, by name.
        threshold: what they were held against, by name.
        because: codes of the findings that explain this one; empty for a cause.
        rank: 1 for the main finding.
    """

    code: str
    severity: Severity
    confidence: float
    site: str
    since_step: int
    message: str
    evidence: dict[str, Any] = field(default_factory=dict)
    threshold: dict[str, Any] = field(default_factory=dict)
    because: tuple[str, ...] = ()
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Curve:
    """How the loss of one run of the trials went, thinned out.

    Attributes:
        run: ``"unchanged"``, ``"remedy"`` or ``"control"``.
        seed: number of the trial's seed; 0 is the script's own.
        steps: the last step of each stretch, ascending.
        loss: mean over the stretch; None if it was not finite.
    """

    run: Literal["unchanged", "remedy", "control"]
    seed: int
    steps: tuple[int, ...] = field(repr=False)
    loss: tuple[float | None, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Remedy:
    """A fix that was tried on the unmodified script.

    Attributes:
        name: what was changed, in a few words.
        codes: of the findings that it is for.
        change: how a user writes it: one sentence.
        where: file and line, or ``""``.
        diff: the same as a unified diff, or ``""`` where it is more than a line can say.
        loss_before: late loss of the unchanged runs, one a seed; None if it was not finite.
        loss_after: late loss with the change, one a seed.
        control: late loss with another change of equal cost that the findings do not suggest.
        control_name: what that was.
        score_before: share of the way from chance to zero loss, one a seed, between 0 and 1.
        score_after: with the change.
        score_control: with the control.
        seeds: how many it was tried with.
        verified: better than both by more than the seeds' spread.
        told: how the trial went, in a sentence.
        curves: of all runs with the change, and of those that it is compared with.
    """

    name: str
    codes: tuple[str, ...]
    change: str
    where: str = ""
    diff: str = ""
    loss_before: tuple[float | None, ...] = ()
    loss_after: tuple[float | None, ...] = ()
    control: tuple[float | None, ...] = ()
    control_name: str = ""
    score_before: tuple[float, ...] = ()
    score_after: tuple[float, ...] = ()
    score_control: tuple[float, ...] = ()
    seeds: int = 0
    verified: bool = False
    told: str = ""
    curves: tuple[Curve, ...] = ()
