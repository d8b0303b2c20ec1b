"""Things that are chosen by name: rules, commands, views, schemes, surfaces, experiments, sinks.

A registry is filled by a decorator. The package that holds the members is walked the first time
that somebody asks, so a new member is one new file and nothing else.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Generic, TypeVar

from gainstage.errors import UnknownNameError

T = TypeVar("T")


class Registry(Generic[T]):
    """A mapping from public names to members, filled by decoration.

    Args:
        kind: what one member is called in messages, for example ``"rule"``.
        package: dotted name of the package whose modules register members when imported.

    Example:
        >>> shapes: Registry[type] = Registry("shape")
        >>> @shapes.register("square")
        ... class Square: ...
        >>> shapes["square"].__name__, list(shapes)
        ('Square', ['square'])
        >>> shapes["sqare"]
        Traceback (most recent call last):
            ...
        gainstage.errors.UnknownNameError: There is no shape named 'sqare'. Did you mean 'square'?
    """

    def __init__(self, kind: str, package: str | None = None) -> None:
        self.kind = kind
        self._package = package
        self._walked = package is None
        self._members: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that files its argument under `name` and returns it unchanged."""

        def decorate(member: T) -> T:
            if name in self._members:
                msg = f"Two {self.kind}s are named {name!r}; rename one of them."
                raise UnknownNameError(msg)
            self._members[name] = member
            return member

        return decorate

    def __getitem__(self, name: str) -> T:
        self._walk()
        if name in self._members:
            return self._members[name]
        near = get_close_matches(name, self._members, n=3)
        hint = (
            f"Did you mean {' or '.join(map(repr, near))}?"
            if near
            else f"There are: {', '.join(sorted(self._members))}."
        )
        msg = f"There is no {self.kind} named {name!r}. {hint}"
        raise UnknownNameError(msg)

    def __iter__(self) -> Iterator[str]:
        self._walk()
        return iter(sorted(self._members))

    def __len__(self) -> int:
        self._walk()
        return len(self._members)

    def __contains__(self, name: object) -> bool:
        self._walk()
        return name in self._members

    def items(self) -> list[tuple[str, T]]:
        """All (name, member) pairs in order of name."""
        return [(name, self._members[name]) for name in self]

    def _walk(self) -> None:
        if self._walked or self._package is None:
            return
        self._walked = True
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self._package}.{module.name}")
