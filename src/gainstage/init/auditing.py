"""``gs.init.audit``: which scheme each weight was drawn by, and what is wrong with the start."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from torch import Tensor, nn
from typing_extensions import override

from gainstage.errors import UsageError
from gainstage.init.expected_loss import expected_loss
from gainstage.init.faults import copies, faults
from gainstage.init.gains import gain
from gainstage.init.laws import Look, look, p_value
from gainstage.init.layers import Weight, bare, check_values, weights_of
from gainstage.init.tape import recording
from gainstage.init.wiring import Vertex, Wiring, of_modules, of_tape
from gainstage.records import Finding
from gainstage.theory.fans import Fans, torch_fan_in
from gainstage.theory.plausible import plausible_stds
from gainstage.theory.results import Audited, ExpectedLoss, Fit, named
from gainstage.theory.schemes import SCHEMES

ALPHA: Final = 1e-3
"""False alarms per weight and scheme: how often the true scheme is rejected."""


@dataclass(frozen=True)
class Audit:
    """What was found; print it for the table.

    Attributes:
        rows: one a parameter.
        findings: what is wrong, in the records of the diagnosis.
        loss: expected and measured, if there was a batch and a loss function.
    """

    rows: tuple[Audited, ...]
    findings: tuple[Finding, ...]
    loss: ExpectedLoss | None = None

    def __getitem__(self, name: str) -> Audited:
        """The row of a parameter.

        Raises:
            UnknownNameError: there is none of that name.
        """
        return named("parameter", self.rows, name)

    def draw(self, path: str | Path) -> None:
        """Draw each weight's size over that of the nearest scheme.

        Args:
            path: of the picture; its ending chooses the format.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        from gainstage.render.init_figures import draw_audit  # noqa: PLC0415 - only to draw

        draw_audit(self.rows, path)

    @override
    def __str__(self) -> str:
        from gainstage.render.init_tables import audit_table  # noqa: PLC0415 - only to print

        return audit_table(self.rows, self.findings, self.loss)

    @override
    def __repr__(self) -> str:
        return f"<Audit: {len(self.rows)} parameters, {len(self.findings)} findings>"


def audit(
    model: nn.Module,
    batch: Any = None,
    loss_fn: Callable[..., Tensor] | None = None,
    *,
    alpha: float = ALPHA,
) -> Audit:
    """Tell by which scheme each weight was drawn, and what is wrong with the start.

    The law (normal, uniform, truncated, orthogonal, ...) is the likeliest one; the size is tested
    against every scheme of that law, for the layer's fans and the gains of the activations around
    it, by the F-test of a variance against a known one. A scheme that is true is rejected with
    probability `alpha`; small weights fit several.

    Args:
        model: as it was initialised; training changes what is tested here.
        batch: an input, or ``(inputs, targets)``, for wiring that depends on data and for the loss.
        loss_fn: as in :func:`gainstage.profile`; with it the first loss is held against the one
            that theory expects.
        alpha: between 0 and 1.

    Raises:
        UsageError: `alpha` is no probability, there is a loss function but no batch, or a
            parameter has no values.

    Example:
        >>> import torch
        >>> _ = torch.manual_seed(0)
        >>> net = nn.Sequential(nn.Linear(100, 200), nn.ReLU(), nn.Linear(200, 10))
        >>> audit(net)["0.weight"].scheme
        'torch_default'
    """
    if not 0 < alpha < 1:
        msg = f"alpha must lie between 0 and 1, but is {alpha}."
        raise UsageError(msg)
    if loss_fn is not None and batch is None:
        msg = "To hold the loss against what is expected, audit needs a batch as well."
        raise UsageError(msg)
    check_values(model)
    wiring = _wiring(model, batch)
    weights = [_known(w, wiring) for w in weights_of(model)]
    rows = tuple(_row(w, wiring, alpha) for w in weights)
    loss = expected_loss(model, batch, loss_fn) if loss_fn is not None else None
    found = [*faults(rows), *copies(weights)]
    if loss is not None and loss.finding is not None:
        found.append(loss.finding)
    return Audit(rows, tuple(found), loss)


def _wiring(model: nn.Module, batch: Any) -> Wiring | None:
    if batch is not None:
        with recording(model, batch, measure=False) as (tape, _):
            return of_tape(tape, model)
    try:
        return of_modules(model)
    except UsageError:
        return None  # the gains of the activations are then not told apart


def _known(weight: Weight, wiring: Wiring | None) -> Weight:
    """A bare matrix with the fans that the wiring gives it."""
    at = wiring.of_weights().get(id(weight.parameter)) if wiring else None
    if wiring is None or at is None or weight.role != "unknown" or weight.parameter.dim() < 2:
        return weight
    return bare(weight, inputs_first=wiring.vertices[at].flipped)


