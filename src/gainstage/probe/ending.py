"""How a watch ends: completely, and without a word of ours in the user's way."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from gainstage.errors import RunFileError


def finish_quietly(path: Path, acts: Sequence[Callable[[], None]]) -> None:
    """Do all that ends a run; what fails is a warning, for it must not hide the user's own error.

    Args:
        path: the run's file.
        acts: each comes about, whatever happens to those before it.
    """
    for i, act in enumerate(acts):
        try:
            act()
        except Exception as error:  # noqa: BLE001, PERF203 - whatever it is, it is ours
            told = str(error) if isinstance(error, RunFileError) else outcome(type(error), error)
            with suppress(Exception):  # the user may have made warnings errors
                text = f"Gainstage could not finish {path}. {told}"
                warnings.warn(text, RuntimeWarning, stacklevel=3)
        except BaseException:  # the user's interrupt
            finish_quietly(path, acts[i + 1 :])
            raise


def outcome(kind: type[BaseException], error: BaseException | None) -> str:
    """An exception in a line."""
    try:
        return kind.__name__ if error is None else f"{kind.__name__}: {error}"
    except Exception:  # noqa: BLE001 - one that cannot say what it is
        return kind.__name__
