"""Tables of the initialisation tools for a terminal: predictions, audits, what was drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from rich.table import Table

from gainstage.quantities import level_db
from gainstage.records import Finding
from gainstage.render.plain import as_text
from gainstage.theory.results import Audited, Calibrated, Drawn, ExpectedLoss, PredictedStage

WIDTH = 140


def prediction_table(stages: Sequence[PredictedStage]) -> str:
    """Levels in dB, measured and predicted, forward and backward, a stage a line."""
    header = ("stage", "", "forward", "predicted", "diff", "band", "backward", "predicted", "diff")
    rows = [
        (
            stage.name,
            stage.op + ("" if stage.modelled else " (no rule: as measured)"),
            *_beside(stage.rms, stage.predicted_rms),
            f"{stage.band_db:.1f}",
            *_beside(stage.grad, stage.predicted_grad),
        )
        for stage in stages
    ]
    foot = (
        "Levels in dB (20 log10 rms); diff = measured - predicted; band = standard deviation "
        "between seeds that this width and depth give."
    )
    return table(header, rows, right=range(2, 9)) + foot


def _beside(measured: float, predicted: float) -> tuple[str, str, str]:
    if math.isnan(measured) or math.isnan(predicted):
        return decibel(measured), decibel(predicted), ""
    difference = level_db(measured) - level_db(predicted)
    told = f"{difference:+.1f}" if math.isfinite(difference) else ""
    return decibel(measured), decibel(predicted), told


def decibel(rms: float) -> str:
    """A level as it is told: ``-3.0``, ``silent``, or nothing where none was measured."""
    if math.isnan(rms):
        return ""
    return "silent" if rms == 0 else f"{level_db(rms):.1f}"


def table(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[int] = ()
) -> str:
    """Rows as aligned text, without colour.

    Args:
        header: names of the columns.
        rows: their texts.
        right: columns that are numbers.
    """
    made = Table(*header, box=None)
    for column in right:
        made.columns[column].justify = "right"
    for row in rows:
        made.add_row(*row)
    return as_text(lambda console: console.print(made), WIDTH) + "\n"


def drawn_table(rows: Sequence[Drawn]) -> str:
    """What was done to each parameter, a line each."""
    header = ("parameter", "shape", "what", "std", "fan in", "gain", "for", "branch", "")
    lines = [
        (
            row.name,
            " x ".join(map(str, row.shape)),
            row.law if row.action == "drawn" else row.action,
            _figure(row.std),
            _figure(row.fan_in),
            _figure(row.gain),
            row.activation,
            "" if row.branch == 1 else _figure(row.branch),
            row.why,
        )
        for row in rows
    ]
    return table(header, lines, right=(3, 4, 5, 7))


def _figure(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4g}"


def calibrated_table(rows: Sequence[Calibrated]) -> str:
    """Levels before and after, a stage a line."""
    header = ("weight", "target dB", "before", "after", "scaled by")
    lines = [
        (
            row.name,
            f"{row.target_db:.1f}",
            f"{row.before_db:.1f}",
            f"{row.after_db:.1f}",
            f"{row.scale:.4g}",
        )
        for row in rows
    ]
    return table(header, lines, right=range(1, 5))


def audit_table(
    rows: Sequence[Audited], findings: Sequence[Finding], loss: ExpectedLoss | None
) -> str:
    """Which scheme each parameter fits, then the loss, then what was found."""
    header = ("parameter", "shape", "law", "rms", "nearest", "fed by", "fits", "rejected")
    lines = [
        (
            row.name,
            " x ".join(map(str, row.shape)),
            _law(row),
            f"{row.rms:.4g}",
            _figure(row.nearest),
            row.activation,
            _fits(row),
            ", ".join(row.rejected),
        )
        for row in rows
    ]
    told = table(header, lines, right=(3, 4))
    if loss is not None:
        expected = (
            ""
            if math.isnan(loss.chance)
            else (
                f"; equal odds give {loss.chance:.4g}, scores of deviation "
                f"{loss.scores_std:.3g} give {loss.expected:.4g}"
            )
        )
        told += f"first loss {loss.measured:.4g}{expected}\n"
    for finding in findings:
        told += f"{finding.severity.upper()} {finding.code}: {finding.message}\n"
    return told


def _law(row: Audited) -> str:
    return "zero" if row.rms == 0 else row.law


def _fits(row: Audited) -> str:
    if row.role != "weight":
        return row.role
    return ", ".join(dict.fromkeys(str(fit) for fit in row.fits[:3])) or "no scheme"