def _row(weight: Weight, wiring: Wiring | None, alpha: float) -> Audited:
    shape = tuple(weight.parameter.shape)
    seen = look(weight.parameter)
    if weight.role != "weight" or weight.fans is None:
        return Audited(weight.name, shape, weight.role, seen.law or "", seen.rms)
    around = _around(weight, wiring)
    tried = list(_candidates(weight, weight.fans, seen, around))
    fits = sorted((f for f in tried if f.p >= alpha), key=_unlikely(seen, around))
    kept = {fit.scheme for fit in fits}
    rejected = dict.fromkeys(fit.scheme for fit in tried if fit.scheme not in kept)
    following = around[1].name if around[1] else ""
    stds = [*plausible_stds(weight.op, shape, following), *(f.std for f in tried if f.std > 0)]
    sized = 0 < seen.rms < math.inf
    nearest = min(stds, key=lambda s: abs(math.log(s / seen.rms))) if sized else math.nan
    matrix = weight.parameter.detach().flatten(1)
    units = matrix.T if weight.op.startswith("ConvTranspose") else matrix
    same = len(units) > 1 and bool((units == units[:1]).all()) and seen.rms > 0
    before = around[0].name if around[0] else ""
    return Audited(
        weight.name,
        shape,
        "weight",
        seen.law or "",
        seen.rms,
        tuple(fits),
        tuple(rejected),
        nearest,
        before,
        same,
    )


def _unlikely(seen: Look, around: tuple[Vertex | None, Vertex | None]) -> Callable[[Fit], float]:
    """Minus the logarithm of a fit's likelihood, and of what it supposes: lowest is best.

    A gain that no activation around the layer explains, a fan that is not the scheme's usual one
    or a residual branch are supposed less often than not; so of two sizes that weights cannot tell
    apart the plainer scheme is named.
    """
    feeding, following = (
        float(gain(v.function)) if v is not None and v.function is not None else 1.0 for v in around
    )

    def cost(fit: Fit) -> float:
        natural = feeding if SCHEMES[fit.scheme].gained else 1.0
        total = 3.0 * bool(fit.options) + 1.0 * (SCHEMES[fit.scheme].branch is not None)
        if not math.isclose(fit.gain, natural):
            total += 2.0 if math.isclose(fit.gain, following) else 5.0
        if not fit.std > 0 < seen.rms:
            return total
        if seen.law == "uniform":  # the largest of n tells the size to 1/n
            return total + seen.count * abs(math.log(math.sqrt(3.0) * fit.std / seen.peak))
        return total + seen.count * math.log(fit.std / seen.rms) ** 2

    return cost


def _around(weight: Weight, wiring: Wiring | None) -> tuple[Vertex | None, Vertex | None]:
    """The activations before and behind a layer."""
    at = wiring.of_weights().get(id(weight.parameter)) if wiring else None
    if wiring is None or at is None:
        return None, None
    return wiring.feeding(at), wiring.following(at)


def _candidates(
    weight: Weight, fans: Fans, seen: Look, around: tuple[Vertex | None, Vertex | None]
) -> Iterator[Fit]:
    """Every scheme of the law, with every gain that somebody may have had in mind."""
    gains = {1.0, math.sqrt(2.0), 5 / 3}
    gains |= {float(gain(v.function)) for v in around if v is not None and v.function is not None}
    for name, scheme in SCHEMES.items():
        if scheme.law != seen.law:
            continue
        own = fans
        if name == "torch_default":
            shape = tuple(weight.parameter.shape)
            own = Fans(torch_fan_in(weight.op, shape, fans), fans.fan_out)
        variants: list[dict[str, Any]] = [{}]
        if "mode" in scheme.options:
            variants.append({"mode": "fan_out"})
        if name == "constant":
            variants = [{"value": seen.rms}]
        with_gain = scheme.gained or name.startswith("xavier")
        for by in sorted(gains) if with_gain else [1.0]:
            for options in variants:
                std = scheme.std(own, by, **options)
                told = ", ".join(f"{k}={v}" for k, v in options.items() if k != "value")
                yield Fit(name, told, by, std, p_value(seen, scheme.law, std))
    if weight.fans is not None and weight.fans.parts > 1 and seen.law == "uniform":
        packed = Fans(fans.fan_in, fans.fan_out * fans.parts)  # as torch draws attention's
        std = SCHEMES["xavier_uniform"].std(packed)
        yield Fit(
            "xavier_uniform", "all parts as one matrix", 1.0, std, p_value(seen, "uniform", std)
        )
