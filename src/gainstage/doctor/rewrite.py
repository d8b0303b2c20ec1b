"""How a change is written in the user's own file, where it is one call or number, or few lines."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gainstage.doctor.candidates import Change
from gainstage.doctor.source import Edit, Source


@dataclass(frozen=True, slots=True)
class Site:
    """The user's file, and the lines in it at which training was seen to happen.

    Attributes:
        source: the file in which the optimiser was made.
        lines: of ``optimizer``, ``backward`` and ``step``, as far as they are in that file.
    """

    source: Source
    lines: Mapping[str, int]

    def optimizer_call(self) -> ast.Call | None:
        """The call that made the optimiser: the outermost that has parameters to optimise."""
        calls = [
            call
            for call in self.source.all(ast.Call)
            if call.lineno <= self.lines.get("optimizer", -1) <= (call.end_lineno or 0)
            and call.args
            and not _name(call.func).startswith("parameters")
        ]
        return min(calls, key=lambda c: (c.lineno, c.col_offset), default=None)

    def stepped(self) -> tuple[ast.stmt, str] | None:
        """The statement that steps, and what the optimiser is called there."""
        statement = self.source.at(ast.Expr, self.lines.get("step", -1))
        if statement is None or not isinstance(statement.value, ast.Call):
            return None
        call = statement.value
        if call.args and isinstance(call.args[0], (ast.Name, ast.Attribute)):
            return statement, self.source.segment(call.args[0])  # scaler.step(optimizer)
        if isinstance(call.func, ast.Attribute):
            return statement, self.source.segment(call.func.value)
        return None

    def model(self) -> tuple[ast.stmt, str] | None:
        """The statement that makes the optimiser, and the module whose parameters it is given."""
        call = self.optimizer_call()
        statement = self.source.statement(call) if call else None
        if call is None or statement is None:
            return None
        given = call.args[0]
        if isinstance(given, ast.Call) and _name(given.func) == "parameters":
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


Writer = Callable[[Change, Site], list[Edit]]
"""The edits that make a change; none where it cannot be said in a few."""


def rewritten(changes: Sequence[Change], made: Mapping[str, str]) -> tuple[str, str]:
    """Where a remedy is written, and a unified diff.

    Args:
        changes: all of them must be sayable for there to be a diff.
        made: ``file:line`` of the optimiser, the backward pass and the step.

    Returns:
        ``file:line`` and the diff; either may be ``""``.
    """
    places = {key: _split(place) for key, place in made.items() if place}
    path, line = places.get("optimizer") or places.get("backward") or ("", 0)
    source = Source.read(Path(path)) if path else None
    if source is None:
        return "", ""
    site = Site(source, {key: at for key, (file, at) in places.items() if file == path})
    edits: list[Edit] = []
    for change in changes:
        found = WRITERS[change.name](change, site) if change.name in WRITERS else []
        if not found:
            return f"{source.name}:{line}", ""
        edits += found
    try:
        diff = source.diff(edits)
    except SyntaxError:  # what cannot be read back is not offered
        return f"{source.name}:{line}", ""
    first = min(edit.start for edit in edits)
    return f"{source.name}:{source.text.count(chr(10), 0, first) + 1}", diff


def _rate(change: Change, site: Site) -> list[Edit]:
    return _number(site, "lr", lambda old: old * float(change["factor"]), position=1)


def _decay(change: Change, site: Site) -> list[Edit]:
    del change
    return _number(site, "weight_decay", lambda _: 0.0)


def _number(
    site: Site, key: str, new: Callable[[float], float], position: int | None = None
) -> list[Edit]:
    """A number in the call that made the optimiser, or where the name given there got it."""
    call = site.optimizer_call()
    if call is None:
        return []
    given = [k.value for k in call.keywords if k.arg == key]
    if not given and position is not None and len(call.args) > position:
        given = [call.args[position]]
    if not given:
        return []
    node: ast.expr | None = given[0]
    if not _is_number(node):
        node = _assigned(site.source, _name(given[0]))
    if node is None:
        return []
    return [site.source.replace(node, f"{new(float(ast.literal_eval(node))):.6g}")]


def _assigned(source: Source, name: str) -> ast.expr | None:
    """The one number that a name is given: ``lr = 0.1``, ``lr: float = 0.1``, or an option's."""
    found: list[ast.expr | None] = []
    for node in ast.walk(source.tree):
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found += [node.value] if any(_name(t) == name for t in targets) else []
        elif isinstance(node, ast.Call) and _name(node.func) == "add_argument":
            flags = [a.value for a in node.args if isinstance(a, ast.Constant)]
            if any(str(flag).lstrip("-").replace("-", "_") == name for flag in flags):
                found += [k.value for k in node.keywords if k.arg == "default"]
        elif isinstance(node, ast.keyword) and node.arg == name and _is_number(node.value):
            found.append(node.value)
        elif isinstance(node, ast.FunctionDef):
            defaults = node.args.defaults
            pairs = zip(node.args.args[-len(defaults) :], defaults, strict=False)
            found += [value for arg, value in pairs if defaults and arg.arg == name]
    numbers = [node for node in found if _is_number(node)]
    return numbers[0] if len(numbers) == 1 else None


