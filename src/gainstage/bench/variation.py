"""Other versions of a script: its seeds, rates, widths and batch sizes changed by substitution.

A verdict that hangs on one number of one script sits on an edge. Only literals whose meaning is
plain from their name are changed; a script that states them otherwise keeps them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Final

FACTOR: Final = 1.5
"""Rates and batch sizes are multiplied or divided by it; widths are doubled or halved."""

_NUMBER: Final = r"(?<![\w.])\d+(?:\.\d*)?(?:e[+-]?\d+)?(?![\w.])"
_TYPED: Final = r"\s*(?::\s*\w+\s*)?=\s*"
_RATE: Final = re.compile(
    rf"(\b(?:lr|base_lr|max_lr|learning_rate){_TYPED}|--(?:lr|learning-rate)\"[^\n]*?"
    rf"default=)({_NUMBER})"
)
_BATCH: Final = re.compile(
    rf"(\b(?:batch|bs|batch_size){_TYPED}|\.split\(|randint\([^()]*(?:\(x\))?[^()]*,\s*\(|"
    rf"--batch(?:-size)?\"[^\n]*?default=)(\d+)(?=\b)(?!\.)"
)
_WIDTH: Final = re.compile(
    rf"(\b(?:width|hidden|n_hidden|hidden_size|d_model|channels){_TYPED}|"
    rf"--(?:width|hidden)\"[^\n]*?default=)(\d+)\b(?!\.)"
)
_SEEDS: Final = (
    "import torch as _torch; _seed_once = _torch.manual_seed; "
    "_torch.manual_seed = lambda seed: _seed_once(int(seed) + {shift})\n"
)


def vary(source: str, number: int) -> str:
    """One variant of a script's text.

    Args:
        source: the script.
        number: which variant, from 1; eight in a row have each combination of changes once.

    Example:
        >>> print(vary("sgd = SGD(net.parameters(), lr=0.3)", 1).splitlines()[1])
        sgd = SGD(net.parameters(), lr=0.45)
    """
    rate = FACTOR if number & 1 else 1 / FACTOR
    batch = FACTOR if number & 2 else 1 / FACTOR
    width = 2.0 if number & 4 else 0.5
    text = _RATE.sub(_times(rate, lambda value: f"{value:.4g}"), source)
    text = _BATCH.sub(_times(batch, _whole), text)
    text = _WIDTH.sub(_times(width, _whole), text)
    return _after_docstring(text, _SEEDS.format(shift=1000 * number))


def _times(factor: float, write: Callable[[float], str]) -> Callable[[re.Match[str]], str]:
    return lambda found: found[1] + write(float(found[2]) * factor)


def _whole(value: float) -> str:
    return str(max(round(value), 1))


def _after_docstring(source: str, line: str) -> str:
    """Put a line where the script's own imports begin: after docstring and ``__future__``."""
    first = next((node for node in ast.parse(source).body if not _stays_first(node)), None)
    at = first.lineno - 1 if first is not None else len(source.splitlines())
    lines = source.splitlines(keepends=True)
    return "".join([*lines[:at], line, *lines[at:]])


def _stays_first(node: ast.stmt) -> bool:
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return docstring or (isinstance(node, ast.ImportFrom) and node.module == "__future__")
