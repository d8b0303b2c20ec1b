"""The absolute thresholds that other tools publish, as a judge of recorded runs.

What a user gets who takes them from the papers: each symptom by its own threshold, held for five
checks in a row, all symptoms reported in a fixed order, none weighed against another. Thresholds
are those of SageMaker Debugger (S), TheDeepChecker (T), AutoTrainer (A), DeepDiagnosis (D) and
Karpathy's makemore (K); where several give one, the one that fires least on healthy trainings.
They stand beside our own verdicts in ``gainstage bench doctor --baseline``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

import gainstage as gs
from gainstage.recording import Recording
from gainstage.records import Kind

PATIENCE = 5
Floats = NDArray[np.float64]
Symptom = Callable[[Recording], bool]


def judge(run: str) -> list[dict[str, str]]:
    """Findings on a stored run, in the order in which the symptoms are checked.

    Args:
        run: path of its file.
    """
    recording = gs.open(run).recording
    return [{"code": code, "severity": "error"} for code, has in SYMPTOMS.items() if has(recording)]


def lasts(condition: NDArray[np.bool_]) -> bool:
    """Whether a condition holds `PATIENCE` times in a row."""
    run = 0
    for holds in condition:
        run = run + 1 if holds else 0
        if run >= PATIENCE:
            return True
    return False


def non_finite(recording: Recording) -> bool:
    """A loss, gradient or weight that is no number (S, D: exploding tensor)."""
    loss = recording.run_values("loss")
    tensors = [*rows(recording, "grad", "nan"), *rows(recording, "weight", "nan")]
    return bool((~np.isfinite(loss)).any()) or any((row > 0).any() for row in tensors)


def exploding_gradient(recording: Recording) -> bool:
    """Mean absolute gradient above 1e6 (T), or first over last layer above 70 (A)."""
    grads = rows(recording, "grad", "rms")
    if any(lasts(row > 1e6) for row in grads):
        return True
    with np.errstate(divide="ignore", invalid="ignore"):
        return len(grads) > 1 and lasts(grads[0] / grads[-1] > 70)


def vanishing_gradient(recording: Recording) -> bool:
    """Mean absolute gradient below 1e-7 (S, D), or first over last < 1e-3 with first < 1e-4 (A)."""
    grads = rows(recording, "grad", "rms")
    if any(lasts(row < 1e-7) for row in grads):
        return True
    if len(grads) < 2:
        return False
    with np.errstate(divide="ignore", invalid="ignore"):
        return lasts((grads[0] / grads[-1] < 1e-3) & (grads[0] < 1e-4))


def dead_units(recording: Recording) -> bool:
    """More than half of a layer's units dead over data (S, T)."""
    return any(lasts(row > 0.5) for row in rows(recording, "output", "dead_units"))


def saturated_units(recording: Recording) -> bool:
    """Half of a bounded layer's outputs beyond 0.97 (K; T, D: half of them)."""
    return any(lasts(row > 0.5) for row in rows(recording, "output", "saturated"))


def poor_initialization(recording: Recording) -> bool:
    """Largest over smallest variance of the initial weights above 10 (S)."""
    variance = [row[0] ** 2 for row in rows(recording, "weight", "std", axes=2) if row[0] > 0]
    return len(variance) > 1 and max(variance) / min(variance) > 10


def unnormalized_input(recording: Recording) -> bool:
    """Inputs that are not standardised (T): deviation outside 0.5..2 or mean beyond 0.5."""
    std, mean = (rows(recording, "input", q) for q in ("std", "mean"))
    return any(lasts((row < 0.5) | (row > 2)) for row in std) or any(
        lasts(np.abs(row) > 0.5) for row in mean
    )


def exploding_activation(recording: Recording) -> bool:
    """Mean absolute activation of 10 and more (A)."""
    return any(lasts(row >= 10) for row in rows(recording, "output", "rms"))


def parameters_not_updated(recording: Recording) -> bool:
    """Weights whose update is exactly zero (T: untrained parameters)."""
    return any(lasts(row == 0) for row in rows(recording, "update", "rms", axes=2))


def learning_rate_too_high(recording: Recording) -> bool:
    """Update over weight above 0.1 (T: log10 in [-4, -1])."""
    return any(lasts(row > 1e-1) for row in _ratios(recording))


def learning_rate_too_low(recording: Recording) -> bool:
    """Update over weight below 1e-4 (T: log10 in [-4, -1])."""
    return any(lasts(row < 1e-4) for row in _ratios(recording))


def overconfident_start(recording: Recording) -> bool:
    """Initial loss over 10 % above -ln(1/C) (K, T)."""
    loss, chance = recording.run_values("loss"), recording.run_values("chance_loss")
    known = chance[np.isfinite(chance)]
    return bool(len(known) and len(loss) and loss[0] > 1.1 * known[-1])


def loss_not_decreasing(recording: Recording) -> bool:
    """Less than 5 % lower over five checks (T)."""
    loss = recording.run_values("loss").astype(np.float64)
    checks = loss[:: max(len(loss) // 20, 1)]
    with np.errstate(divide="ignore", invalid="ignore"):
        return lasts(checks[1:] > 0.95 * checks[:-1])


def oscillating_loss(recording: Recording) -> bool:
    """The loss changes direction at half of the checks (T)."""
    loss = recording.run_values("loss").astype(np.float64)
    turns = np.diff(np.sign(np.diff(loss[np.isfinite(loss)]))) != 0
    return bool(len(turns) >= PATIENCE and turns.mean() > 0.5)


def rows(recording: Recording, kind: Kind, quantity: str, axes: int = 1) -> list[Floats]:
    """A quantity at all sites of a kind, in forward order: [T] each, where it was measured."""
    sites = [site for site in recording.of_kind(kind) if len(site.shape) >= axes]
    series = [recording.values(site, quantity).astype(np.float64) for site in sites]
    return [row for row in series if np.isfinite(row).any()]


def _ratios(recording: Recording) -> list[Floats]:
    found = []
    for site in recording.of_kind("weight"):
        update = recording.site(site.name, "update")
        if update is not None and len(site.shape) >= 2:
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = recording.values(update, "rms") / recording.values(site, "rms")
            found.append(ratio.astype(np.float64))
    return found


SYMPTOMS: dict[str, Symptom] = {
    "non-finite": non_finite,
    "unnormalized-input": unnormalized_input,
    "poor-initialization": poor_initialization,
    "overconfident-start": overconfident_start,
    "parameters-not-updated": parameters_not_updated,
    "dead-units": dead_units,
    "saturated-units": saturated_units,
    "vanishing-gradient": vanishing_gradient,
    "exploding-gradient": exploding_gradient,
    "exploding-activation": exploding_activation,
    "learning-rate-too-high": learning_rate_too_high,
    "learning-rate-too-low": learning_rate_too_low,
    "loss-not-decreasing": loss_not_decreasing,
    "oscillating-loss": oscillating_loss,
}
"""In the order of TheDeepChecker: before, during, after training."""
