"""``gs.watch``: one line around a training loop."""

from __future__ import annotations

import os
import platform
import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, get_args

import torch
from torch import nn
from typing_extensions import Self, override

from gainstage import __version__
from gainstage.errors import UsageError
from gainstage.probe import taps
from gainstage.probe.ending import finish_quietly, outcome
from gainstage.probe.functions import FunctionTap
from gainstage.probe.probe import Probe
from gainstage.probe.ranks import run_path, this_rank
from gainstage.probe.schedule import WAIT
from gainstage.probe.settings import Detail, Settings, check_sites
from gainstage.recording import Recording
from gainstage.records import RunInfo
from gainstage.run import Diagnosis, Run
from gainstage.sinks import Sink
from gainstage.sinks.outlet import Outlet
from gainstage.sinks.selection import chosen
from gainstage.sketch.sampling import LINES
from gainstage.store import Rank, Writer, run_name

if TYPE_CHECKING:
    import pandas as pd

Optimizers = torch.optim.Optimizer | Sequence[torch.optim.Optimizer]


class Watch:
    """A training under observation; a context manager.

    Leaving the block detaches every hook and finishes the run file, whether the block ended,
    raised or was interrupted. The training is bit-identical with and without it.

    Attributes:
        path: the run file; where there are several ranks, this one's.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizers: Sequence[torch.optim.Optimizer],
        *,
        path: Path,
        rank: Rank | None,
        settings: Settings,
    ) -> None:
        self.path = path
        self._model: nn.Module | None = model
        self._optimizers = optimizers
        self._info = RunInfo(
            id=run_name(path),
            started=time.time(),
            detail=settings.detail,
            versions={
                "python": platform.python_version(),
                "torch": torch.__version__,
                "gainstage": __version__,
                "sqlite": sqlite3.sqlite_version,
            },
            rank=rank and rank.number,
            world=rank.world if rank else 1,
        )
        self._settings = settings
        self._taps = ExitStack()
        self._writer: Writer | None = None
        self._outlet: Outlet | None = None
        self._probe: Probe | None = None

    def __enter__(self) -> Self:
        if self._probe is not None or self._model is None:
            msg = "This watch has been used already. Make a new one for each training."
            raise UsageError(msg)
        self._writer = Writer(self.path, self._info)
        try:
            self._attach(self._writer, self._model)
        except BaseException as error:  # what is attached so far goes; the error is the user's
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def _attach(self, writer: Writer, model: nn.Module) -> None:
        settings = self._settings
        if settings.sinks:
            self._outlet = Outlet(writer, self._info, settings.sinks)
        probe = self._probe = Probe(
            self._outlet or writer,
            every=settings.every,
            lines=LINES if settings.detail == "sampled" else None,
            budget=settings.budget,
            wanted=None if settings.sites is None else settings.wants,
            wait=WAIT,
        )
        functional = settings.functional
        self._taps.enter_context(taps.module_tap(probe, model, functional=functional))
        self._taps.enter_context(taps.optimizer_tap(probe, self._optimizers))
        self._taps.enter_context(taps.backward_tap(probe))
        if functional:
            self._taps.enter_context(FunctionTap(probe.forward))
        if settings.recompile:
            torch.compiler.reset()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        probe, writer, outlet = self._probe, self._writer, self._outlet
        if writer is None:
            return
        status = "finished"
        if kind is not None:
            status = "interrupted" if issubclass(kind, KeyboardInterrupt) else "failed"
        told = "" if kind is None else outcome(kind, error)
        self._info = replace(self._info, status=status, outcome=told)
        acts = [self._taps.close]
        if probe is not None:
            acts.append(partial(probe.finish, failed=kind is not None))
            acts += [partial(self._learn, probe, outlet), partial(self._let_go, probe)]
        acts.append(lambda: writer.finish(self._info))
        self._outlet = None
        if outlet is not None:
            acts += [lambda: outlet.tell(self._run().diagnose()), outlet.end]
        finish_quietly(self.path, acts)

    def _learn(self, probe: Probe, outlet: Outlet | None) -> None:
        self._info = replace(self._info, **probe.ending())
        if outlet is not None:
            self._info.facts["sinks"] = outlet.seconds

    def _let_go(self, probe: Probe) -> None:
        self._model, self._optimizers = None, ()  # a run that is kept keeps no model alive
        probe.release()

    def diagnose(self) -> Diagnosis:
        """Judge the training so far, or as it ended; sinks are told while it goes on."""
        found = self._run().diagnose()
        if self._outlet is not None:
            self._outlet.tell(found)
        return found

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write one self-contained html file with findings and charts, and return its path."""
        return self._run().report(path)

    def frame(self) -> pd.DataFrame:
        """All series as a pandas frame: one row a step, columns (site, kind, quantity)."""
        return self._run().frame()

    @property
    def recording(self) -> Recording:
        """What was measured so far, for figures and for those who want every number."""
        return self._run().recording

    def _repr_html_(self) -> str:
        """The report, for a notebook."""
        return self._run()._repr_html_()

    @property
    def overhead(self) -> float:
        """Time spent measuring as a share of the rest, so far."""
        if self._probe is None:
            return 0.0
        spent, seconds = self._probe.probe_seconds, self._probe.recorder.seconds
        return spent / (seconds - spent) if seconds > spent else 0.0

    @override
    def __repr__(self) -> str:
        steps = self._probe.recorder.step if self._probe else 0
        return f"<Watch {self.path}: {steps} steps>"

    def _run(self) -> Run:
        if self._probe is None:
            msg = f"Nothing has been watched yet: enter the watch first (with {self!r}: ...)."
            raise UsageError(msg)
        self._probe.flush()
        return Run(self.path if self._info.rank is None else self.path.parent)


