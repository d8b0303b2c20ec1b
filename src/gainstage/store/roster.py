"""Which sites and series a writer has been told of, and which may follow."""

from __future__ import annotations

from collections.abc import Sequence

from gainstage.errors import UsageError
from gainstage.records import Series, Site


class Roster:
    """The sites and series known so far; ids go on from there without a gap.

    Attributes:
        sites: how many.
        series: how many.
    """

    def __init__(self) -> None:
        self.sites = 0
        self.series = 0
        self._known: set[tuple[int, str]] = set()

    def check_site(self, site_id: int) -> None:
        """Refuse a site that is not known.

        Raises:
            UsageError: it is not.
        """
        if not 0 <= site_id < self.sites:
            msg = f"There is no site {site_id} yet: add() it first ({self.sites} are known)."
            raise UsageError(msg)

    def check_new(self, sites: Sequence[Site], series: Sequence[Series]) -> None:
        """Refuse what cannot follow.

        Raises:
            UsageError: an id is out of turn, a site is unknown, or a series is there already.
        """
        for kind, start, ids in (
            ("sites", self.sites, [site.id for site in sites]),
            ("series", self.series, [one.id for one in series]),
        ):
            if ids != list(range(start, start + len(ids))):
                msg = f"The ids of new {kind} must go on from {start}, got {ids[:9]}."
                raise UsageError(msg)
        fresh: set[tuple[int, str]] = set()
        for one in series:
            if not 0 <= one.site < self.sites + len(sites):
                msg = f"Series {one.id} ({one.quantity!r}) is of an unknown site: {one.site}."
                raise UsageError(msg)
            key = one.site, one.quantity
            if key in self._known or key in fresh:
                msg = f"Series {one.id} ({one.quantity!r}) of site {one.site} is there already."
                raise UsageError(msg)
            fresh.add(key)

    def extend(self, sites: Sequence[Site], series: Sequence[Series]) -> None:
        """Take them in, once they are written."""
        self.sites += len(sites)
        self.series += len(series)
        self._known.update((one.site, one.quantity) for one in series)
