"""A user's source file with edits: positions by ``ast``, differences by ``difflib``."""

from __future__ import annotations

import ast
import difflib
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

N = TypeVar("N", bound=ast.AST)


@dataclass(frozen=True, slots=True)
class Edit:
    """Text in the place of a range of characters.

    Attributes:
        start: position of the first character replaced.
        stop: one past the last one.
        text: what stands there instead.
    """

    start: int
    stop: int
    text: str


class CrowdedLineError(Exception):
    """A statement shares its lines with another, so that no line is its own."""


class Source:
    """One file of the user's code.

    Args:
        text: its content.
        name: what it is called in a diff.

    Raises:
        SyntaxError: it is no python.

    Example:
        >>> source = Source("a = f(lr=5.0)", "a.py")
        >>> call = next(source.all(ast.Call))
        >>> source.with_edits([source.replace(call.keywords[0].value, "0.5")])
        'a = f(lr=0.5)'
    """

    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.name = name
        self.tree = ast.parse(text)
        self._parents = {
            child: parent
            for parent in ast.walk(self.tree)
            for child in ast.iter_child_nodes(parent)
        }
        self._lines = io.StringIO(text, newline="").readlines()  # as python counts them
        self._end = "\r\n" if self._lines and self._lines[0].endswith("\r\n") else "\n"
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line))

    @staticmethod
    def read(path: Path) -> Source | None:
        """The file, named as seen from here; None if it cannot be read as python.

        One that lies elsewhere is called by its last name: its diff is for its own folder, since
        no tool takes a diff that climbs out of where it is applied.
        """
        try:
            name = os.path.relpath(path)
            if name.startswith(os.pardir):
                name = path.name
            with path.open(encoding="utf-8", newline="") as file:  # its line breaks as they are
                return Source(file.read(), name)
        except (OSError, SyntaxError, ValueError):
            return None

    def all(self, kind: type[N], within: ast.AST | None = None) -> Iterator[N]:
        """All nodes of a kind."""
        return (node for node in ast.walk(within or self.tree) if isinstance(node, kind))

    def at(self, kind: type[N], line: int) -> N | None:
        """The smallest node of a kind that covers a line."""
        covering = [n for n in self.all(kind) if _covers(n, line)]
        return min(covering, key=_height, default=None)

    def parent(self, node: ast.AST) -> ast.AST | None:
        """The node that a node is part of."""
        return self._parents.get(node)

    def scope(self, node: ast.AST) -> ast.AST:
        """The function that a node is in, or the module."""
        at = self.parent(node)
        while at is not None and not isinstance(at, (ast.FunctionDef, ast.AsyncFunctionDef)):
            at = self.parent(at)
        return at or self.tree

    def statement(self, node: ast.AST) -> ast.stmt | None:
        """The innermost statement that a node is in."""
        at: ast.AST | None = node
        while at is not None and not isinstance(at, ast.stmt):
            at = self.parent(at)
        return at

    def segment(self, node: ast.AST) -> str:
        """A node's text."""
        return ast.get_source_segment(self.text, node) or ""

    def replace(self, node: ast.AST, text: str) -> Edit:
        """Other text in the place of a node.

        Raises:
            CrowdedLineError: it is a statement that shares its lines.
        """
        if isinstance(node, ast.stmt):
            self._alone(node)
        return Edit(*self._span(node), text)

    def before(self, statement: ast.stmt, text: str) -> Edit:
        """Lines before a statement, as deep as it is.

        Raises:
            CrowdedLineError: it shares its lines.
        """
        self._alone(statement)
        return self._lines_at(self._starts[statement.lineno - 1], statement, text)

    def after(self, statement: ast.stmt, text: str) -> Edit:
        """Lines after a statement, as deep as it is.

        Raises:
            CrowdedLineError: it shares its lines, or is the last of a file that ends without a
                line break.
        """
        self._alone(statement)
        end = statement.end_lineno or statement.lineno
        if not self._lines[end - 1].endswith("\n"):
            raise CrowdedLineError
        return self._lines_at(self._starts[end], statement, text)

    def without(self, statement: ast.stmt) -> Edit:
        """A statement's lines gone; ``pass`` if nothing would be left of its block.

        Raises:
            CrowdedLineError: it shares its lines.
        """
        self._alone(statement)
        siblings = next(
            (
                block
                for _, block in ast.iter_fields(self.parent(statement) or self.tree)
                if isinstance(block, list) and statement in block
            ),
            [statement],
        )
        if len(siblings) == 1:
            return self.replace(statement, "pass")
        end = statement.end_lineno or statement.lineno
        return Edit(self._starts[statement.lineno - 1], self._starts[end], "")

    def with_edits(self, edits: Sequence[Edit]) -> str:
        """The text with all edits made."""
        text = self.text
        for edit in sorted(edits, key=lambda e: (e.start, e.stop), reverse=True):
            new = edit.text.replace("\r\n", "\n").replace("\n", self._end)
            text = text[: edit.start] + new + text[edit.stop :]
        return text

    def diff(self, edits: Sequence[Edit]) -> str:
        """A unified diff that ``patch -p1`` and ``git apply`` take; ``""`` for no change."""
        new = self.with_edits(edits)
        ast.parse(new)
        name = self.name.replace(os.sep, "/")
        lines = difflib.unified_diff(
            self._lines, io.StringIO(new, newline="").readlines(), f"a/{name}", f"b/{name}"
        )
        return "".join(
            line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
            for line in lines
        )

    def _alone(self, statement: ast.stmt) -> None:
        """Refuse a statement that shares its lines with another one."""
        start, stop = self._span(statement)
        end = statement.end_lineno or statement.lineno
        before = self.text[self._starts[statement.lineno - 1] : start]
        after = self.text[stop : self._starts[end]].strip()
        if before.strip() or (after and not after.startswith("#")):
            raise CrowdedLineError

    def _lines_at(self, start: int, statement: ast.stmt, text: str) -> Edit:
        indent = " " * statement.col_offset
        return Edit(start, start, "".join(f"{indent}{line}\n" for line in text.splitlines()))

    def _span(self, node: ast.AST) -> tuple[int, int]:
        assert isinstance(node, (ast.expr, ast.stmt, ast.keyword))  # noqa: S101 - for the types
        return (
            self._position(node.lineno, node.col_offset),
            self._position(node.end_lineno or node.lineno, node.end_col_offset or 0),
        )

    def _position(self, line: int, column: int) -> int:
        """A position from what ast gives: a column counts the bytes of UTF-8."""
        row = self._lines[line - 1].encode("utf-8")[:column]
        return self._starts[line - 1] + len(row.decode("utf-8"))


def apart(edits: list[Edit]) -> list[Edit]:
    """The edits, if none lies in another."""
    nested = any(
        a is not b and a.start <= b.start and b.stop <= a.stop for a in edits for b in edits
    )
    return [] if nested else edits


def _covers(node: ast.AST, line: int) -> bool:
    start = getattr(node, "lineno", None)
    return start is not None and start <= line <= (getattr(node, "end_lineno", start) or start)


def _height(node: ast.AST) -> int:
    return int(getattr(node, "end_lineno", 0)) - int(getattr(node, "lineno", 0))