def _zero(change: Change, site: Site) -> list[Edit]:
    del change
    stepped, backward = site.stepped(), site.source.at(ast.stmt, site.lines.get("backward", -1))
    if stepped is None or backward is None:
        return []
    statement, optimizer = stepped
    if site.source.scope(statement) is not site.source.scope(backward):
        return []
    return [site.source.before(backward, f"{optimizer}.zero_grad()")]


def _clip(change: Change, site: Site) -> list[Edit]:
    stepped, model = site.stepped(), site.model()
    if stepped is None or not site.imports_torch():
        return []
    statement, optimizer = stepped
    same = model is not None and site.source.scope(model[0]) is site.source.scope(statement)
    parameters = (
        f"{model[1]}.parameters()"
        if model is not None and same
        else f'[p for g in {optimizer}.param_groups for p in g["params"]]'
    )
    call = f"torch.nn.utils.clip_grad_norm_({parameters}, {change['norm']:g})"
    return [site.source.before(statement, call)]


def _unclip(change: Change, site: Site) -> list[Edit]:
    del change
    clips = {"clip_grad_norm_", "clip_grad_value_", "clip_grad_norm"}
    found = [
        statement
        for statement in site.source.all(ast.Expr)
        if isinstance(statement.value, ast.Call) and _name(statement.value.func) in clips
    ]
    return [site.source.without(statement) for statement in found]


def _train(change: Change, site: Site) -> list[Edit]:
    """``model.train()`` before the statement that calls the module whose ``eval()`` is called."""
    del change
    source = site.source
    backward = source.at(ast.stmt, site.lines.get("backward", -1))
    if backward is None:
        return []
    modes = [c for c in source.all(ast.Call) if _name(c.func) in {"eval", "train"}]
    called = {source.segment(c.func.value) for c in modes if isinstance(c.func, ast.Attribute)}
    calls = [
        call
        for call in source.all(ast.Call, source.scope(backward))
        if source.segment(call.func) in called and call.lineno <= backward.lineno
    ]
    last = max(calls, key=lambda call: call.lineno, default=None)
    statement = source.statement(last) if last else None
    if last is None or statement is None:
        return []
    return [source.before(statement, f"{source.segment(last.func)}.train()")]


def _softmax(change: Change, site: Site) -> list[Edit]:
    """The one softmax gone: a layer of a Sequential, or a call around what it is given."""
    del change
    source = site.source
    calls = [c for c in source.all(ast.Call) if _name(c.func) in {"Softmax", "softmax", "Sigmoid"}]
    softmax = [c for c in calls if "oftmax" in _name(c.func)] or calls
    if len(softmax) != 1:
        return []
    call = softmax[0]
    if _name(call.func) != "softmax":
        return [source.replace(call, "torch.nn.Identity()")] if site.imports_torch() else []
    method = isinstance(call.func, ast.Attribute) and _name(call.func.value) not in {
        "F",
        "functional",
        "torch",
    }
    inner = call.func.value if method and isinstance(call.func, ast.Attribute) else None
    inner = inner or (call.args[0] if call.args else None)
    return [source.replace(call, source.segment(inner))] if inner is not None else []


