"""What an intervention is: a context manager, chosen by name, that changes how torch behaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Final, TypeAlias

import msgspec

from gainstage.registry import Registry

Intervention: TypeAlias = Callable[..., AbstractContextManager[None]]

INTERVENTIONS: Final[Registry[Intervention]] = Registry(
    "intervention", "gainstage.interventions.changes"
)


class Change(msgspec.Struct, frozen=True):
    """An intervention with its parameters, as the parent asks for it.

    Attributes:
        name: of the intervention.
        params: its keyword arguments.

    Example:
        >>> Change("scale-learning-rate", {"factor": 0.1}).name
        'scale-learning-rate'
    """

    name: str
    params: dict[str, Any] = {}


@contextmanager
def applied(changes: Sequence[Change]) -> Iterator[None]:
    """Apply several changes at once; leaving undoes them in the opposite order.

    Raises:
        UnknownNameError: there is no intervention of such a name.
    """
    with ExitStack() as stack:
        for change in changes:
            stack.enter_context(INTERVENTIONS[change.name](**change.params))
        yield
