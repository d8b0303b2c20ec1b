"""How a training is watched, as :func:`gainstage.watch` is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from torch import nn

from gainstage.errors import UsageError
from gainstage.probe.naming import clean, paths
from gainstage.sinks.selection import Chosen

Detail = Literal["sampled", "exact"]


@dataclass(frozen=True, slots=True)
class Settings:
    """How a training is watched: the arguments of :func:`watch` of the same names."""

    detail: Detail = "sampled"
    every: int = 1
    sites: tuple[str, ...] | None = None
    budget: float | None = None
    functional: bool = False
    recompile: bool = False
    sinks: tuple[Chosen, ...] = ()

    def wants(self, name: str) -> bool:
        """Whether a pattern fits a stage or parameter, or a module that it is in."""
        parts = name.split(".")
        paths = [".".join(parts[: i + 1]) for i in range(len(parts))]
        return any(fnmatchcase(path, pattern) for pattern in self.sites or () for path in paths)


def check_sites(model: nn.Module, patterns: Sequence[str]) -> None:
    """Refuse patterns of which one fits nothing.

    Raises:
        UsageError: it fits nothing, or the patterns are a string.
    """
    if isinstance(patterns, str):
        msg = f"sites must be a list of patterns, but got a string: write [{patterns!r}]."
        raise UsageError(msg)
    modules = dict(paths(model))
    names = [name for name in modules if name]
    for path, module in modules.items():
        names += [clean(f"{path}.{key}") for key, _ in module.named_parameters(recurse=False)]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            some = ", ".join(names[:6])
            msg = f"sites: {pattern!r} matches nothing in this model, which has {some}, ..."
            raise UsageError(msg)
