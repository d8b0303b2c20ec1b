"""A run as users hold it: its numbers, its findings, its report."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, overload

from typing_extensions import override

from gainstage.diagnosis import RULES, diagnose
from gainstage.recording import Recording
from gainstage.records import Finding, Remedy, RunInfo
from gainstage.store import find_run, open_recording

if TYPE_CHECKING:
    import pandas as pd

    from gainstage.sinks import Sink


class Diagnosis(Sequence[Finding]):
    """The findings on a run, main one first; printing it gives the verdict as text.

    Args:
        recording: what was judged.
        findings: ranked findings.
    """

    def __init__(self, recording: Recording, findings: Sequence[Finding]) -> None:
        self._recording = recording
        self._findings = tuple(findings)

    @property
    def healthy(self) -> bool:
        """Whether there was something to judge and nothing above ``info`` was found."""
        judged = len(self._recording.steps) > 0
        return judged and all(f.severity == "info" for f in self._findings)

    @overload
    def __getitem__(self, index: int) -> Finding: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Finding, ...]: ...
    @override
    def __getitem__(self, index: int | slice) -> Finding | tuple[Finding, ...]:
        return self._findings[index]

    @override
    def __len__(self) -> int:
        return len(self._findings)

    @override
    def __iter__(self) -> Iterator[Finding]:
        return iter(self._findings)

    @override
    def __repr__(self) -> str:
        codes = ", ".join(f.code for f in self._findings) or "healthy"
        return f"<Diagnosis: {codes}>"

    @override
    def __str__(self) -> str:
        from gainstage.render.plain import as_text  # noqa: PLC0415 - only to print
        from gainstage.render.text import print_verdict  # noqa: PLC0415

        told = manuals()
        return as_text(
            lambda page: print_verdict(page, self._recording, self._findings, manuals=told)
        )


class Run:
    """A stored run.

    Attributes:
        path: its file, or the folder of its ranks' files.
        recording: its sites and series, for those who want every number.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.recording = open_recording(self.path)

    @property
    def info(self) -> RunInfo:
        """What is known of the run as a whole."""
        return self.recording.info

    @property
    def remedies(self) -> tuple[Remedy, ...]:
        """What the doctor tried on the script, verified ones first; empty if nothing."""
        return self.recording.remedies

    def diagnose(self) -> Diagnosis:
        """Judge the run by every rule."""
        self.recording.refresh()
        return Diagnosis(self.recording, diagnose(self.recording))

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write one self-contained html file with findings and charts, and return its path."""
        from gainstage.render.report import write_report  # noqa: PLC0415 - loads plotly

        self.recording.refresh()
        return write_report(self.recording, tuple(self.diagnose()), manuals(), path)

    def frame(self) -> pd.DataFrame:
        """All series as a pandas frame: one row a step, columns (site, kind, quantity)."""
        return self.recording.frame()

    def send(self, sink: Sink) -> int:
        """Hand every step on to a sink, as a live watch would have, and then the findings.

        Args:
            sink: a function of one :class:`gainstage.sinks.Reading`, a tracker, or what
                :func:`gainstage.sinks.choose` made of one.

        Returns:
            How many steps it was given.

        Example:
            >>> run.send(gs.sinks.TensorBoard("logs"))  # doctest: +SKIP
            400
        """
        from gainstage.sinks.stored import send  # noqa: PLC0415 - few need it

        findings = self.diagnose()
        return send(self.recording, sink, tuple(findings))

    def _repr_html_(self) -> str:
        """The report, for a notebook; its charts need 2 MB of script each time it is shown."""
        from gainstage.render.report import framed_html, report_html  # noqa: PLC0415 - loads plotly

        findings = tuple(self.diagnose())
        return framed_html(report_html(self.recording, findings, manuals()))

    @override
    def __repr__(self) -> str:
        info = self.info
        return f"<Run {info.id}: {len(self.recording.steps)} steps, {info.status}>"


def open(run: str | os.PathLike[str] = "latest", *, dir: str = "runs") -> Run:  # noqa: A001, A002
    """Open a stored run.

    Args:
        run: path of its file, its id or a unique beginning of it, or ``"latest"``.
        dir: folder in which ids are looked up.

    Raises:
        RunFileError: there is no such run, or it cannot be read.
    """
    return Run(find_run(dir, os.fspath(run)))


def manuals() -> dict[str, str]:
    """The manual of every finding by its code."""
    return {code: rule.manual for code, rule in RULES.items()}
