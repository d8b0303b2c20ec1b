"""The loss swings instead of settling.

Problem: the loss jumps between two levels step after step, falls and climbs in long waves, or rests
far above what it could be while every step promises to remove it; much of what one step gains
another gives back.

Why: on a bowl of curvature c, gradient descent turns from settling to jumping from wall to wall as
the rate comes near 2/c; with a momentum close to one the weights are a pendulum with hardly any
friction, which runs uphill as far as it ran down. Or the data come in a sorted order, and each part
undoes what the one before it taught.

What to do: lower the momentum (0.9 is usual, 0.99 already needs many steps), or the learning rate
by a factor of 3; average the weights over the last steps; shuffle the data.

Harmless when: two players train against each other, batches alternate between tasks of different
difficulty, or a high rate at the edge of stability still brings the loss down.

Source: Polyak 1964; Sutskever et al. 2013; Cohen et al. 2021, "edge of stability"; Mandt, Hoffman &
Blei 2017 (the level at which steps of constant length rest).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from gainstage.diagnosis.evidence import Evidence, Floats, first_lasting, median
from gainstage.diagnosis.progress import running_median
from gainstage.diagnosis.rule import confidence, rule
from gainstage.records import Finding

STEPS = 60
ALTERNATION = -0.75
"""Correlation of successive differences of the loss. Independent batches give -0.5, two levels
in turn give -1."""
DEVIATIONS = 4.0
"""It must also be so many standard errors away from -0.5."""
TURNING = -0.5
"""Cosine of successive gradients: the walls of a valley answer in turn."""
JUMPS = 0.2
"""Spread of the differences over the loss's whole descent."""
NEAR_ZERO = 0.1
"""Share of the first loss below which steps do not weigh more for a smaller loss."""
FLAT = 0.01
"""Share of the first loss that a descent is taken to be at least."""
UPHILL = 0.15
"""First-order increase of the loss by the steps over their decrease. Gradient steps have 0; with
a momentum of 0.9 and noisy batches it is about 0.03; a pendulum without friction has 1."""
CLIMB = 2.0
"""Running median of the loss, at its highest after its lowest, over its lowest."""
FREE, HALF = 0.4, 0.5
"""The same two where the loss cannot double, for noise in the data holds it up: then the steps must
run uphill nearly as freely as down, and the climb must be half of the descent."""
STUCK = 1.0
"""Share of the loss that a step promises to remove, in the median of the second half. Where the
weights go back and forth across a valley the loss exceeds its floor by a quarter of that promise,
on a bowl of any curvature, be it the steps' own swing or the batches' noise that drives them."""
HARM = 0.03
"""That quarter, over the loss at the start or of mere chance."""
PERIODIC, ERRORS = 0.3, 5.0
"""Correlation of the loss with itself some steps before: of parts that return in the same order. It
must also be so many standard errors away from 0, where independent batches are."""
ABOVE = 1.1
"""Loss over chance at one batch in twenty; one that rests at chance is above it by rounding."""
AGREEING = 0.3
"""Cosine of successive gradients: neighbours in a sorted order ask for the same."""
AGAIN = 0.8
"""Share of the loss of chance to which a relapse must have come back."""
BACK, FAR = 0.6, 2.0
"""How sure a relapse to chance is of itself, for many faults may bring it about; and how far above
chance it has thrown the network away."""
WAVE = 0.1
"""What it climbed over the whole descent: a spike near zero is no wave."""


