"""Lightning: one callback, for ``lightning`` and for ``pytorch_lightning``."""

from __future__ import annotations

import importlib
import sys
from functools import partial
from typing import Any

from typing_extensions import Self

from gainstage.errors import MissingExtraError
from gainstage.probe.follower import Follower, instance
from gainstage.probe.watch import Watch

_PACKAGES = ("lightning.pytorch", "pytorch_lightning")


class GainstageMonitor:
    """Watches a ``Trainer.fit``: its model, its optimisers, every layer at every step.

    Findings are judged at the end of each training epoch: their number stands in the progress
    bar, and each error is told once, as a warning. Validation leaves no trace; accumulated
    gradients are one step; what gradient clipping and a precision plugin leave is what is
    measured. A training that raises, or is interrupted, keeps its run. Each rank of a distributed
    strategy writes its part, which the reader adds up.

    An instance is a ``Callback`` of whichever of the two packages the program has imported.

    Args:
        progress_bar: log the number of errors as ``gainstage/errors``, to the progress bar alone.
        **options: arguments of :func:`gainstage.watch`: ``dir``, ``detail``, ``every``, ...

    Attributes:
        run: the :class:`gainstage.Watch` of the last ``fit``; None before.

    Raises:
        MissingExtraError: neither package is installed.

    Example:
        >>> from lightning.pytorch import Trainer  # doctest: +SKIP
        >>> monitor = GainstageMonitor(dir="runs")  # doctest: +SKIP
        >>> Trainer(callbacks=[monitor]).fit(model, data)  # doctest: +SKIP
        >>> monitor.run.report("report.html")  # doctest: +SKIP
    """

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """An instance that the packages that are there take for one of their callbacks."""
        return instance(cls, *_bases())

    def __init__(self, *, progress_bar: bool = True, **options: Any) -> None:
        super().__init__()
        self._progress_bar = progress_bar
        self._follower = Follower(options)

    def __reduce__(self) -> tuple[Any, ...]:
        # a copy, or what another process gets, has not watched anything
        options = {"progress_bar": self._progress_bar, **self._follower.options}
        return partial(type(self).__mro__[1], **options), ()

    @property
    def run(self) -> Watch | None:
        """The watch of the last ``fit``."""
        return self._follower.run

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin."""
        self._follower.begin(pl_module, trainer.optimizers)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Judge the training so far."""
        del trainer
        errors = sum(finding.severity == "error" for finding in self._follower.look())
        if self._progress_bar:
            pl_module.log("gainstage/errors", float(errors), prog_bar=True, logger=False)

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Keep the run of a training that raised."""
        del trainer, pl_module
        self._follower.end(exception)

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """End."""
        del trainer, pl_module
        self._follower.end()


def _bases() -> tuple[type, ...]:
    """The ``Callback`` of each package that is imported, or else of one that can be."""
    loaded = [name for name in _PACKAGES if name in sys.modules]
    if not loaded:
        for name in _PACKAGES:
            try:
                importlib.import_module(name)
            except ImportError:
                continue
            loaded = [name]
            break
    if not loaded:
        msg = "GainstageMonitor needs Lightning: run `pip install lightning`."
        raise MissingExtraError(msg)
    return tuple(dict.fromkeys(sys.modules[name].Callback for name in loaded))
