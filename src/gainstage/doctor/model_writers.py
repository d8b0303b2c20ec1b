"""How changes to the model and to its data are written in the user's file."""

from __future__ import annotations

import ast
from typing import Final

from gainstage.doctor.candidates import Change
from gainstage.doctor.site import Site, name_of
from gainstage.doctor.source import Edit, apart


def missing(change: Change, site: Site) -> list[Edit]:
    """``model.encoder.parameters()`` becomes ``model.parameters()``; a list of layers is listed."""
    del change
    call = site.optimizer_call()
    given = call.args[0] if call else None
    if not (isinstance(given, ast.Call) and isinstance(given.func, ast.Attribute)):
        return []
    part = given.func.value
    if not isinstance(part, ast.Attribute) or site.source.segment(part.value) == "self":
        return _listed(site)
    return [site.source.replace(part, site.source.segment(part.value))]


def _listed(site: Site) -> list[Edit]:
    """``self.layers = [nn.Linear(...), ...]`` becomes an ``nn.ModuleList``."""
    source = site.source
    edits: list[Edit] = []
    for statement in source.all(ast.Assign):
        value, target = statement.value, statement.targets[0]
        if not isinstance(value, (ast.List, ast.ListComp)) or not isinstance(target, ast.Attribute):
            continue
        made = [value.elt] if isinstance(value, ast.ListComp) else value.elts
        funcs = [m.func for m in made if isinstance(m, ast.Call)]
        layers = [f for f in funcs if isinstance(f, ast.Attribute) and name_of(f.value) == "nn"]
        if layers and len(layers) == len(made):
            module = source.segment(layers[0].value)
            edits.append(source.replace(value, f"{module}.ModuleList({source.segment(value)})"))
    return edits


def output(change: Change, site: Site) -> list[Edit]:
    """Lines before the optimiser is made that make the last layer smaller."""
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
_RECURRENT: Final = ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell")
_OTHERS: Final = ("EmbeddingBag", "Parameter", "ConvTranspose", "Transformer", "Multihead")
"""Layers that are drawn in other ways, by the beginning of their names."""

_GATES: Final = """\
        for name, tensor in layer.named_parameters():
            if "_hh" in name and tensor.dim() == 2:
                for gate in tensor.data.split(tensor.shape[1]):
                    torch.nn.init.orthogonal_(gate)
            elif tensor.dim() == 2:
                torch.nn.init.xavier_uniform_(tensor, gain=0.3)
            else:
                torch.nn.init.zeros_(tensor)"""


def draw(change: Change, site: Site) -> list[Edit]:
    """Lines before the optimiser is made that draw again the layers that are named in the file."""
    model = site.model()
    used = {name_of(call.func) for call in site.source.all(ast.Call)}
    others = any(name.startswith(_OTHERS) for name in used)
    if model is None or others or not used.intersection(_LAYERS) or not site.imports_torch():
        return []
    statement, name = model
    plain = (
        f"        torch.nn.init.{_INIT[change['activation']]}\n"
        "        if layer.bias is not None:\n"
        "            torch.nn.init.zeros_(layer.bias)"
    )
    parts = [(_LAYERS, plain), (("Embedding",), "        layer.reset_parameters()")]
    lines, word = f"for layer in {name}.modules():", "if"
    for kinds, body in [*parts, (_RECURRENT, _GATES)]:
        drawn = [f"torch.nn.{kind}" for kind in kinds if kind in used]
        if drawn:
            kind = drawn[0] if len(drawn) == 1 else f"({', '.join(drawn)})"
            lines += f"\n    {word} isinstance(layer, {kind}):\n{body}"
            word = "elif"
    for layer in change["recurrent"]:
        lines += f'\ntorch.nn.init.orthogonal_({name}.get_submodule("{layer}").weight)'
    return [site.source.before(statement, lines)]


def guard(change: Change, site: Site) -> list[Edit]:
    """``torch.log(p)`` becomes ``torch.log(p.clamp_min(1e-7))``; likewise ``p.sum() ** 0.5``.

    A method that is given something is none of a tensor: ``logger.log(loss)``.
    """
    source, least = site.source, f".clamp_min({change['least']:g})"
    edits: list[Edit] = []
    for call in source.all(ast.Call):
        if name_of(call.func) not in _GUARDED or not isinstance(call.func, ast.Attribute):
            continue
        given = bool(call.args or call.keywords)
        if isinstance(call.func.value, ast.Name) and call.func.value.id == "torch" and call.args:
            inner = call.args[0]
        elif not given and not isinstance(source.parent(call), ast.Expr):
            inner = call.func.value
        else:
            continue
        text = source.segment(inner)
        plain = isinstance(inner, (ast.Name, ast.Attribute, ast.Subscript, ast.Call))
        edits.append(source.replace(inner, (text if plain else f"({text})") + least))
    edits += [
        source.replace(power.left, source.segment(power.left) + least)
        for power in source.all(ast.BinOp)
        if isinstance(power.op, ast.Pow) and _is_root(power.right) and _reduces(power.left)
    ]
    return apart(edits)


