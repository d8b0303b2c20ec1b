"""How changes to activations, hidden and last, are written in the user's file."""

from __future__ import annotations

import ast
from typing import Final

from gainstage.doctor.candidates import Change
from gainstage.doctor.site import Site, name_of
from gainstage.doctor.source import Edit, apart


def leaky(change: Change, site: Site) -> list[Edit]:
    """``nn.LeakyReLU`` and ``F.leaky_relu`` for each rectifier."""
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
    return apart(edits)


def rectify(change: Change, site: Site) -> list[Edit]:
    """``nn.ReLU()`` for each sigmoid or tanh that another layer follows.

    One that ends a Sequential, or whose result no layer of its class is given, may be the
    model's answer. Where it is not seen what an activation is followed by, nothing is written.
    """
    del change
    source = site.source
    edits: list[Edit] = []
    for call in source.all(ast.Call):
        if name_of(call.func) not in {"Sigmoid", "Tanh"} or not isinstance(
            call.func, ast.Attribute
        ):
            continue
        hidden = _hidden(call, site)
        if hidden is None:
            return []
        relu = f"{source.segment(call.func.value)}.ReLU()"
        edits += [source.replace(call, relu)] if hidden else []
    return edits


def batch_norm(change: Change, site: Site) -> list[Edit]:
    """A normalisation between each layer and the hidden activation after it in a Sequential.

    Where an activation is a function or does not follow its layer in the text, where there are
    normalisations already, or where members are known by their number, nothing is written.
    """
    del change
    source = site.source
    names = {name_of(call.func) for call in source.all(ast.Call)}
    if names & _FUNCTIONS or any("Norm" in name for name in names) or _numbered(site):
        return []
    edits: list[Edit] = []
    for call in source.all(ast.Call):
        if name_of(call.func) in _ACTIVATIONS and (_hidden(call, site) or _in_a_block(call, site)):
            edit = _normalised(_before(call, site), site)
            if edit is None:
                return []
            edits.append(edit)
    return apart(edits)


def _in_a_block(call: ast.Call, site: Site) -> bool:
    """Whether a rectifier is made by a function of the script's, which may be called often."""
    made_by = getattr(site.source.scope(call), "name", "__init__")
    return name_of(call.func) in _RECTIFIERS and made_by not in {"__init__", "main"}


def _numbered(site: Site) -> bool:
    """Whether members of a Sequential are taken out of it by number."""
    made = {
        name_of(target)
        for assign in site.source.all(ast.Assign)
        if isinstance(assign.value, ast.Call) and name_of(assign.value.func) == "Sequential"
        for target in assign.targets
    }
    return any(name_of(part.value) in made for part in site.source.all(ast.Subscript))


def _before(call: ast.Call, site: Site) -> ast.expr | None:
    """What stands before a call in a Sequential, or in a list that may become one."""
    parent = site.source.parent(call)
    if isinstance(parent, ast.Call) and name_of(parent.func) == "Sequential":
        row = parent.args
    elif isinstance(parent, ast.List):
        within = site.source.parent(parent)
        if isinstance(within, ast.Call) and name_of(within.func) == "ModuleList":
            return None
        row = parent.elts
    else:
        return None
    at = row.index(call)
    return row[at - 1] if at else None


def _normalised(layer: ast.expr | None, site: Site) -> Edit | None:
    """A layer with the normalisation of what it puts out behind it."""
    if not isinstance(layer, ast.Call) or not isinstance(layer.func, ast.Attribute):
        return None
    twin, source = _NORMS.get(layer.func.attr), site.source
    named = {word.arg: word.value for word in layer.keywords}
    size = named.get("out_features", named.get("out_channels"))
    size = layer.args[1] if size is None and len(layer.args) > 1 else size
    if twin is None or size is None:
        return None
    if any(
        isinstance(node, (ast.Call, ast.Starred)) for part in layer.args for node in ast.walk(part)
    ):
        return None  # to be evaluated once
    norm = f"{source.segment(layer.func.value)}.{twin}({source.segment(size)})"
    return source.replace(layer, f"{source.segment(layer)}, {norm}")


def _hidden(call: ast.Call, site: Site) -> bool | None:
    """Whether a layer follows this one; None if that is not seen."""
    source = site.source
    parent = source.parent(call)
    if isinstance(parent, (ast.List, ast.Tuple)):
        return _repeated(call, site) or parent.elts[-1] is not call
    if isinstance(parent, ast.Call):
        if name_of(parent.func) in {"append", "extend"}:
            return _repeated(call, site) or None
        return parent.args[-1:] != [call]
    if isinstance(parent, ast.Assign) and isinstance(parent.targets[0], ast.Attribute):
        uses = [use for use in source.all(ast.Call) if name_of(use.func) == parent.targets[0].attr]
        return all(_feeds_a_layer(use, site) for use in uses) if uses else None
    return None