@dataclass(frozen=True, slots=True)
class Swing:
    """How a loss swings, after the first quarter of the training.

    Attributes:
        alternation: correlation of successive differences of the loss.
        error: its standard error for independent batches.
        turning: cosine of successive gradients, median over weights and steps.
        jumps: standard deviation of the differences over the whole descent.
        uphill: first-order increase by the steps over their decrease.
        climb: highest running median after the lowest, over the lowest.
        wave: the highest minus the lowest, over the whole descent.
        uphill_since: position of the first steps that went uphill.
        promise: predicted decrease by a step over the loss, median of the second half.
        harm: the part of the loss that is the swing's own, over the start or chance.
        relapsed: the loss went down, and is back at chance.
        above_chance: loss at the end over chance.
        lowest: position of the lowest running median.
        peaks: loss that one batch in twenty exceeds in the second half, over chance.
        period: largest correlation of the loss with itself some steps before, in that half.
    """

    alternation: float
    error: float
    turning: float
    jumps: float
    uphill: float
    climb: float
    wave: float
    uphill_since: int
    promise: float
    harm: float
    relapsed: bool
    above_chance: float
    lowest: int
    peaks: float
    period: float

    @property
    def jumping(self) -> bool:
        """Between two levels, step after step."""
        beyond = -0.5 - DEVIATIONS * self.error
        return (
            self.alternation < min(ALTERNATION, beyond)
            and self.turning < TURNING
            and self.jumps > JUMPS
        )

    @property
    def stuck(self) -> bool:
        """Back and forth across a valley whose floor it never comes near."""
        return self.turning < TURNING and self.promise > STUCK and self.harm > HARM

    @property
    def periodic(self) -> float:
        """What the period must exceed; `error` is that of three quarters of the steps."""
        return max(PERIODIC, ERRORS * self.error * float(np.sqrt(1.5)))

    @property
    def returning(self) -> bool:
        """Above chance again and again, at the same places of each pass through the data."""
        return self.peaks > ABOVE and self.turning > AGREEING and self.period > self.periodic

    @property
    def rolling(self) -> bool:
        """In long waves."""
        plain = self.climb > CLIMB and self.wave > WAVE
        above_a_floor = self.uphill > FREE and self.wave > HALF
        return self.uphill > UPHILL and (plain or above_a_floor)


@rule(
    "oscillating-loss",
    may_cause=(
        "exploding-gradient",
        "learning-rate-too-high",
        "dead-units",
        "saturated-units",
        "vanishing-gradient",
        "non-finite",
    ),
)
def check(evidence: Evidence) -> Iterable[Finding]:
    """Ask whether the loss jumps in turn, or the steps carry it uphill again and again."""
    optimizers = len(evidence.recording.info.facts.get("optimizers") or ["one"])
    if evidence.progress.steps < STEPS or optimizers > 1:
        return
    swing = _swing(evidence)
    good = evidence.progress.good
    signs = {
        "rolling": (swing.rolling, np.log2(max(swing.uphill, 1e-9) / UPHILL) / 0.6),
        "jumping": (swing.jumping and not good, (ALTERNATION - swing.alternation) / 0.1),
        "stuck": (swing.stuck, np.log2(max(swing.promise, 1e-9) / STUCK) + 0.5),
        "returning": (swing.returning, (swing.period - swing.periodic) / 0.1),
        "relapsed": (swing.relapsed, BACK + np.log2(max(swing.above_chance, 1.0)) / 2),
    }
    seen = {name: float(strength) for name, (there, strength) in signs.items() if there}
    if not seen:
        return
    sign = next(iter(seen))
    half = len(evidence.steps) // 2
    starts = {"rolling": swing.uphill_since, "jumping": 1, "returning": 0}
    since = {**starts, "stuck": half, "relapsed": swing.lowest}[sign]
    mild = good or (sign == "relapsed" and swing.above_chance < FAR)
    yield Finding(
        code="oscillating-loss",
        severity="warning" if mild else "error",
        confidence=confidence(seen[sign], 0.0, 1.0),
        site="loss",
        since_step=evidence.step_at(since),
        message=_message(sign, swing),
        evidence={
            "uphill_over_downhill": swing.uphill,
            "loss_climb": swing.climb,
            "climb_over_descent": swing.wave,
            "difference_correlation": swing.alternation,
            "difference_over_descent": swing.jumps,
            "gradient_cosine": swing.turning,
            "promised_share_of_loss": swing.promise,
            "returns_with_each_pass": sign == "returning",
        },
        threshold={
            "uphill_over_downhill": UPHILL,
            "loss_climb": CLIMB,
            "climb_over_descent": WAVE,
            "difference_correlation": ALTERNATION,
            "difference_over_descent": JUMPS,
            "gradient_cosine": TURNING,
            "promised_share_of_loss": STUCK,
        },
    )


