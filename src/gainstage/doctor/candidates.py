"""What a remedy is before it is tried: changes, for some findings, said in a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Change:
    """An intervention on the running script, by name.

    Attributes:
        name: a key of :data:`gainstage.interventions.INTERVENTIONS`.
        params: its keyword arguments.
    """

    name: str
    params: tuple[tuple[str, Any], ...] = ()

    @staticmethod
    def of(name: str, **params: Any) -> Change:
        """A change with its parameters as keyword arguments."""
        return Change(name, tuple(params.items()))

    def __getitem__(self, key: str) -> Any:
        return dict(self.params)[key]

    def request(self) -> dict[str, Any]:
        """The change as the child process reads it."""
        return {"name": self.name, "params": dict(self.params)}


@dataclass(frozen=True, slots=True)
class Patch:
    """A file of the user's as a diff would leave it.

    Attributes:
        file: its absolute path.
        text: what it would hold.
    """

    file: str
    text: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A remedy that may be tried.

    Attributes:
        name: what is changed, in a few words.
        changes: all at once.
        advice: how a user writes it: one sentence.
        codes: of the findings that suggest it.
        caveat: what it leaves as it was, in a sentence; such a remedy comes after all others.
        where: file and line at which a user writes it, or ``""``.
        diff: the same as a unified diff, or ``""``.
        patch: what the diff makes of the file, if trials can run that.
    """

    name: str
    changes: tuple[Change, ...]
    advice: str
    codes: tuple[str, ...] = ()
    caveat: str = ""
    where: str = ""
    diff: str = ""
    patch: Patch | None = None

    def joined(self, other: Candidate) -> Candidate:
        """Both at once, not yet written anywhere.

        Example:
            >>> slower = Candidate("slower", (Change.of("a"),), "Go slower.", ("x",))
            >>> both = slower.joined(Candidate("calmer", (Change.of("b"),), "Be calm.", ("x", "y")))
            >>> both.name, both.advice, both.codes
            ('slower and calmer', 'Go slower. Be calm.', ('x', 'y'))
        """
        return Candidate(
            f"{self.name} and {other.name}",
            (*self.changes, *other.changes),
            f"{self.advice} {other.advice}",
            tuple(dict.fromkeys((*self.codes, *other.codes))),
        )
