"""skorch: one callback for its nets."""

from __future__ import annotations

from typing import Any

from typing_extensions import Self

from gainstage.errors import MissingExtraError
from gainstage.probe.follower import Following, instance


class GainstageCallback(Following):
    """Watches a net's ``fit``: its module, its optimiser, every layer at every step.

    Findings are judged at the end of each epoch: each error is told once, as a warning, and their
    number stands in the history and the printed log as ``gainstage_errors``. Validation leaves no
    trace. A ``fit`` that raises is told by no event: its run is ended when the process ends, or
    when the next one begins.

    Args:
        **options: arguments of :func:`gainstage.watch`: ``dir``, ``detail``, ``every``, ...

    Attributes:
        run: the :class:`gainstage.Watch` of the last ``fit``; None before.

    Raises:
        MissingExtraError: skorch is not installed.

    Example:
        >>> from skorch import NeuralNetClassifier  # doctest: +SKIP
        >>> callback = GainstageCallback(dir="runs")  # doctest: +SKIP
        >>> NeuralNetClassifier(Module, callbacks=[callback]).fit(x, y)  # doctest: +SKIP
        >>> callback.run.report("report.html")  # doctest: +SKIP
    """

    def __new__(cls, **_: Any) -> Self:
        """An instance that skorch takes for one of its callbacks."""
        try:
            from skorch.callbacks import Callback  # noqa: PLC0415 - an optional dependency
        except ImportError as error:
            msg = "GainstageCallback needs skorch: run `pip install skorch`."
            raise MissingExtraError(msg) from error
        return instance(cls, Callback)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The options, by which scikit-learn clones a net for each fold of a search."""
        del deep
        return dict(self._follower.options)

    def set_params(self, **options: Any) -> Self:
        """Change options; they hold from the next ``fit`` on."""
        self._follower.options.update(options)
        return self

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:  # noqa: N803 - skorch's
        """Begin."""
        del X, y, kwargs
        optimizers = [getattr(net, f"{name}_") for name in net._optimizers]  # noqa: SLF001 - the only list
        self._follower.begin(net.module_, optimizers)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Judge the training so far."""
        del kwargs
        if self._follower.is_open:
            errors = sum(finding.severity == "error" for finding in self._follower.look())
            net.history.record("gainstage_errors", errors)

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """End."""
        del net, kwargs
        self._follower.end()
