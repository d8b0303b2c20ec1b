"""Runs an experiment and keeps what it found: a table, its data, its pictures."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from gainstage.errors import UsageError
from gainstage.lab.experiment import EXPERIMENTS, Experiment, Output, Row


def run(
    name: str,
    options: Mapping[str, str] | None = None,
    *,
    quick: bool = False,
    folder: str | os.PathLike[str] = "runs/lab",
) -> Output:
    """Run an experiment.

    Args:
        name: of the experiment, or its number.
        options: parameters that differ from the published ones, as text.
        quick: a short run.
        folder: files go into a folder of the experiment's name in it.

    Returns:
        The rows and files; ``table.md`` and ``results.json`` hold the rows.

    Raises:
        UnknownNameError: there is no such experiment.
        UsageError: it has no such parameter, or a value does not fit.
    """
    chosen = find(name)
    values = _options(chosen, options or {}, quick=quick)
    output = Output(Path(folder) / chosen.name, quick=quick or bool(options))
    output.folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    chosen.run(values, output)
    seconds = time.perf_counter() - start
    table = "\n".join(_markdown(output.rows))
    (output.folder / "table.md").write_text(f"# {chosen.title}\n\n{table}\n", "utf-8")
    data = {"experiment": chosen.name, "options": asdict(values), "quick": quick}
    rows = [{**asdict(row), "inside": row.inside} for row in output.rows]
    text = json.dumps({**data, "seconds": round(seconds, 2), "rows": rows}, indent=1)
    (output.folder / "results.json").write_text(text + "\n", "utf-8")
    return output


def find(name: str) -> Experiment:
    """An experiment by its name or number.

    Raises:
        UnknownNameError: there is none.
    """
    numbers = {str(EXPERIMENTS[one].number): one for one in EXPERIMENTS}
    return EXPERIMENTS[numbers.get(name, name)]


def cells(row: Row) -> tuple[str, str, str, str, str]:
    """A row as texts: quantity, kind, published, measured, inside."""
    published = "" if row.published is None else f"{row.published:.7g}"
    # as exact as what it is held against
    span = f"[{row.low:.7g}, {row.high:.7g}]"
    verdict = f"{'yes' if row.inside else 'NO'} {span}" if row.asked else "short run: not judged"
    return row.quantity, row.kind, published, f"{row.measured:.7g}", verdict


def _markdown(rows: Sequence[Row]) -> list[str]:
    head = ("quantity", "kind", "published", "measured", "inside?")
    lines = [head, ("---",) * len(head), *(cells(row) for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines]


def _options(chosen: Experiment, texts: Mapping[str, str], *, quick: bool) -> Any:
    known = [field.name for field in fields(chosen.options)]
    for key in texts:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"It has: {', '.join(known)}."
            msg = f"The experiment {chosen.name!r} has no parameter {key!r}. {hint}"
            raise UsageError(msg)
    try:
        return msgspec.convert(
            {**(chosen.quick if quick else {}), **texts}, chosen.options, strict=False
        )
    except msgspec.ValidationError as error:
        msg = f"A parameter of {chosen.name!r} does not fit: {error}."
        raise UsageError(msg) from error
