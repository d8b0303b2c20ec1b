"""How each change is written: the edits in the user's file, where a few can say it."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable
from typing import Final

from gainstage.doctor import activation_writers, model_writers
from gainstage.doctor.candidates import Change
from gainstage.doctor.site import Site, is_number, name_of
from gainstage.doctor.source import Edit

_SCHEDULE: Final = re.compile(r"LR$|^ReduceLROnPlateau$|^CosineAnnealing")
"""Classes of ``torch.optim.lr_scheduler``."""

Writer = Callable[[Change, Site], list[Edit]]
"""The edits that make a change; none where it cannot be said in a few."""


def _rate(change: Change, site: Site) -> list[Edit]:
    return _number(site, "lr", lambda old: old * float(change["factor"]), position=1)


def _decay(change: Change, site: Site) -> list[Edit]:
    del change
    return _number(site, "weight_decay", lambda _: 0.0)


def _damp(change: Change, site: Site) -> list[Edit]:
    return _number(site, "momentum", lambda old: min(old, float(change["most"])))


def _number(
    site: Site, key: str, new: Callable[[float], float], position: int | None = None
) -> list[Edit]:
    """A number in the call that made the optimiser, or where the name given there got it.

    None where it may not be what counts: of several optimisers, beside groups of parameters with
    numbers of their own, or a rate that was not that of the first step (a schedule's is).
    """
    call = site.optimizer_call()
    if call is None or site.optimizers > 1 or _has_groups(site, key):
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
    old = float(ast.literal_eval(node))
    other = key == "lr" and not math.isclose(old, site.rate, rel_tol=1e-4)
    if other and not math.isnan(site.rate):
        return []
    return [site.source.replace(node, f"{new(old):.6g}")]


def _has_groups(site: Site, key: str) -> bool:
    """Whether the file makes groups of parameters that carry a number of that name."""
    return any(
        {"params", key} <= {k.value for k in group.keys if isinstance(k, ast.Constant)}
        for group in site.source.all(ast.Dict)
    )


def _assigned(site: Site, name: str) -> ast.expr | None:
    """The one number that a name is given: ``lr = 0.1``, ``lr: float = 0.1``, or an option's.

    The default of an option that was given says nothing; nor does what has no name, such as
    ``cfg["lr"]`` or a sum.
    """
    if not name:
        return None
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
    """``zero_grad()`` before the backward pass; after the step, where several precede one."""
    del change
    source = site.source
    stepped, backward = site.stepped(), source.at(ast.stmt, site.lines.get("backward", -1))
    if stepped is None or backward is None:
        return []
    statement, optimizer = stepped
    if source.scope(statement) is not source.scope(backward):
        return []
    passes = [c for c in source.all(ast.Call, source.scope(backward)) if _is_backward(c)]
    if len(passes) == 1 and source.parent(statement) is source.parent(backward):
        return [source.before(backward, f"{optimizer}.zero_grad()")]
    return [source.after(statement, f"{optimizer}.zero_grad()")]


def _keep_gradients(change: Change, site: Site) -> list[Edit]:
    """The one ``zero_grad()`` between the backward pass and the step, moved before the former."""
    del change
    source = site.source
    stepped, backward = site.stepped(), source.at(ast.stmt, site.lines.get("backward", -1))
    if stepped is None or backward is None:
        return []
    between = [
        statement
        for statement in source.all(ast.Expr, source.parent(backward))
        if backward.lineno < statement.lineno < stepped[0].lineno
        and source.parent(statement) is source.parent(backward)
        and isinstance(statement.value, ast.Call)
        and name_of(statement.value.func) == "zero_grad"
    ]
    if len(between) != 1:
        return []
    return [source.before(backward, source.segment(between[0])), source.without(between[0])]


def _shuffle(change: Change, site: Site) -> list[Edit]:
    """``shuffle=True`` where the ``DataLoader`` of the training has none, or ``False``."""
    del change
    source = site.source
    loaders = [call for call in source.all(ast.Call) if name_of(call.func) == "DataLoader"]
    if len(loaders) > 1:
        used = _gone_through(site)
        loaders = [call for call in loaders if _target(source.parent(call)) in used]
    if len(loaders) != 1:
        return []
    call = loaders[0]
    given = {k.arg: k.value for k in call.keywords}
    if given.keys() & {"sampler", "batch_sampler", None} or not 0 < len(call.args) < 3:
        return []
    if "shuffle" in given:
        return [source.replace(given["shuffle"], "True")]
    last = (*call.args, *given.values())[-1]
    return [source.replace(last, f"{source.segment(last)}, shuffle=True")]


def _gone_through(site: Site) -> set[str]:
    """Names in what the loops around the backward pass go through."""
    line = site.lines.get("backward", -1)
    loops = [f for f in site.source.all(ast.For) if f.lineno <= line <= (f.end_lineno or 0)]
    nodes = [node for loop in loops for node in ast.walk(loop.iter)]
    return {name_of(node) for node in nodes} - {""}


def _target(statement: ast.AST | None) -> str:
    """The name that an assignment gives."""
    return name_of(statement.targets[0]) if isinstance(statement, ast.Assign) else ""


def _is_backward(call: ast.Call) -> bool:
    return name_of(call.func) == "backward"


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
    scaler = site.scaler()
    unscaled = any(name_of(c.func) == "unscale_" for c in site.source.all(ast.Call))
    if scaler and not unscaled:
        call = f"{scaler}.unscale_({optimizer})\n{call}"
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


def _hold(change: Change, site: Site) -> list[Edit]:
    """No step of any schedule that the file makes."""
    del change
    source = site.source
    schedules = {
        source.segment(target)
        for made in source.all(ast.Assign)
        if isinstance(made.value, ast.Call) and _SCHEDULE.search(name_of(made.value.func))
        for target in made.targets
    }
    stepped = {f"{name}.step" for name in schedules}
    return [
        source.without(statement)
        for statement in source.all(ast.Expr)
        if isinstance(statement.value, ast.Call) and source.segment(statement.value.func) in stepped
    ]


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


WRITERS: Final[dict[str, Writer]] = {
    "scale-learning-rate": _rate,
    "hold-learning-rate": _hold,
    "drop-weight-decay": _decay,
    "zero-gradients": _zero,
    "keep-gradients": _keep_gradients,
    "shuffle-data": _shuffle,
    "clip-gradients": _clip,
    "skip-non-finite": _skip,
    "unclip": _unclip,
    "train-mode": _train,
    "remove-softmax": activation_writers.softmax,
    "leaky-activation": activation_writers.leaky,
    "rectify": activation_writers.rectify,
    "normalise-batches": activation_writers.batch_norm,
    "add-missing-parameters": model_writers.missing,
    "scale-output-layer": model_writers.output,
    "reinitialise": model_writers.draw,
    "guard-functions": model_writers.guard,
    "skip-connections": model_writers.skip,
    "full-precision": model_writers.precise,
    "keep-graph": model_writers.keep_graph,
    "standardise-input": model_writers.standardise,
    "damp-momentum": _damp,
}
"""How a change is written, by its name."""