def _is_root(exponent: ast.expr) -> bool:
    """Whether a number as it is written is a power below one: ``0.5``."""
    value = exponent.value if isinstance(exponent, ast.Constant) else None
    return isinstance(value, float) and 0 < value < 1


def _reduces(node: ast.expr) -> bool:
    """Whether an expression is surely a tensor: ``(...).sum(-1)``; of numbers are roots, too."""
    method = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    return method and name_of(getattr(node, "func", node)) in {"sum", "mean", "var"}


def skip(change: Change, site: Site) -> list[Edit]:
    """``return h`` becomes ``return x + h`` in the one class of which there is a list."""
    del change
    source = site.source
    made = {
        name_of(part.func)
        for call in source.all(ast.Call)
        if name_of(call.func) in {"ModuleList", "Sequential"}
        for part in source.all(ast.Call, call)
        if len({source.segment(size) for size in part.args}) < 2  # Block(8, 16): other shapes
    }
    classes = [c for c in source.all(ast.ClassDef) if c.name in made]
    forwards = [
        f
        for c in classes
        for f in source.all(ast.FunctionDef, c)
        if f.name == "forward" and len(f.args.args) == 2
    ]
    returns = [r for f in forwards for r in source.all(ast.Return, f) if r.value is not None]
    if len(forwards) != 1 or len(returns) != 1 or returns[0].value is None:
        return []
    given, value = forwards[0].args.args[1].arg, returns[0].value
    stored = {n.id for n in source.all(ast.Name, forwards[0]) if isinstance(n.ctx, ast.Store)}
    if given not in stored:
        return [source.replace(value, f"{given} + {source.segment(value)}")]
    first = forwards[0].body[0]
    return [
        source.before(first, f"skipped = {given}"),
        source.replace(value, f"skipped + {source.segment(value)}"),
    ]


def precise(change: Change, site: Site) -> list[Edit]:
    """``torch.float32`` for the types of sixteen bits, ``.float()`` for ``.half()``."""
    del change
    source = site.source
    edits = [
        source.replace(node, "torch.float32")
        for node in source.all(ast.Attribute)
        if node.attr in {"float16", "half", "bfloat16"} and name_of(node.value) == "torch"
    ]
    for call in source.all(ast.Call):
        func = call.func
        if isinstance(func, ast.Attribute) and func.attr in {"half", "bfloat16"} and not call.args:
            edits.append(source.replace(call, f"{source.segment(func.value)}.float()"))
    return apart(edits)


def keep_graph(change: Change, site: Site) -> list[Edit]:
    """The one ``.detach()`` of all forward passes gone."""
    del change
    source = site.source
    calls = [
        call
        for function in source.all(ast.FunctionDef)
        if function.name == "forward"
        for call in source.all(ast.Call, function)
        if isinstance(call.func, ast.Attribute) and call.func.attr == "detach"
    ]
    if len(calls) != 1 or not isinstance(calls[0].func, ast.Attribute):
        return []
    return [source.replace(calls[0], source.segment(calls[0].func.value))]


def standardise(change: Change, site: Site) -> list[Edit]:
    """Lines before the optimiser is made that standardise what the model is given there.

    All that it is given anywhere must be rows of variables of that scope, since what it is tested
    on must be measured by the same means and deviations.
    """
    del change
    source, model = site.source, site.model()
    if model is None:
        return []
    statement, name = model
    calls = [c for c in source.all(ast.Call) if source.segment(c.func) == name and c.args]
    backward = site.lines.get("backward", -1)
    calls.sort(key=lambda call: (call.lineno > backward, -call.lineno))  # the training's first
    data = [_variable(call.args[0]) for call in calls]
    scope = source.scope(statement)
    known = {
        node.id
        for node in source.all(ast.Name, scope)
        if isinstance(node.ctx, ast.Store)
        and node.lineno < statement.lineno
        and source.scope(node) is scope
    }
    used = list(dict.fromkeys(data))
    if not used or not all(variable in known for variable in used):
        return []
    first = used[0]
    lines = [f"mean, deviation = {first}.mean(0), {first}.std(0)", _CONSTANT]
    lines += [f"{variable} = ({variable} - mean) / deviation" for variable in used]
    return [source.before(statement, "\n".join(lines))]


_CONSTANT: Final = (
    "deviation[deviation <= 1e-3 * deviation[deviation > 0].median()] = 1.0  # hardly vary"
)
"""What was tried does likewise: a feature that hardly varies is not blown up where it does."""


def _variable(node: ast.expr) -> str:
    """The variable of which an expression gives rows: ``x``, ``x[batch]``."""
    return name_of(node.value if isinstance(node, ast.Subscript) else node)


_GUARDED: Final = frozenset({"log", "log2", "log10", "sqrt", "rsqrt"})
