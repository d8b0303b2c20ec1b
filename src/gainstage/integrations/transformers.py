"""Hugging Face Transformers: one callback for its ``Trainer``."""

from __future__ import annotations

from typing import Any

from typing_extensions import Self

from gainstage.errors import MissingExtraError
from gainstage.probe.follower import Following, instance


class GainstageCallback(Following):
    """Watches a ``Trainer.train``: its model, its optimiser, every layer at every step.

    Findings are judged whenever the trainer logs (``logging_steps``): each error is told once, as
    a warning, and their number is printed with the logs as ``gainstage_errors``. Evaluation
    leaves no trace; accumulated gradients are one step. The trainer has no event for a training
    that raises: its run is ended when the process ends, or when the next training begins.

    Args:
        **options: arguments of :func:`gainstage.watch`: ``dir``, ``detail``, ``every``, ...

    Attributes:
        run: the :class:`gainstage.Watch` of the last ``train``; None before.

    Raises:
        MissingExtraError: transformers is not installed.

    Example:
        >>> from transformers import Trainer  # doctest: +SKIP
        >>> callback = GainstageCallback(dir="runs")  # doctest: +SKIP
        >>> Trainer(model, arguments, callbacks=[callback], ...).train()  # doctest: +SKIP
        >>> callback.run.report("report.html")  # doctest: +SKIP
    """

    def __new__(cls, **_: Any) -> Self:
        """An instance that transformers takes for one of its callbacks."""
        try:
            from transformers import TrainerCallback  # noqa: PLC0415 - an optional dependency
        except ImportError as error:
            msg = "GainstageCallback needs Transformers: run `pip install transformers accelerate`."
            raise MissingExtraError(msg) from error
        return instance(cls, TrainerCallback)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Begin."""
        del args, state, control
        optimizer = kwargs["optimizer"]
        inner = getattr(optimizer, "optimizer", optimizer)  # accelerate wraps it
        self._follower.begin(kwargs["model"], [inner])

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Judge the training so far."""
        del args, state, control
        if self._follower.is_open:
            errors = sum(finding.severity == "error" for finding in self._follower.look())
            kwargs["logs"]["gainstage_errors"] = errors

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """End."""
        del args, state, control, kwargs
        self._follower.end()
