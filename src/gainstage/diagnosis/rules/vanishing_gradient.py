"""The gradient fades on its way back to the first layers.

Problem: the first layers receive a gradient that is orders of magnitude weaker than what the
last ones receive, so they hardly learn; with many layers nothing does.

Why: each stage multiplies the gradient by its backward gain. Sigmoids pass at most a quarter,
small weights pass less than one, and the product over the depth is exponential.

What to do: use an activation with a gain near one (ReLU, GELU, SiLU) and the initialisation that
suits it (``torch.nn.init.kaiming_normal_`` for ReLU, ``xavier_normal_`` for tanh); add
normalisation or residual connections; in a recurrent net start the recurrent matrix orthogonal,
or use gates.

Harmless when: an adaptive optimiser lifts the small gradients and the training learns well.

Source: Hochreiter 1991; Glorot & Bengio 2010; He et al. 2015, section 2.2.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gainstage.diagnosis.evidence import Evidence, Weight, first_lasting, median
from gainstage.diagnosis.operations import PARAMETRIC
from gainstage.diagnosis.rule import confidence, rule
from gainstage.records import Finding

THRESHOLD_DB = -50.0
CHAIN_DB = -60.0
"""Level of the first stage's output gradient over the last one's."""
TIME_DB = -80.0
STEPS = 8
"""Level at a recurrent stage's first call over its strongest, with at least that many calls."""
LIFTED = 30.0
"""Update over weight of the last layers over the first ones', below which all of them learn."""
WINDOW = 20
"""The first steps show the chain as initialised; later gradients also fade by learning."""


@rule(
    "vanishing-gradient",
    may_cause=(
        "learning-rate-too-low",
        "dead-units",
        "collapsed-output",
    ),
)
def check(evidence: Evidence) -> Iterable[Finding]:
    """Compare the pull on the first layers with the pull on the last, and follow the chain.

    Two ways to fade: the elasticity of the first weights (blocked by the stages above them), or
    the output gradient along the chain (small weights fade signal and gradient alike, and with
    both every layer's elasticity).
    """
    if evidence.progress.good:
        return
    in_time = _through_time(evidence)
    if in_time is not None:
        yield in_time
        return
    pull, weight = _pull(evidence)
    chain, stages = _chain(evidence)
    if weight is None or (pull > THRESHOLD_DB and chain > CHAIN_DB) or _lifted(evidence):
        return
    if chain <= CHAIN_DB:  # both ways of fading hit the first layer hardest
        weight = next((w for w in evidence.weights if w.site.op in PARAMETRIC), weight)
    drop = min(pull, chain + THRESHOLD_DB - CHAIN_DB)
    per_layer = chain / max(stages - 1, 1) if stages > 1 else None
    yield Finding(
        code="vanishing-gradient",
        severity="error",
        confidence=confidence(drop, THRESHOLD_DB, -8.0),
        site=weight.site.name,
        since_step=evidence.step_at(_since(evidence)),
        message=_message(weight.site.name, pull, chain, stages),
        evidence={
            "gain_db_per_layer": per_layer,
            "output_gradient_first_over_last_db": chain,
            "pull_first_over_last_db": pull,
            "log10_update_over_weight": float(
                np.log10(max(np.nan_to_num(median(weight.ratio)), 1e-30))
            ),
        },
        threshold={
            "pull_first_over_last_db": THRESHOLD_DB,
            "output_gradient_first_over_last_db": CHAIN_DB,
        },
    )


def _lifted(evidence: Evidence) -> bool:
    """Whether something is learnt and the first layers move as the last ones do.

    An adaptive optimiser divides each gradient by its own size, so that a fading that is not noise
    does not matter; what the loss lacks then may be its noise floor.
    """
    rates = [median(w.ratio) for w in evidence.weights if w.site.op in PARAMETRIC or not w.site.op]
    rates = [rate for rate in rates if np.isfinite(rate)]
    half = len(rates) // 2
    if evidence.progress.failed or not half:
        return False
    return min(rates[:half]) * LIFTED > max(rates[half:])


def _message(name: str, pull: float, chain: float, stages: int) -> str:
    if chain <= CHAIN_DB:
        return (
            f"At the start the gradient fades by {-chain:.0f} dB on its way back through {stages} "
            f"layers ({chain / (stages - 1):.1f} dB a layer) and hardly reaches {name}."
        )
    return (
        f"At the start the gradient pulls {-pull:.0f} dB weaker on {name} than on the last layers."
    )


def _since(evidence: Evidence) -> int:
    """Position from which it fades: 0 for the chain as initialised, later where steps did it."""
    weights = [w for w in evidence.weights if w.site.op in PARAMETRIC or not w.site.op]
    half = len(weights) // 2
    ends = [evidence.level(site, "l2") for site in evidence.chain("output_grad")]
    faded = np.zeros(len(evidence.steps), dtype=bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        if half:
            first = np.min([w.elasticity for w in weights[:half]], axis=0)
            last = np.max([w.elasticity for w in weights[half:]], axis=0)
            faded |= 20 * np.log10(first / last) <= THRESHOLD_DB
        if len(ends) > 1:
            faded |= ends[0] - ends[-1] <= CHAIN_DB
    return first_lasting(faded, 2) or 0


def _pull(evidence: Evidence) -> tuple[float, Weight | None]:
    """Weakest early elasticity of the first half against the strongest of the rest, in dB."""
    weights = [w for w in evidence.weights if w.site.op in PARAMETRIC or not w.site.op]
    pulls = [(median(w.elasticity[:WINDOW]), w) for w in weights]
    pulls = [(pull, w) for pull, w in pulls if np.isfinite(pull) and pull > 0]
    if len(pulls) < 2:
        return 0.0, None
    half = len(pulls) // 2
    first_pull, first = min(pulls[:half], key=lambda pair: pair[0])
    last_pull = max(pull for pull, _ in pulls[half:])
    return 20 * float(np.log10(first_pull / last_pull)), first


def _chain(evidence: Evidence) -> tuple[float, int]:
    """Level of the first stage's output gradient over the last one's, in dB; how many stages."""
    levels = [median(evidence.level(site, "l2")[:WINDOW]) for site in evidence.chain("output_grad")]
    levels = [level for level in levels if np.isfinite(level)]
    return (levels[0] - levels[-1], len(levels)) if len(levels) > 1 else (0.0, len(levels))


def _through_time(evidence: Evidence) -> Finding | None:
    """A stage that is called again and again: the gradient at its first call against its last.

    Long memories fade in healthy recurrent nets too, so this counts only where nothing is learnt.
    """
    if not evidence.progress.failed:
        return None
    worst: tuple[float, str, int] = (0.0, "", 0)
    for name, sites in evidence.calls("output_grad").items():
        levels = [median(evidence.level(site, "l2")[:WINDOW]) for site in sites]
        levels = [level for level in levels if np.isfinite(level)]
        if len(levels) >= STEPS:
            worst = min(worst, (levels[0] - max(levels), name, len(levels)))
    drop, name, calls = worst
    if drop > TIME_DB:
        return None
    return Finding(
        code="vanishing-gradient",
        severity="error",
        confidence=confidence(drop, TIME_DB, -15.0),
        site=name,
        since_step=evidence.step_at(0),
        message=(
            f"Going back through {calls} calls of {name} (time steps) the gradient fades by "
            f"{-drop:.0f} dB ({drop / calls:.1f} dB a call): early steps cannot be learnt from."
        ),
        evidence={"first_over_last_call_db": drop, "gain_db_per_call": drop / calls},
        threshold={"first_over_last_call_db": TIME_DB},
    )
