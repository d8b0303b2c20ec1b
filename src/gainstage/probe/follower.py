"""A watch that a framework's callback begins and ends, and that tells of findings on the way."""

from __future__ import annotations

import atexit
import warnings
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import torch
from torch import nn

from gainstage.probe.ending import outcome
from gainstage.probe.watch import Watch, watch
from gainstage.recording import MemoryRecording
from gainstage.run import Diagnosis

T = TypeVar("T")

_made: dict[tuple[type, ...], type] = {}


def instance(cls: type[T], *bases: type) -> T:
    """A new instance of a class that is one of `bases` too, not initialised.

    So a framework takes it for one of its callbacks, though the framework was not imported when
    the class was written down.
    """
    key = cls, *bases
    if key not in _made:
        _made[key] = type(cls.__name__, key, {"__doc__": cls.__doc__, "__module__": cls.__module__})
    made: T = object.__new__(_made[key])
    return made


class Follower:
    """Watches a training of somebody else's loop.

    Whatever happens in between, the run file is there: a loop that never says that it ended is
    ended with the process.

    Args:
        options: arguments of :func:`gainstage.watch`, but for the model and its optimiser.

    Attributes:
        options: the same.
        run: the watch; None before the training begins.
        is_open: between the beginning and the end.

    Example:
        >>> import tempfile
        >>> model = nn.Linear(2, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> follower = Follower({"dir": tempfile.mkdtemp()})
        >>> follower.begin(model, [optimizer])
        >>> model(torch.ones(4, 2)).mean().backward()
        >>> optimizer.step()
        >>> follower.end()
        >>> follower.run
        <Watch ...: 1 steps>
    """

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self._told: set[tuple[str, str]] = set()
        self._failed = False
        self.is_open = False
        self.run: Watch | None = None

    def begin(self, model: nn.Module, optimizers: Sequence[torch.optim.Optimizer]) -> None:
        """The training begins; one that was followed before is ended first.

        Raises:
            UsageError: an option is of the wrong kind.
        """
        self.end()
        run = watch(model, list(optimizers), **self.options)
        run.__enter__()
        self.run, self.is_open = run, True
        self._told.clear()
        self._failed = False
        atexit.register(self._never_ended)

    def look(self) -> Diagnosis:
        """Judge the training so far, and warn once of each error.

        Where it cannot be judged, for its file was moved, say, that is one warning more and there
        are no findings: the training goes on.

        Raises:
            RuntimeError: no training has begun.
        """
        if self.run is None:
            msg = "No training has begun, so there is nothing to look at."
            raise RuntimeError(msg)
        try:
            found = self.run.diagnose()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is ours
            if not self._failed:
                self._failed = True
                told = outcome(type(error), error)
                _warn(f"Gainstage could not judge {self.run.path}. {told}", RuntimeWarning)
            return Diagnosis(MemoryRecording((), {}), ())
        for finding in found:
            if finding.severity == "error" and (finding.code, finding.site) not in self._told:
                self._told.add((finding.code, finding.site))
                more = f"({finding.code}; more by `gainstage show {self.run.path}`)"
                _warn(f"Gainstage: {finding.message} {more}", UserWarning)
        return found

    def end(self, error: BaseException | None = None) -> None:
        """The training ended, or raised.

        Args:
            error: what it raised.
        """
        if not self.is_open or self.run is None:
            return
        self.is_open = False
        atexit.unregister(self._never_ended)
        traceback = None if error is None else error.__traceback__
        self.run.__exit__(None if error is None else type(error), error, traceback)

    def _never_ended(self) -> None:
        self.end(InterruptedError("the loop never said that it ended"))


class Following:
    """What the callbacks of frameworks share that are told when a training begins and ends.

    Args:
        **options: arguments of :func:`gainstage.watch`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self._follower = Follower(options)

    def __reduce__(self) -> tuple[Any, ...]:
        # a copy, or what another process gets, has not watched anything
        return partial(type(self).__mro__[1], **self._follower.options), ()

    @property
    def run(self) -> Watch | None:
        """The watch of the last training; None before."""
        return self._follower.run


def _warn(text: str, category: type[Warning]) -> None:
    with suppress(Warning):  # the user may have made warnings errors
        warnings.warn(text, category, stacklevel=4)