def _leaky(change: Change, site: Site) -> list[Edit]:
    source, slope = site.source, change["slope"]
    edits: list[Edit] = []
    for call in source.all(ast.Call):
        name, func = _name(call.func), call.func
        if name == "ReLU" and isinstance(func, ast.Attribute):
            edits.append(source.replace(call, f"{source.segment(func.value)}.LeakyReLU({slope:g})"))
        elif name == "relu" and isinstance(func, ast.Attribute) and len(call.args) == 1:
            module = source.segment(func.value)
            if _name(func.value) not in {"F", "functional"}:
                return []  # a method, or torch.relu, has no leaky twin
            inner = source.segment(call.args[0])
            edits.append(source.replace(call, f"{module}.leaky_relu({inner}, {slope:g})"))
    nested = any(
        a is not b and a.start <= b.start and b.stop <= a.stop for a in edits for b in edits
    )
    return [] if nested else edits


def _rectify(change: Change, site: Site) -> list[Edit]:
    """``nn.ReLU()`` for each sigmoid or tanh, but for one that ends a Sequential."""
    del change
    source = site.source
    edits: list[Edit] = []
    for call in source.all(ast.Call):
        parent = source.parent(call)
        last = isinstance(parent, ast.Call) and parent.args[-1:] == [call]
        if _name(call.func) in {"Sigmoid", "Tanh"} and isinstance(call.func, ast.Attribute):
            module = source.segment(call.func.value)
            edits += [] if last else [source.replace(call, f"{module}.ReLU()")]
    return edits


def _missing(change: Change, site: Site) -> list[Edit]:
    """``model.encoder.parameters()`` becomes ``model.parameters()``."""
    del change
    call = site.optimizer_call()
    given = call.args[0] if call else None
    if not (isinstance(given, ast.Call) and isinstance(given.func, ast.Attribute)):
        return []
    part = given.func.value
    if not isinstance(part, ast.Attribute) or site.source.segment(part.value) == "self":
        return []
    return [site.source.replace(part, site.source.segment(part.value))]


def _output(change: Change, site: Site) -> list[Edit]:
    model = site.model()
    if model is None or not change["layer"] or not site.imports_torch():
        return []
    statement, name = model
    lines = (
        "with torch.no_grad():\n"
        f'    for p in {name}.get_submodule("{change["layer"]}").parameters():\n'
        f"        p.mul_({change['factor']:g})"
    )
    return [site.source.before(statement, lines)]


_INIT: Final = {
    "relu": 'kaiming_normal_(layer.weight, nonlinearity="relu")',
    "tanh": "xavier_normal_(layer.weight, gain=5 / 3)",
    "linear": "xavier_normal_(layer.weight)",
}


_LAYERS: Final = ("Linear", "Conv1d", "Conv2d", "Conv3d")
_OTHERS: Final = ("Embedding", "RNN", "LSTM", "GRU", "Parameter", "ConvTranspose", "Transformer")
"""Layers that are drawn in other ways, by the beginning of their names."""


def _draw(change: Change, site: Site) -> list[Edit]:
    """Lines before the optimiser is made that draw linear layers and convolutions again."""
    model = site.model()
    used = {_name(call.func) for call in site.source.all(ast.Call)}
    drawn = [f"torch.nn.{layer}" for layer in _LAYERS if layer in used]
    if model is None or not drawn or any(name.startswith(_OTHERS) for name in used):
        return []
    if not site.imports_torch():
        return []
    statement, name = model
    kinds = drawn[0] if len(drawn) == 1 else f"({', '.join(drawn)})"
    lines = (
        f"for layer in {name}.modules():\n"
        f"    if isinstance(layer, {kinds}):\n"
        f"        torch.nn.init.{_INIT[change['activation']]}\n"
        "        if layer.bias is not None:\n"
        "            torch.nn.init.zeros_(layer.bias)"
    )
    return [site.source.before(statement, lines)]


WRITERS: Final[dict[str, Writer]] = {
    "scale-learning-rate": _rate,
    "drop-weight-decay": _decay,
    "zero-gradients": _zero,
    "clip-gradients": _clip,
    "unclip": _unclip,
    "train-mode": _train,
    "remove-softmax": _softmax,
    "leaky-activation": _leaky,
    "rectify": _rectify,
    "add-missing-parameters": _missing,
    "scale-output-layer": _output,
    "reinitialise": _draw,
}
"""How a change is written, by its name."""


def _name(node: ast.AST) -> str:
    """The last part of a dotted name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _is_number(node: ast.AST | None) -> bool:
    if isinstance(node, ast.UnaryOp):
        node = node.operand
    return isinstance(node, ast.Constant) and type(node.value) in {int, float}


def _split(place: str) -> tuple[str, int]:
    path, _, line = place.rpartition(":")
    return path, int(line)
