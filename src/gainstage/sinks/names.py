"""The names under which sinks are given numbers, and how each is made from a step's row.

===============================  ================================================================
name                             number
===============================  ================================================================
``run/loss``                     a quantity of the run: ``loss``, ``lr``, ``grad_norm``, ...
``level/output/layers.0``        level of a site in dB: ``20 log10(rms)``
``update_ratio/layers.0.weight`` ``log10(rms(update) / rms(weight))`` of weights of two or more
                                 dimensions, as the chart of updates shows it
``rms/output/layers.0``          any other quantity: ``QUANTITY/KIND/SITE``
``histogram/weight/layers.0...`` distribution of a site's elements
===============================  ================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gainstage.records import Series, Site

Row = NDArray[np.float32] | NDArray[np.float64]
Columns = NDArray[np.int64]


def scalar(site: Site, quantity: str) -> str:
    """Name of a quantity as it was measured.

    Example:
        >>> scalar(Site(0, "run", "run", "", "", 0), "loss")
        'run/loss'
    """
    return f"run/{quantity}" if site.kind == "run" else f"{quantity}/{site.kind}/{site.name}"


def histogram(site: Site) -> str:
    """Name of the distribution of a site's elements."""
    return f"histogram/{site.kind}/{site.name}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Which numbers of a row are handed on, and under which names.

    Attributes:
        names: first those that stay as they are, then levels, then ratios.
        plain: columns of the first.
        levels: columns of the rms of the second.
        moved: columns of the updates' rms of the third.
        sizes: of their weights' rms.
    """

    names: tuple[str, ...]
    plain: Columns
    levels: Columns
    moved: Columns
    sizes: Columns

    @classmethod
    def of(
        cls, sites: Sequence[Site], series: Sequence[Series], wanted: Callable[[str], bool]
    ) -> Plan:
        """The plan for what is measured.

        Args:
            sites: by id.
            series: by column.
            wanted: says by name what is handed on.
        """
        plain: list[tuple[str, int]] = []
        levels: list[tuple[str, int]] = []
        rms: dict[tuple[str, str], int] = {}
        for one in series:
            site = sites[one.site]
            plain.append((scalar(site, one.quantity), one.id))
            if one.quantity == "rms":
                levels.append((f"level/{site.kind}/{site.name}", one.id))
                rms.setdefault((site.kind, site.name), one.id)
        ratios = [
            (f"update_ratio/{site.name}", rms["update", site.name], rms["weight", site.name])
            for site in sites
            if site.kind == "weight" and len(site.shape) > 1
            if ("update", site.name) in rms and ("weight", site.name) in rms
        ]
        plain = [pair for pair in plain if wanted(pair[0])]
        levels = [pair for pair in levels if wanted(pair[0])]
        ratios = [triple for triple in ratios if wanted(triple[0])]
        return cls(
            names=tuple(one[0] for group in (plain, levels, ratios) for one in group),
            plain=_columns([column for _, column in plain]),
            levels=_columns([column for _, column in levels]),
            moved=_columns([moved for _, moved, _ in ratios]),
            sizes=_columns([size for _, _, size in ratios]),
        )

    @property
    def columns(self) -> Columns:
        """The columns that are read, each once."""
        return np.unique(np.concatenate([self.plain, self.levels, self.moved, self.sizes]))

    def scalars(self, row: Row) -> dict[str, float]:
        """The numbers of one step by name, without those that were not measured.

        Args:
            row: one number a series; read as float32, as a run file keeps it: [S].

        Example:
            >>> site = Site(0, "fc", "output", "fc", "Linear", 0)
            >>> plan = Plan.of([site], [Series(0, 0, "rms")], lambda name: True)
            >>> {name: round(x, 3) for name, x in plan.scalars(np.array([0.1])).items()}
            {'rms/output/fc': 0.1, 'level/output/fc': -20.0}
        """
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            kept = np.asarray(row, dtype=np.float32).astype(np.float64)
            values = np.concatenate(
                [
                    kept[self.plain],
                    20.0 * np.log10(kept[self.levels]),
                    np.log10(kept[self.moved] / kept[self.sizes]),
                ]
            )
        pairs = zip(self.names, values.tolist(), strict=True)
        return {name: value for name, value in pairs if value == value}  # noqa: PLR0124 - not NaN


def _columns(numbers: Sequence[int]) -> Columns:
    return np.array(numbers, dtype=np.int64)