def _swing(evidence: Evidence) -> Swing:
    loss = evidence.recording.run_values("loss").astype(np.float64)  # at every step
    loss = loss[np.isfinite(loss)]
    difference = np.diff(loss[len(loss) // 4 :])
    smooth = running_median(loss, max(len(loss) // 40, 4))
    lowest = int(np.argmin(smooth))
    descent = float(max(smooth[0] - smooth[lowest], FLAT * abs(smooth[0])))
    # over the loss, so that a training that blew up is judged by its whole course as well
    scale = np.maximum(np.abs(evidence.loss), NEAR_ZERO * abs(loss[0]))
    progress = evidence.progress
    promise = median(evidence.predicted_share[len(evidence.steps) // 2 :])
    chance = progress.chance if progress.chance > 0 else np.nan  # a constant may be right
    start = chance if np.isfinite(chance) else progress.initial
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.clip(evidence.run("predicted_change") / scale, -1.0, 1.0)
    since = first_lasting(change > 0, 2) or 0
    change = change[np.isfinite(change)]
    change = change[len(change) // 4 :]
    down = float(-change[change < 0].sum())
    first = len(evidence.steps) // 4
    peak = float(smooth[lowest:].max())
    return Swing(
        alternation=_correlation(difference[1:], difference[:-1]),
        error=max(len(difference), 1) ** -0.5,
        turning=median(np.array([median(w.cosine[first:]) for w in evidence.weights])),
        jumps=float(difference.std()) / descent if descent > 0 else 0.0,
        uphill=float(change[change > 0].sum()) / down if down > 0 else 0.0,
        climb=peak / float(smooth[lowest]) if smooth[lowest] > 0 else 1.0,
        wave=(peak - float(smooth[lowest])) / descent if descent > 0 else 0.0,
        uphill_since=since,
        promise=promise,
        harm=promise / 4 * progress.late / start if start > 0 else 0.0,
        peaks=float(np.quantile(loss[len(loss) // 2 :], 0.95)) / chance,
        period=_period(loss[len(loss) // 2 :]),
        relapsed=progress.relapsed and progress.late > AGAIN * progress.chance,
        above_chance=float(np.nan_to_num(progress.late / chance)),
        lowest=min(lowest * len(evidence.steps) // len(smooth), len(evidence.steps) - 1),
    )


def _period(loss: Floats) -> float:
    """Largest correlation of a series with itself some steps before, once it has forgotten itself.

    What only drifts agrees with what was just before, and turns against itself later on. By the
    Fourier transform of the series, padded so that its end does not meet its start.
    """
    size, spread = len(loss), float(loss.var())
    if size < 4 or not spread > 0:
        return 0.0
    power = np.abs(np.fft.rfft(loss - loss.mean(), 2 * size)) ** 2
    lags = np.arange(size // 2)
    own = np.fft.irfft(power)[lags] / (size - lags) / spread
    turned = int(np.argmax(own < 0)) or len(own)
    return float(own[turned:].max(initial=0.0))


def _correlation(a: Floats, b: Floats) -> float:
    """Correlation of two series; 0 where one does not vary."""
    spread = float(a.std() * b.std()) if len(a) else 0.0
    return float(np.mean((a - a.mean()) * (b - b.mean()))) / spread if spread > 0 else 0.0


def _message(sign: str, swing: Swing) -> str:
    if sign == "rolling":
        return (
            f"The steps take the loss uphill by {swing.uphill:.0%} of what they take it down, and "
            f"it climbed to {swing.climb:.1f} times its lowest: momentum overshoots in long waves."
        )
    if sign == "stuck":
        return (
            f"Every step promises to remove {swing.promise:.1f} times the loss and the next "
            "gradient points back: the weights jump across a valley without coming down."
        )
    if sign == "returning":
        return (
            f"Again and again the loss is above chance ({swing.peaks:.1f} times at one batch in "
            "twenty), at the same places of each pass: batches are not alike, shuffle the data."
        )
    if sign == "relapsed":
        return (
            f"The loss had fallen and climbed back to chance, to {swing.climb:.1f} times its "
            "lowest, while each step still led downhill: steps or momentum are too long to hold it."
        )
    return (
        f"The loss jumps between levels at every step (successive differences correlate with "
        f"{swing.alternation:.2f}, noise gives -0.50), and gradients point back and forth."
    )