def _repeated(node: ast.AST, site: Site) -> bool:
    """Whether a node is within a loop or comprehension: more come after it."""
    at: ast.AST | None = node
    while at is not None and not isinstance(at, (ast.For, ast.ListComp, ast.GeneratorExp)):
        at = site.source.parent(at)
    return at is not None


def _feeds_a_layer(use: ast.Call, site: Site) -> bool:
    """Whether what a call gives goes into a layer of the class: ``self.fc(self.act(x))``."""
    source = site.source
    parent = source.parent(use)
    if isinstance(parent, ast.Call):
        return _is_layer(parent)
    if not isinstance(parent, ast.Assign) or not isinstance(parent.targets[0], ast.Name):
        return False
    name = parent.targets[0].id
    return any(
        _is_layer(call) and isinstance(given, ast.Name) and given.id == name
        for call in source.all(ast.Call, source.scope(use))
        if call.lineno > use.lineno or _repeated(use, site)
        for given in call.args
    )


def _is_layer(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and name_of(call.func.value) == "self"


def softmax(change: Change, site: Site) -> list[Edit]:
    """The one softmax or sigmoid gone that ends the model, or that the loss is given.

    It does so if ``forward`` returns what it gives, as the last of a Sequential, or as the first
    argument of a loss; also by a name, or an attribute, that is used for nothing else.
    """
    del change
    source = site.source
    calls = [c for c in source.all(ast.Call) if name_of(c.func).lower() in {"softmax", "sigmoid"}]
    ends = [call for call in calls if _ends(call, site)]
    if len(ends) != 1:
        return []
    call, module = ends[0], name_of(ends[0].func)[0].isupper()
    if module:
        return [source.replace(call, "torch.nn.Identity()")] if site.imports_torch() else []
    method = isinstance(call.func, ast.Attribute) and not site.imported(call.func.value)
    inner = call.func.value if method and isinstance(call.func, ast.Attribute) else None
    inner = inner or (call.args[0] if call.args else None)
    return [source.replace(call, source.segment(inner))] if inner is not None else []


def _ends(call: ast.Call, site: Site) -> bool:
    """Whether nothing but the loss comes after a softmax, or the module of one."""
    parent = site.source.parent(call)
    if name_of(call.func)[0].islower():
        return _answers(call, site)
    if isinstance(parent, ast.Call):
        return name_of(parent.func) == "Sequential" and parent.args[-1:] == [call]
    target = parent.targets[0] if isinstance(parent, ast.Assign) else None
    if not isinstance(target, ast.Attribute):
        return False
    uses = [use for use in site.source.all(ast.Call) if name_of(use.func) == target.attr]
    return len(uses) == 1 and _answers(uses[0], site)


def _answers(node: ast.expr, site: Site) -> bool:
    """Whether an expression is what ``forward`` returns, or what a loss is given, and no more."""
    source = site.source
    parent = source.parent(node)
    if isinstance(parent, ast.Return):
        return getattr(source.scope(node), "name", "") == "forward"
    if isinstance(parent, ast.Call):
        return parent.args[:1] == [node] and _is_loss(parent, site)
    if isinstance(parent, ast.Assign) and isinstance(parent.targets[0], ast.Name):
        name, scope = parent.targets[0].id, source.scope(node)
        named = [n for n in source.all(ast.Name, scope) if n.id == name]
        uses = [n for n in named if isinstance(n.ctx, ast.Load) and n.lineno > node.lineno]
        return len(uses) == 1 and _answers(uses[0], site)
    return False


def _is_loss(call: ast.Call, site: Site) -> bool:
    """Whether a call is ``F.cross_entropy`` and its like, or of a module made as one."""
    name = name_of(call.func)
    if name in _LOSSES or name_of(getattr(call.func, "func", call.func)) in _LOSS_MODULES:
        return True
    return any(
        isinstance(made.value, ast.Call)
        and name_of(made.value.func) in _LOSS_MODULES
        and any(name_of(target) == name for target in made.targets)
        for made in site.source.all(ast.Assign)
    )


_LOSSES: Final = frozenset({"cross_entropy", "binary_cross_entropy_with_logits"})
_LOSS_MODULES: Final = frozenset({"CrossEntropyLoss", "BCEWithLogitsLoss"})
_NORMS: Final = {"Linear": "BatchNorm1d", "Conv1d": "BatchNorm1d", "Conv2d": "BatchNorm2d"}
_RECTIFIERS: Final = ("ReLU", "GELU", "SiLU", "Mish", "ELU", "SELU", "LeakyReLU", "ReLU6")
_ACTIVATIONS: Final = frozenset({*_RECTIFIERS, "Hardswish", "Softplus", "Sigmoid", "Tanh"})
_FUNCTIONS: Final = frozenset({*map(str.lower, _ACTIVATIONS), "leaky_relu", "relu_"})
