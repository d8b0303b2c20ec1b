"""The user's file, and what in it made the optimiser, stepped, and was trained."""

from __future__ import annotations

import ast
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from gainstage.doctor.source import Source

_CONTAINERS: Final = frozenset({"list", "tuple", "set", "iter", "chain"})
"""Calls that only pass parameters on."""


@dataclass(frozen=True, slots=True)
class Site:
    """The user's file, and the lines in it at which training was seen to happen.

    Attributes:
        source: the file in which the optimiser was made.
        lines: of ``optimizer``, ``backward`` and ``step``, as far as they are in that file.
        args: the script's own arguments.
        rate: the learning rate of the first step; NaN if it is not known.
        optimizers: how many there are.
    """

    source: Source
    lines: Mapping[str, int]
    args: tuple[str, ...] = ()
    rate: float = math.nan
    optimizers: int = 1

    def optimizer_call(self) -> ast.Call | None:
        """The call that made the optimiser: the innermost whose first argument holds parameters.

        Where none is seen to (``SGD(weights)``), the outermost.
        """
        calls = [
            call
            for call in self.source.all(ast.Call)
            if call.lineno <= self.lines.get("optimizer", -1) <= (call.end_lineno or 0)
            and call.args
            and not name_of(call.func).startswith("parameters")
            and name_of(call.func) not in _CONTAINERS
        ]
        holding = [call for call in calls if self._holds_parameters(call.args[0])]
        if holding:
            return max(holding, key=lambda c: (c.lineno, c.col_offset))
        return min(calls, key=lambda c: (c.lineno, c.col_offset), default=None)

    def _holds_parameters(self, given: ast.expr) -> bool:
        calls = self.source.all(ast.Call, given)
        return any(name_of(call.func).endswith("parameters") for call in calls)

    def stepped(self) -> tuple[ast.stmt, str] | None:
        """The statement that steps, and what the optimiser is called there.

        None where the step is given a closure, which makes its gradients itself.
        """
        statement = self.source.at(ast.Expr, self.lines.get("step", -1))
        call = statement.value if statement else None
        if statement is None or not isinstance(call, ast.Call):
            return None
        if self.scaler():
            return statement, self.source.segment(call.args[0])  # scaler.step(optimizer)
        if isinstance(call.func, ast.Attribute) and not call.args and not call.keywords:
            return statement, self.source.segment(call.func.value)
        return None

    def scaler(self) -> str:
        """What the scaler of the loss is called where it steps; ``""`` without one."""
        statement = self.source.at(ast.Expr, self.lines.get("step", -1))
        call = statement.value if statement else None
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            return ""
        name = self.source.segment(call.func.value)
        given = call.args and isinstance(call.args[0], (ast.Name, ast.Attribute))
        return name if given and "scaler" in name.lower() else ""

    def model(self) -> tuple[ast.stmt, str] | None:
        """The statement that makes the optimiser, and the module whose parameters it is given."""
        call = self.optimizer_call()
        statement = self.source.statement(call) if call else None
        if call is None or statement is None:
            return None
        given = call.args[0]
        if isinstance(given, ast.Call) and name_of(given.func) == "parameters":
            func = given.func
            if isinstance(func, ast.Attribute):
                return statement, self.source.segment(func.value)
        return None

    def imports_torch(self) -> bool:
        """Whether the name ``torch`` is there to be used."""
        return any(
            alias.name.partition(".")[0] == "torch" and alias.asname is None
            for node in self.source.all(ast.Import)
            for alias in node.names
        )

    def imported(self, node: ast.AST) -> bool:
        """Whether a dotted name begins with something that the file imports: ``F``, ``fn``."""
        while isinstance(node, ast.Attribute):
            node = node.value
        tree = self.source.tree
        statements = [s for s in ast.walk(tree) if isinstance(s, (ast.Import, ast.ImportFrom))]
        names = {a.asname or a.name.partition(".")[0] for s in statements for a in s.names}
        return isinstance(node, ast.Name) and node.id in names

    def given(self, flags: Collection[str]) -> bool:
        """Whether one of an option's flags is among the script's arguments."""
        return any(arg.partition("=")[0] in flags for arg in self.args)


def name_of(node: ast.AST) -> str:
    """The last part of a dotted name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def is_number(node: ast.AST | None) -> bool:
    """Whether a node is a number as it is written."""
    if isinstance(node, ast.UnaryOp):
        node = node.operand
    return isinstance(node, ast.Constant) and type(node.value) in {int, float}
