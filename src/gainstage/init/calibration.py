"""``gs.init.calibrate_``: every stage's level set by data, in one pass through the network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.utils import _pytree as pytree
from typing_extensions import override

from gainstage.errors import UsageError
from gainstage.init.applying import apply_
from gainstage.init.balancing import balance_
from gainstage.init.layers import Weight, check_values, weights_of
from gainstage.init.metering import Meter, Stage
from gainstage.init.tape import check_batch, recording
from gainstage.init.wiring import of_tape
from gainstage.probe.profile import as_it_was, output_of
from gainstage.quantities import level_db
from gainstage.theory.results import Calibrated


@dataclass(frozen=True)
class Calibration:
    """What :func:`calibrate_` did; print it for the table."""

    rows: tuple[Calibrated, ...]

    @property
    def error_db(self) -> float:
        """Largest distance of a stage from its target."""
        return max((abs(r.after_db - r.target_db) for r in self.rows), default=0.0)

    @override
    def __str__(self) -> str:
        from gainstage.render.init_tables import calibrated_table  # noqa: PLC0415 - to print

        return calibrated_table(self.rows)

    @override
    def __repr__(self) -> str:
        return f"<Calibration: {len(self.rows)} stages, within {self.error_db:.2g} dB>"


def calibrate_(  # noqa: PLR0913 - all but two are named and optional
    model: nn.Module,
    batch: Any,
    *,
    target: float = 0.0,
    targets: Mapping[str, float] | None = None,
    branches: bool = True,
    balance: float = 0.0,
    scheme: str | None = None,
    generator: Generator | int | None = 0,
    more: Sequence[Any] = (),
) -> Calibration:
    """Scale each weight so that its stage puts out the level that is asked for, on actual data.

    Layer-sequential unit-variance initialisation (Mishkin & Matas 2016), with three differences:
    the stages are scaled *while* one pass runs through them, so a thousand layers take no more
    than one pass; every product with a parameter is a stage (attention's query, key and value, the
    gates of recurrent layers, functional calls); and the last layer of each of N residual branches
    is set 10 log10 N lower, so that the stream grows by about 3 dB in all. Directions of the
    weights, biases, buffers, gradients, mode and random state are left as they are.

    Args:
        model: changed in place, in the mode that it is in.
        batch: ``(inputs, targets)``, a mapping of keyword arguments, or the inputs alone.
        target: level of each stage in dB; 0 is an rms of 1.
        targets: others, by pattern of the weight's name: ``{"head.*": -20.0}``.
        branches: whether the last layers of residual branches are set lower.
        balance: between 0 (each stage keeps the signal's level) and 1 (the gradient's); 0.5 shares
            what the two directions want, as Glorot & Bengio (2010) do.
        scheme: what to draw the weights by before, or None to scale those that there are.
        generator: for the scheme.
        more: further batches of the same form, if one is too small to be typical.

    Raises:
        UsageError: a level or balance makes no sense, a pattern matches nothing, batches do not fit
            together, are empty or complex, or a parameter has no values.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> layers = [m for _ in range(20) for m in (nn.Linear(64, 64), nn.Tanh())]
        >>> done = calibrate_(nn.Sequential(*layers), torch.randn(256, 64))
        >>> len(done.rows), done.error_db < 0.01
        (20, True)
    """
    if not 0 <= balance <= 1 or not math.isfinite(target):
        msg = f"balance must lie in 0..1 and target be finite, but they are {balance} and {target}."
        raise UsageError(msg)
    check_values(model)
    whole = _joined([batch, *more])
    check_batch(whole)
    if scheme is not None:
        apply_(model, scheme, generator=generator, batch=whole)
    levels = _Targets(model, whole, target, dict(targets or {}), branches=branches)
    before = _passed(model, whole, levels, scale=False)
    _passed(model, whole, levels, scale=True)
    if balance:
        balance_(model, whole, balance)
    after = _passed(model, whole, levels, scale=False)
    return Calibration(
        tuple(
            Calibrated(
                name,
                levels.of(name),
                level_db(stage.rms),
                level_db(after[name].rms),
                after[name].size / stage.size if stage.size else 1.0,
            )
            for name, stage in before.items()
        )
    )


def stage_levels(model: nn.Module, batch: Any) -> dict[str, float]:
    """The level in dB of what each weight puts out, by the weight's name: a pass that only asks.

    Args:
        model: left as it is.
        batch: as in :func:`calibrate_`.

    Example:
        >>> net = nn.Linear(4, 4, bias=False)
        >>> _ = nn.init.eye_(net.weight)
        >>> stage_levels(net, torch.ones(2, 4))
        {'weight': 0.0}
    """
    meter = Meter({id(w.parameter): w for w in weights_of(model)})
    with as_it_was(model), torch.no_grad(), meter:
        output_of(model, batch)
    return {name: level_db(stage.rms) for name, stage in meter.stages.items()}


class _Targets:
    """The level that each weight's stage is to have."""

    def __init__(
        self,
        model: nn.Module,
        batch: Any,
        target: float,
        patterns: dict[str, float],
        *,
        branches: bool,
    ) -> None:
        self.names = {id(w.parameter): w for w in weights_of(model)}
        self._target = target
        self._patterns = patterns
        self._lower: dict[str, float] = {}
        for pattern in patterns:
            if not any(_fits(w.name, pattern) for w in self.names.values()):
                msg = f"{pattern!r} matches no parameter of the model."
                raise UsageError(msg)
        if branches:
            with recording(model, batch, measure=False) as (tape, _):
                wiring = of_tape(tape, model)
            lines = wiring.branches()
            for line in lines:
                last = [self.names[i] for i in wiring.vertices[line[-1]].weights if i in self.names]
                for weight in _ends(last):
                    self._lower[weight.name] = 10 * math.log10(len(lines))

    def of(self, name: str) -> float:
        """Level in dB for a weight, or for one of its parts."""
        own = name.partition("[")[0]
        for pattern, level in self._patterns.items():
            if _fits(own, pattern):
                return level
        return self._target - self._lower.get(own, 0.0)


def _fits(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or name.startswith(f"{pattern}.")


def _ends(weights: Sequence[Weight]) -> list[Weight]:
    """Of a call's weights the one that makes its output."""
    matrices = [w for w in weights if w.role == "weight"]
    out = [w for w in matrices if "out_proj" in w.name]
    return out or [w for w in matrices if w.op not in {"LSTM", "GRU", "RNN"}]


def _passed(model: nn.Module, batch: Any, levels: _Targets, *, scale: bool) -> dict[str, Stage]:
    """Run one pass; the stages by name, in order, scaled on the way if asked for."""
    meter = Meter(levels.names, levels.of if scale else None)
    with as_it_was(model), torch.no_grad(), meter:
        output_of(model, batch)
    return meter.stages


def _joined(batches: Sequence[Any]) -> Any:
    """Several batches as one: tensors one after the other along the first axis."""
    if len(batches) == 1:
        return batches[0]
    leaves, specs = zip(*(pytree.tree_flatten(batch) for batch in batches), strict=True)
    if any(spec != specs[0] for spec in specs):
        msg = "The batches are not of one form, so they cannot be joined."
        raise UsageError(msg)
    try:
        joined = [
            torch.cat(parts) if isinstance(parts[0], Tensor) and parts[0].dim() else parts[0]
            for parts in zip(*leaves, strict=True)
        ]
    except RuntimeError as error:
        msg = f"The batches cannot be joined along their first axis: {error}"
        raise UsageError(msg) from error
    return pytree.tree_unflatten(joined, specs[0])
