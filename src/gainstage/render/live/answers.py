"""What the live server tells: every answer is plain data that the page draws."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec

from gainstage.diagnosis import RULES, diagnose
from gainstage.errors import UsageError
from gainstage.render.live.shelf import Shelf, Signature, Whole, mark, quiet
from gainstage.render.payload import PAYLOAD_SCHEMA, run_told
from gainstage.store import Excerpt, open_recording
from gainstage.views.batchnorm import norm_chart
from gainstage.views.compare import compare_runs
from gainstage.views.findings import finding_cards
from gainstage.views.heatmap import heat_maps
from gainstage.views.histograms import ridges
from gainstage.views.history import histories
from gainstage.views.levels import level_diagram
from gainstage.views.loss import loss_chart
from gainstage.views.parameters import parameter_table
from gainstage.views.updates import update_chart

JUDGED_CELLS: Final = 8_000_000
"""Sites times steps that are judged; of a longer run, its first steps."""

_PATIENCE: Final = 8.0
"""A live run is judged again after this many times of what the last time took."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
Step = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class Query(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A question about one run, as it comes in an address.

    Attributes:
        run: its name.
        start: first step; None for the first recorded.
        stop: last step; None for the last recorded.
        match: what the names of sites must contain.
        only: the one map or kind that is wanted.
        other: another run to compare it with.
        site: the one site that is wanted.
    """

    run: Name
    start: Step | None = None
    stop: Step | None = None
    match: Annotated[str, msgspec.Meta(max_length=200)] = ""
    only: Annotated[str, msgspec.Meta(max_length=40)] = ""
    other: Annotated[str, msgspec.Meta(max_length=300)] = ""
    site: Annotated[str, msgspec.Meta(max_length=400)] = ""


def asked(parameters: Mapping[str, str]) -> Query:
    """The question in the parameters of an address.

    Raises:
        UsageError: a parameter is unknown, missing, too long or no number.
    """
    try:
        return msgspec.convert(dict(parameters), Query, strict=False)
    except msgspec.ValidationError as error:
        msg = f"The address makes no sense: {error}."
        raise UsageError(msg) from error


@dataclass(frozen=True, slots=True)
class _Judged:
    signature: Signature
    again: float
    """Not before then, by the monotonic clock."""
    answer: dict[str, Any]


class Answers:
    """Answers from a shelf of runs.

    Args:
        shelf: the runs.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._judged: dict[str, _Judged] = {}
        self._judging = threading.Lock()
        self._manuals = {code: rule.manual for code, rule in RULES.items()}

    def runs(self) -> dict[str, Any]:
        """All runs, newest first."""
        return {"folder": str(self._shelf.folder), "runs": self._shelf.listed()}

    def opening(self, query: Query) -> dict[str, Any]:
        """What a page begins with: the run and its loss."""
        # before it is read: what is written meanwhile is news
        signature = self._shelf.signature(query.run)
        with self._shelf.reading(query.run) as run:
            return {
                "mark": mark(signature),
                "schema": PAYLOAD_SCHEMA,
                "run": {**run_told(run), "quiet": quiet(signature)},
                "remedies": run.remedies,
                "loss": loss_chart(_run_alone(run, query)),
            }

    def findings(self, query: Query) -> dict[str, Any]:
        """The verdict: what the rules find now, or found a moment ago."""
        signature = self._shelf.signature(query.run)
        kept = self._judged.get(query.run)
        if kept and (kept.signature == signature or time.monotonic() < kept.again):
            return kept.answer
        with self._judging:  # one at a time: it takes what the machine has
            began = time.monotonic()
            with open_recording(self._shelf.path(query.run)) as run:  # nobody waits for it
                answer = self._judge(run)
            cost = time.monotonic() - began
            again = time.monotonic() + max(2.0, _PATIENCE * cost)
            self._judged[query.run] = _Judged(signature, again, answer)
        return answer

    def _judge(self, run: Whole) -> dict[str, Any]:
        most = max(JUDGED_CELLS // max(len(run.sites), 1), 1)
        whole = len(run.steps) <= most
        stop = None if whole else int(run.steps[most - 1])
        found = diagnose(Excerpt(run, stop=stop, cells=JUDGED_CELLS))
        told = "" if whole else f"Judged by the first {most:,} of {len(run.steps):,} steps."
        return {**_plain(finding_cards(run, found, self._manuals)), "told": told}

    def view(self, name: str, query: Query) -> Any:
        """One view of a run, by its name in :data:`VIEWS`."""
        with self._shelf.reading(query.run) as run:
            # of levels all, whatever is looked for: each tells of its neighbours
            match = "" if name == "levels" else query.match
            part = Excerpt(run, query.start, query.stop, match=match)
            return VIEWS[name](part, query)

    def comparison(self, query: Query) -> Any:
        """Two runs beside each other."""
        with self._shelf.reading_both(query.run, query.other) as both:
            parts = [Excerpt(run) for run in both]
            losses = [Excerpt(run, match=None) for run in both]
            return compare_runs(parts[0], parts[1], losses=(losses[0], losses[1]))


def _spread(part: Excerpt, query: Query) -> Any:
    stop = None if query.stop is None else query.stop + 1
    return ridges(part, start=query.start or 0, stop=stop, only=query.only)


def _history(part: Excerpt, query: Query) -> Any:
    stop = None if query.stop is None else query.stop + 1
    start = query.start or 0
    return histories(part, start=start, stop=stop, only=query.only, site=query.site)


VIEWS: Final[dict[str, Callable[[Excerpt, Query], Any]]] = {
    "batchnorm": lambda part, _: norm_chart(part),
    "heatmap": lambda part, query: heat_maps(part, only=query.only),
    "histograms": _spread,
    "history": _history,
    "levels": lambda part, _: level_diagram(part),
    "parameters": lambda part, _: parameter_table(part),
    "updates": lambda part, _: update_chart(part),
}
"""What can be asked of a part of a run, each by itself."""


def encode(answer: Any) -> bytes:
    """An answer as JSON; text that no UTF-8 can hold is escaped."""
    try:
        return msgspec.json.encode(answer)
    except UnicodeEncodeError:
        plain = msgspec.to_builtins(answer, str_keys=True)
        return json.dumps(plain, ensure_ascii=True, separators=(",", ":")).encode("ascii")


def _run_alone(run: Whole, query: Query) -> Excerpt:
    """The series of the run as a whole, at every step: they are few."""
    return Excerpt(run, query.start, query.stop, match=None)


def _plain(record: Any) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(record, str_keys=True)
    return plain
