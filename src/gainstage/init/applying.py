"""``gs.init.apply_``: a scheme by name, with the gain of each layer's activation derived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from torch import Generator, nn
from typing_extensions import override

from gainstage.errors import UsageError
from gainstage.init import drawing
from gainstage.init.layers import Weight, check_values, weights_of
from gainstage.init.planning import Given, Plan, carry_out, check, matches
from gainstage.init.tape import recording
from gainstage.init.wiring import Wiring, of_modules, of_tape
from gainstage.theory.results import Drawn, named
from gainstage.theory.schemes import SCHEMES


@dataclass(frozen=True)
class Initialisation:
    """What :func:`apply_` did to each parameter; print it for the table.

    Attributes:
        scheme: its name.
        rows: one a parameter, in the model's order.
        dry: whether nothing was changed.
    """

    scheme: str
    rows: tuple[Drawn, ...]
    dry: bool = False

    def __getitem__(self, name: str) -> Drawn:
        """The row of a parameter.

        Raises:
            UnknownNameError: there is none of that name.
        """
        return named("parameter", self.rows, name)

    @override
    def __str__(self) -> str:
        from gainstage.render.init_tables import drawn_table  # noqa: PLC0415 - only to print

        return drawn_table(self.rows)

    @override
    def __repr__(self) -> str:
        drawn = sum(row.action == "drawn" for row in self.rows)
        would = "would draw" if self.dry else "drew"
        return f"<Initialisation: {self.scheme} {would} {drawn} of {len(self.rows)} parameters>"


_DEFAULT_BIAS: Final = 0.0


def apply_(  # noqa: PLR0913 - all but two are named and optional
    model: nn.Module,
    scheme: str,
    *,
    generator: Generator | int | None = 0,
    batch: Any = None,
    activations: Mapping[str, Given] | None = None,
    gain: float | None = None,
    gain_of: Literal["input", "output"] = "input",
    bias: float | None = _DEFAULT_BIAS,
    only: Sequence[str] | None = None,
    dry_run: bool = False,
    **options: Any,
) -> Initialisation:
    """Draw all weights of a model by a scheme, each with the gain that its place asks for.

    A weight's gain makes up for the activation whose output it multiplies: so each layer with
    weights puts out the level that came in, and a first layer, or one behind a norm, needs none.
    ``torch.nn.init`` leaves that to the caller, whose habit is to take the activation *behind* the
    layer (``gain_of="output"``): along a chain of like layers both give the same but at the ends.
    Norms, tied and frozen parameters are left as they are.

    Args:
        model: changed in place.
        scheme: a name; ``gs.init.SCHEMES`` lists them.
        generator: a torch.Generator, a seed, or None for torch's global generator, which is
            otherwise never touched.
        batch: an input to trace, for models whose wiring depends on data and for those that
            multiply by bare parameters; without it ``torch.fx`` reads the modules.
        activations: overrides, by pattern of a weight's name: ``{"head.*": "linear"}``.
        gain: for every weight, in the place of the derived gain.
        gain_of: ``"input"``, or ``"output"`` for torch's habit.
        bias: what biases are filled with; None leaves them. ``torch_default`` draws them.
        only: patterns of parameters' names; all others are left.
        dry_run: change nothing, tell what would be done.
        options: of the scheme, such as ``mode="fan_out"`` of the Kaiming ones.

    Returns:
        The table of what was done to each parameter.

    Raises:
        UnknownNameError: no scheme or activation has that name.
        UsageError: the scheme has no such option; an override matches nothing; the wiring cannot
            be read without a batch; a parameter has no values, of a lazy module or on ``meta``.

    Example:
        >>> net = nn.Sequential(nn.Linear(100, 400), nn.GELU(), nn.Linear(400, 10))
        >>> table = apply_(net, "kaiming_normal", generator=0)
        >>> [(r.name, r.activation, round(r.gain, 4), round(r.std, 4)) for r in table.rows[::2]]
        [('0.weight', '', 1.0, 0.1), ('2.weight', 'GELU', 1.5335, 0.0767)]
    """
    chosen = SCHEMES[scheme]
    chosen.check(options)
    if gain_of not in ("input", "output"):
        msg = f"gain_of must be 'input' or 'output', not {gain_of!r}."
        raise UsageError(msg)
    plan = Plan(
        chosen,
        options,
        gain,
        activations or {},
        gain_of == "output",
        bias,
        drawing.generator_of(generator),
        dry_run,
        only,
    )
    check_values(model)
    weights = weights_of(model)
    check(weights, plan)
    wiring = _wiring(model, batch, weights, plan)
    return Initialisation(scheme, tuple(carry_out(weights, wiring, plan)), dry_run)


def _wiring(model: nn.Module, batch: Any, weights: Sequence[Weight], plan: Plan) -> Wiring | None:
    """How the layers are wired; None where that would change nothing."""
    if batch is not None:
        with recording(model, batch, measure=False) as (tape, _):
            return of_tape(tape, model)
    needed = (plan.scheme.gained and plan.given is None) or plan.scheme.branch is not None
    covered = plan.scheme.branch is None and all(
        any(matches(w, p) for p in plan.activations) for w in weights if w.role == "weight"
    )
    return of_modules(model) if needed and not covered else None