def watch(  # noqa: PLR0913 - by name, and few need any
    model: nn.Module,
    optimizer: Optimizers,
    *,
    dir: str | os.PathLike[str] = "runs",  # noqa: A002 - the design's name
    detail: Detail = "sampled",
    every: int = 1,
    sites: Sequence[str] | None = None,
    budget: float | None = None,
    functional: bool = False,
    recompile: bool = False,
    sinks: Sequence[Sink] | None = None,
) -> Watch:
    """Watch a training loop: outputs, their gradients, weights, gradients and exact updates.

    Args:
        model: the module whose stages are watched.
        optimizer: the optimiser, or several.
        dir: folder of the run file; made if missing.
        detail: ``"sampled"`` reads up to 2,048 elements of each tensor at each step, whole cache
            lines spread evenly and other ones at the next step; ``"exact"`` reads every element.
        every: measure each `every`-th step; the loss is recorded at each.
        sites: patterns of the stages and parameters to measure, as the shell writes them:
            ``["layers.*", "head.weight"]``; all of them by default.
        budget: what measuring may cost, as a share of the training's own time: ``0.02`` for 2 %.
            The watch measures its own cost, and reads fewer elements, then fewer steps, until it
            keeps to that; what it did is in the run. By default it costs what it costs.
        functional: see functional calls (``F.relu`` inside a ``forward``) as well. Costs about
            3 microseconds for each torch function called.
        recompile: let go of every graph that ``torch.compile`` has made in this process, so that
            a model which has been compiled and called before is compiled anew and seen inside.
        sinks: where the numbers go beside the run file: functions, or trackers of
            :mod:`gainstage.sinks`. Of several ranks, that of number 0 hands its own numbers on.

    Returns:
        A context manager; the training loop goes inside.

    Raises:
        UsageError: an argument is of the wrong kind; the message says which.

    Example:
        >>> import gainstage as gs, tempfile
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> with gs.watch(model, optimizer, dir=tempfile.mkdtemp()) as run:
        ...     for _ in range(3):
        ...         optimizer.zero_grad()
        ...         model(torch.ones(2, 4)).square().mean().backward()
        ...         optimizer.step()
        >>> len(run.frame())
        3
    """
    if not isinstance(model, nn.Module):
        msg = f"watch needs a torch.nn.Module to watch, but got {type(model).__name__}."
        raise UsageError(msg)
    optimizers = list(optimizer) if isinstance(optimizer, Iterable) else [optimizer]
    for one in optimizers:
        if not isinstance(one, torch.optim.Optimizer):
            msg = (
                f"watch needs a torch.optim.Optimizer (or several), but got {type(one).__name__}. "
                "A training without one is observed by `gainstage run train.py`."
            )
            raise UsageError(msg)
    if not isinstance(every, int) or every < 1:
        msg = f"every must be a whole number from 1 (measure each step) on, but got {every!r}."
        raise UsageError(msg)
    if budget is not None and not 0.0 < budget < 1.0:
        msg = f"budget must be a share of the step's time between 0 and 1, but got {budget!r}."
        raise UsageError(msg)
    rank = this_rank()
    if budget is not None and rank is not None:
        msg = (
            "budget cannot be kept by several ranks: each would choose for itself which steps to "
            "measure, and their readings would not add up. Give every= instead."
        )
        raise UsageError(msg)
    if sites is not None:
        check_sites(model, sites)
    if detail not in get_args(Detail):
        msg = f'detail must be "sampled" or "exact", but got {detail!r}.'
        raise UsageError(msg)
    patterns = None if sites is None else tuple(sites)
    outward = chosen(sinks) if rank is None or rank.number == 0 else ()
    settings = Settings(detail, every, patterns, budget, functional, recompile, outward)
    path = run_path(dir, rank)
    return Watch(model, optimizers, path=path, rank=rank, settings=settings)
