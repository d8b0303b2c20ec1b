"""How each change is written: the edits in the user's file, where a few can say it."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Final

from gainstage.doctor.candidates import Change
from gainstage.doctor.site import Site, is_number, name_of
from gainstage.doctor.source import Edit

Writer = Callable[[Change, Site], list[Edit]]
"""The edits that make a change; none where it cannot be said in a few."""


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
    if not is_number(node):
        node = _assigned(site, name_of(given[0]))
    if node is None:
        return []
    return [site.source.replace(node, f"{new(float(ast.literal_eval(node))):.6g}")]


def _assigned(site: Site, name: str) -> ast.expr | None:
    """The one number that a name is given: ``lr = 0.1``, ``lr: float = 0.1``, or an option's.

    The default of an option that was given says nothing.
    """
    found: list[ast.expr | None] = []
    for node in ast.walk(site.source.tree):
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found += [node.value] if any(name_of(t) == name for t in targets) else []
        elif isinstance(node, ast.Call) and name_of(node.func) == "add_argument":
            flags = [str(a.value) for a in node.args if isinstance(a, ast.Constant)]
            if any(flag.lstrip("-").replace("-", "_") == name for flag in flags):
                if site.given(flags):
                    return None
                found += [k.value for k in node.keywords if k.arg == "default"]
        elif isinstance(node, ast.keyword) and node.arg == name and is_number(node.value):
            found.append(node.value)
        elif isinstance(node, ast.FunctionDef):
            defaults = node.args.defaults
            pairs = zip(node.args.args[-len(defaults) :], defaults, strict=False)
            found += [value for arg, value in pairs if defaults and arg.arg == name]
    numbers = [node for node in found if is_number(node)]
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


def _skip(change: Change, site: Site) -> list[Edit]:
    """A condition around the step."""
    del change
    stepped = site.stepped()
    if stepped is None or not site.imports_torch():
        return []
    statement, optimizer = stepped
    indent = " " * statement.col_offset
    guarded = (
        f'grads = [p.grad for g in {optimizer}.param_groups for p in g["params"]]\n'
        f"{indent}if all(grad is None or torch.isfinite(grad).all() for grad in grads):\n"
        f"{indent}    {site.source.segment(statement)}"
    )
    return [site.source.replace(statement, guarded)]


def _unclip(change: Change, site: Site) -> list[Edit]:
    del change
    clips = {"clip_grad_norm_", "clip_grad_value_", "clip_grad_norm"}
    found = [
        statement
        for statement in site.source.all(ast.Expr)
        if isinstance(statement.value, ast.Call) and name_of(statement.value.func) in clips
    ]
    return [site.source.without(statement) for statement in found]


def _train(change: Change, site: Site) -> list[Edit]:
    """``model.train()`` before the statement that calls the module whose ``eval()`` is called."""
    del change
    source = site.source
    backward = source.at(ast.stmt, site.lines.get("backward", -1))
    if backward is None:
        return []
    modes = [c for c in source.all(ast.Call) if name_of(c.func) in {"eval", "train"}]
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
    calls = [
        c for c in source.all(ast.Call) if name_of(c.func) in {"Softmax", "softmax", "Sigmoid"}
    ]
    softmax = [c for c in calls if "oftmax" in name_of(c.func)] or calls
    if len(softmax) != 1:
        return []
    call = softmax[0]
    if name_of(call.func) != "softmax":
        return [source.replace(call, "torch.nn.Identity()")] if site.imports_torch() else []
    method = isinstance(call.func, ast.Attribute) and name_of(call.func.value) not in {
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
        name, func = name_of(call.func), call.func
        if name == "ReLU" and isinstance(func, ast.Attribute):
            edits.append(source.replace(call, f"{source.segment(func.value)}.LeakyReLU({slope:g})"))
        elif name == "relu" and isinstance(func, ast.Attribute) and len(call.args) == 1:
            module = source.segment(func.value)
            if name_of(func.value) not in {"F", "functional"}:
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
        if name_of(call.func) in {"Sigmoid", "Tanh"} and isinstance(call.func, ast.Attribute):
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
    used = {name_of(call.func) for call in site.source.all(ast.Call)}
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
    for layer in change["recurrent"]:
        lines += f'\ntorch.nn.init.orthogonal_({name}.get_submodule("{layer}").weight)'
    return [site.source.before(statement, lines)]


WRITERS: Final[dict[str, Writer]] = {
    "scale-learning-rate": _rate,
    "drop-weight-decay": _decay,
    "zero-gradients": _zero,
    "clip-gradients": _clip,
    "skip-non-finite": _skip,
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
