"""A watch that a framework's callback begins and ends, and that tells of findings on the way."""

from __future__ import annotations

import atexit
import warnings
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import nn

from gainstage.probe.watch import Watch, watch
from gainstage.records import Finding
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
        atexit.register(self._never_ended)

    def look(self) -> Diagnosis:
        """Judge the training so far, and warn once of each error.

        Raises:
            RuntimeError: no training has begun.
        """
        if self.run is None:
            msg = "No training has begun, so there is nothing to look at."
            raise RuntimeError(msg)
        found = self.run.diagnose()
        for finding in found:
            if finding.severity == "error" and (finding.code, finding.site) not in self._told:
                self._told.add((finding.code, finding.site))
                self._warn(finding)
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

    def _warn(self, finding: Finding) -> None:
        path = self.run.path if self.run is not None else ""
        warnings.warn(
            f"Gainstage: {finding.message} ({finding.code}; more by `gainstage show {path}`)",
            UserWarning,
            stacklevel=4,
        )
