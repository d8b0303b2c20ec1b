"""Trainings written by hand: sick ones with the finding that is due, and odd but healthy ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gainstage.records import Event
from gainstage.testing import STEPS, Chain, falling_loss, flat_loss

SWELLING = np.linspace(0, 70, 6)
FADING = np.linspace(-140, -40, 6)
T = np.arange(STEPS)
UNREACHED = np.array([np.nan, np.nan, np.nan, 0.5, 0.5, 0.5])
UNMOVED = np.array([0, 0, 0, 1e-3, 1e-3, 1e-3])


def after(step: int, before: float, then: float) -> np.ndarray:
    return np.where(step > T, before, then)


def broken_loss(at: int) -> np.ndarray:
    return np.where(at > T, falling_loss(), np.nan)


BY_SGD = {"loss": "cross_entropy", "optimizers": ["SGD"]}
# short weights before a normalisation: the gradient grows as they shrink, and keeps up
SPUN = Chain(
    loss=falling_loss(2.3, 1.4),
    weight_rms=0.1 * np.maximum(0.97**T, 0.25),
    grad_l2=1.0,
    ratio=0.05,
    predicted_share=0.1,
)

SICK = {
    "ranks that step their own ways": (
        "ranks-disagree",
        Chain(loss=flat_loss(), events=(Event(3, "ranks-disagree", "0.weight", {"steps": 190}),)),
    ),
    "a rank that died": (
        "rank-missing",
        Chain(loss=flat_loss(), events=(Event(150, "rank-missing", "", {"rank": 1}),)),
    ),
    "a rank for which the others wait": (
        "straggler",
        Chain(
            loss=falling_loss(),
            events=(
                Event(
                    16,
                    "straggler",
                    "",
                    {
                        "rank": 1,
                        "ranks": [1],
                        "own_seconds": 0.05,
                        "others_seconds": 0.02,
                        "waited": 0.03,
                        "step_seconds": 0.1,
                    },
                ),
            ),
        ),
    ),
    "fading chain": ("vanishing-gradient", Chain(loss=flat_loss(), backward_db=FADING)),
    "first layers without pull": (
        "vanishing-gradient",
        Chain(loss=flat_loss(), grad_l2=np.array([1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1])),
    ),
    "learns by its last layers alone": (
        "vanishing-gradient",
        Chain(
            loss=falling_loss(2.3, 1.5),
            backward_db=FADING,
            ratio=10 ** np.linspace(-8.0, -3.0, 6),
        ),
    ),
    "elastic weights": ("exploding-gradient", Chain(loss=flat_loss(), grad_l2=500.0)),
    "elastic now and then": (
        "exploding-gradient",
        Chain(loss=flat_loss(), grad_l2=np.where(T % 12 == 3, 900.0, 0.5)),
    ),
    "grows on its way back, which the first steps hide": (
        "exploding-gradient",
        Chain(
            loss=falling_loss(2.3, 1.6),
            backward_db=np.linspace(0, -45, 6),
            grad_l2=np.where(T < 1, 30.0, 0.5),
        ),
    ),
    "all dead from the start": ("dead-units", Chain(loss=flat_loss(), dead=1.0)),
    "dead since step 40": ("dead-units", Chain(loss=flat_loss(), dead=after(40, 0.1, 0.9))),
    "tanh at its limits": (
        "saturated-units",
        Chain(loss=flat_loss(), activation="tanh", saturated=0.8),
    ),
    "tanh at its limits though it learns": (
        "saturated-units",
        Chain(activation="tanh", saturated=0.8),
    ),
    "sigmoid pushed to its limits": (
        "saturated-units",
        Chain(loss=flat_loss(), activation="sigmoid", saturated=after(30, 0.0, 0.9)),
    ),
    "raw pixels": ("unnormalized-input", Chain(loss=flat_loss(), input={"rms": 120.0})),
    "tiny inputs": ("unnormalized-input", Chain(loss=flat_loss(), input={"rms": 0.004})),
    "far from zero": (
        "unnormalized-input",
        Chain(loss=flat_loss(), input={"feature_offset": 60.0}),
    ),
    "mixed units": (
        "unnormalized-input",
        Chain(loss=flat_loss(), input={"rms": 30.0, "feature_spread": 4000.0}),
    ),
    "long steps": (
        "learning-rate-too-high",
        Chain(loss=after(1, 2.3, 9.0) + flat_loss(0.0), ratio=0.5, predicted_share=4.0),
    ),
    "thrown far away, and it learns in the end": (
        "learning-rate-too-high",
        Chain(
            loss=np.where((T > 0) & (T < 12), 20.0, falling_loss()), ratio=0.4, predicted_share=4.0
        ),
    ),
    "bouncing": (
        "learning-rate-too-high",
        Chain(loss=flat_loss(2.6), grad_cosine=-0.95, predicted_share=2.0, ratio=0.02),
    ),
    "tiny steps": (
        "learning-rate-too-low",
        Chain(loss=flat_loss(2.31), ratio=2e-6, predicted_share=1e-5, grad_cosine=0.9),
    ),
    "signal sinks": ("vanishing-activation", Chain(loss=flat_loss(), forward_db=-SWELLING)),
    "signal swells": ("exploding-activation", Chain(loss=flat_loss(), forward_db=SWELLING)),
    "signal swells a little less, and the first loss shows it": (
        "exploding-activation",
        Chain(loss=falling_loss(30.0, 2.2), forward_db=np.linspace(0, 40, 6)),
    ),
    "signal swells, and its loss is its own": (
        "exploding-activation",
        Chain(loss=falling_loss(1000.0, 1.0), chance=np.nan, forward_db=np.linspace(0, 60, 6)),
    ),
    "signal swells, and it learns in the end": (
        "exploding-activation",
        Chain(loss=falling_loss(500.0, 0.2), forward_db=SWELLING),
    ),
    "signal swells a little less, and the first loss is hundreds of times chance": (
        "exploding-activation",
        Chain(loss=falling_loss(500.0, 0.2), forward_db=np.linspace(0, 38, 6)),
    ),
    "sure of wrong answers": (
        "overconfident-start",
        Chain(loss=falling_loss(25.0, 1.9)),
    ),
    "a layer that nobody updates": (
        "parameters-not-updated",
        Chain(loss=flat_loss(2.1), ratio=np.array([1e-3, 1e-3, 0, 1e-3, 1e-3, 1e-3])),
    ),
    "no step is ever made": ("parameters-not-updated", Chain(loss=flat_loss(), ratio=0.0)),
    "weights that began at zero, and steps that promise nothing": (
        "learning-rate-too-low",
        Chain(
            layers=1,
            loss=flat_loss(),
            weight_rms=1e-5 * T,
            ratio=1 / np.maximum(T, 1),
            grad_cosine=0.9,
            predicted_share=1e-5,
        ),
    ),
    "a scheduler that starves the rate": (
        "learning-rate-too-low",
        Chain(
            loss=flat_loss(2.31),
            ratio=1e-3 * 0.3**T,
            predicted_share=0.01 * 0.3**T,
            grad_cosine=0.6,
        ),
    ),
    "swelling in time, and the loss starts with it": (
        "exploding-gradient",
        Chain(loss=falling_loss(500.0, 400.0), grad_l2=50_000.0),
    ),
    "swelling that the first step has turned off": (
        "exploding-gradient",
        Chain(
            loss=flat_loss(), grad_l2=np.where(T < 1, 2000.0, 0.5), ratio=np.where(T < 1, 0.9, 2e-3)
        ),
    ),
    "nothing but the loss is odd": ("loss-not-decreasing", Chain(loss=flat_loss())),
    "steps that promise nothing": (
        "learning-rate-too-low",
        Chain(loss=flat_loss(2.31), ratio=1.5e-4, predicted_share=1e-5, grad_cosine=0.9),
    ),
    "probabilities as scores": (
        "softmax-before-cross-entropy",
        Chain(
            loss=falling_loss(2.3, 1.7),
            facts={"squashed_twice": {"loss": "cross_entropy", "input": "softmax"}},
        ),
    ),
    "probabilities as logarithms": (
        "softmax-before-cross-entropy",
        Chain(
            loss=falling_loss(0.9, 0.5) - 1.4,
            facts={"squashed_twice": {"loss": "nll_loss", "input": "softmax"}},
        ),
    ),
    "scores as logarithms": (
        "nll-without-log-softmax",
        Chain(
            loss=falling_loss(0.0, -900.0),
            facts={"not_logarithms": {"loss": "nll_loss", "sum_of_probabilities": 12.0}},
        ),
    ),
    "a column against a row": (
        "broadcast-loss",
        Chain(
            loss=falling_loss(1.7, 1.0),
            chance=np.nan,
            facts={"broadcast": {"loss": "mse_loss", "input": "32 x 1", "target": "32"}},
        ),
    ),
    "prices as they are": (
        "unnormalized-target",
        Chain(
            loss=falling_loss(45e3, 28e3),
            chance=6500.0,
            facts={"target_level": {"mean": 150.0, "std": 80.0, "output_rms": 0.2}},
        ),
    ),
    "cleared before the step": (
        "parameters-not-updated",
        Chain(loss=flat_loss(), grad_l2=0.0, ratio=0.0, run={"kept_grad": 0.0}),
    ),
    "alike until rounding tells them apart": (
        "symmetric-weights",
        Chain(loss=falling_loss(2.3, 1.3), unit_spread=np.where(T < 100, 0.0, 0.5)),
    ),
    "nobody clears the gradients": (
        "gradients-not-zeroed",
        Chain(loss=after(1, 2.3, 9.0) + flat_loss(0.0), ratio=0.5, run={"stale_grad": T > 0}),
    ),
    "asleep from the start": (
        "eval-mode-in-training",
        Chain(loss=flat_loss(), running_gap=np.nan, run={"eval_mode": 1.0}),
    ),
    "asleep since a validation": (
        "eval-mode-in-training",
        Chain(loss=flat_loss(), running_gap=np.nan, run={"eval_mode": T > 60}),
    ),
    "clipped to nothing": (
        "over-clipped-gradient",
        Chain(loss=flat_loss(2.29), ratio=1e-6, predicted_share=1e-5, run={"kept_grad": 1e-4}),
    ),
    "weights melt away": (
        "excessive-weight-decay",
        Chain(
            loss=flat_loss(),
            weight_rms=0.1 * 0.97**T,
            grad_l2=1e-3 * 0.97**T,
            run={"weight_decay": 0.5, "lr": 0.06},
        ),
    ),
    "clipped to a straight line": (
        "over-clipped-gradient",
        Chain(
            loss=np.linspace(2.3, 1.5, STEPS),
            ratio=6e-4,
            predicted_share=3e-4,
            grad_cosine=0.5,
            run={"kept_grad": 1e-3},
        ),
    ),
    "decoupled decay": (
        "excessive-weight-decay",
        Chain(
            loss=flat_loss(),
            weight_rms=0.1 * 0.97**T,
            ratio=0.031,
            predicted_share=1e-3,
            run={"weight_decay": 30.0, "lr": 1e-3},
            facts={"loss": "cross_entropy", "optimizers": ["AdamW"]},
        ),
    ),
    "turned around before a normalisation": (
        "excessive-weight-decay",
        replace(SPUN, run={"weight_decay": 0.1, "lr": 0.03}, facts=BY_SGD),
    ),
    "turned around by hand": (
        "excessive-weight-decay",
        replace(
            SPUN,
            run={"weight_decay": after(1, 0.1, np.nan)},
            facts={"loss": "cross_entropy", "inferred": {"lr": 0.03, "decoupled": False}},
        ),
    ),
    "decoupled by hand": (
        "excessive-weight-decay",
        Chain(
            loss=flat_loss(),
            weight_rms=0.1 * 0.97**T,
            ratio=0.031,
            predicted_share=1e-3,
            run={"weight_decay": after(1, 30.0, np.nan)},
            facts={"loss": "cross_entropy", "inferred": {"lr": 1e-3, "decoupled": True}},
        ),
    ),
    "at the bottom of float16": (
        "gradient-underflow",
        Chain(loss=flat_loss(), dtype="float16", backward_db=-130.0, grad_zeros=0.7),
    ),
    "updates below the weights' precision": (
        "gradient-underflow",
        Chain(loss=flat_loss(), dtype="bfloat16", update_zeros=0.9),
    ),
    "a constant start": ("symmetric-weights", Chain(loss=flat_loss(), unit_spread=0.0)),
    "one layer alike": (
        "symmetric-weights",
        Chain(loss=flat_loss(), unit_spread=np.array([0.9, 0.9, 0.0, 0.9, 0.9, 0.9])),
    ),
    "all samples look the same": (
        "collapsed-output",
        Chain(loss=flat_loss(), sample_spread=np.array([0.5, 0.1, 1e-4, 1e-5, 1e-5, 1e-5])),
    ),
    "a stage that a penalty has silenced, and the loss fell": (
        "collapsed-output",
        Chain(
            loss=falling_loss(19.0, 5.0),
            chance=np.nan,
            forward_db=np.stack([-32 * T / STEPS * (n == 2) for n in range(6)]),
            sample_spread=np.concatenate(
                [np.full((5, STEPS), 0.5), 10.0 ** np.linspace(-0.1, -1.8, STEPS)[None]]
            ),
        ),
    ),
    "one answer satisfies the loss": (
        "collapsed-output",
        Chain(
            loss=falling_loss(1.0, 0.001),
            chance=np.nan,
            sample_spread=np.concatenate(
                [np.full((5, STEPS), 0.5), 10.0 ** np.linspace(-0.3, -4, STEPS)[None]]
            ),
        ),
    ),
    "a stage that training has silenced": (
        "collapsed-output",
        Chain(
            loss=after(30, 3.0, 2.3),
            forward_db=np.stack([-40 * (T > 50) * (n == 2) for n in range(6)]),
        ),
    ),
    "statistics of another network": ("train-eval-gap", Chain(running_gap=30.0)),
    "an evaluation on other scales": (
        "train-eval-gap",
        Chain(facts={"evaluation": {"site": "0", "shift": 40.0, "batches": 3}}),
    ),
    "statistics that lag": ("train-eval-gap", Chain(running_gap=2.5)),
    "statistics that lag by less than a deviation, beyond the noise": (
        "train-eval-gap",
        Chain(running_gap=1.2),
    ),
    "a rate that its schedule has used up": (
        "learning-rate-too-low",
        Chain(
            loss=flat_loss(2.25),
            ratio=3e-3 * 0.85**T + 1e-20,
            predicted_share=0.08 * 0.85**T,
            grad_cosine=0.1,
            run={"lr": 0.1 * 0.85**T},
        ),
    ),
    "a rate that its schedule has used up after a good start": (
        "learning-rate-too-low",
        Chain(
            loss=flat_loss(2.25),
            ratio=2e-3 * 0.85**T + 1e-20,
            predicted_share=0.08 * 0.85**T,
            grad_cosine=0.6,
            run={"lr": 0.1 * 0.85**T},
        ),
    ),
    "a rate that its schedule has used up half way": (
        "learning-rate-too-low",
        Chain(
            loss=falling_loss(2.4, 1.7),
            ratio=1e-2 * 0.7**T + 1e-20,
            predicted_share=0.08 * 0.85**T,
            run={"lr": 0.1 * 0.7**T},
        ),
    ),
    "a rate that its schedule has nearly used up while the loss fell": (
        "learning-rate-too-low",
        Chain(
            loss=np.maximum(2.3 - 0.02 * T, 1.5),
            ratio=1e-3 * np.maximum(0.9**T, 1e-3),
            run={"lr": 0.1 * np.maximum(0.9**T, 1e-3)},
        ),
    ),
    "steps after which there is no slope": (
        "learning-rate-too-high",
        Chain(
            loss=np.where(T < 30, 3.5, flat_loss()),
            grad_l2=np.where(T < 30, 0.5, 1e-4),
            ratio=np.where(T < 30, 0.15, 1e-5),
            predicted_share=np.where(T < 30, 0.9, 1e-5),
            grad_cosine=0.4,
        ),
    ),
    "decay that noise in the gradient seems to outweigh": (
        "excessive-weight-decay",
        Chain(
            loss=flat_loss(2.1),
            weight_rms=np.maximum(0.1 * 0.97**T, 0.03),
            grad_l2=0.056,
            run={"weight_decay": 0.05, "lr": 0.01},
            facts={"loss": "cross_entropy", "optimizers": ["Adam"]},
        ),
    ),
    "a head made after the optimiser": (
        "parameters-not-updated",
        Chain(
            ratio=np.where((np.arange(6)[:, None] == 5) & (T > 60), 0.0, 1e-3),
            facts={"loss": "cross_entropy", "replaced": ["10.weight"]},
        ),
    ),
    "a rate that throws it where no gradient is left": (
        "learning-rate-too-high",
        Chain(
            loss=np.where(T < 25, 2.6 * 2.0 ** np.minimum(T, 25), flat_loss()),
            ratio=np.where(T < 25, 5.0, 1e-20),
            predicted_share=np.where(T < 25, 100.0, 1e-20),
            grad_cosine=0.0,
            run={"lr": 3.0},
        ),
    ),
    "nothing but the loss is odd, and its batches are noisy": (
        "loss-not-decreasing",
        Chain(loss=1.0 + np.random.default_rng(3).normal(0, 0.25, STEPS), chance=1.0),
    ),
    "at chance to rounding, and gradients agree": (
        "loss-not-decreasing",
        Chain(loss=2.303 * (1 + 1e-6 * np.cos(T)), grad_cosine=0.7),
    ),
    "resting where a constant would do better": (
        "loss-not-decreasing",
        Chain(loss=2.303 + np.exp(-T / 10) + 0.5, ratio=3e-3),
    ),
    "nan in an output": (
        "non-finite",
        Chain(loss=broken_loss(80), nan_at=("4", "output", 80)),
    ),
    "nan in the loss alone": ("non-finite", Chain(loss=broken_loss(80))),
    "nan in a gradient": (
        "non-finite",
        Chain(loss=broken_loss(81), nan_at=("6", "output_grad", 80)),
    ),
    "drawn from a standard normal": (
        "poor-initialization",
        Chain(loss=flat_loss(), weight_rms=1.0, forward_db=SWELLING),
    ),
    "drawn with a fixed small deviation": (
        "poor-initialization",
        Chain(loss=flat_loss(), weight_rms=0.005, forward_db=-SWELLING, backward_db=FADING),
    ),
    "one layer drawn too large": (
        "poor-initialization",
        Chain(
            loss=flat_loss(),
            weight_rms=np.array([0.1, 0.1, 2.0, 0.1, 0.1, 0.1]),
            forward_db=np.array([0, 0, 21, 21, 21, 21.0]),
        ),
    ),
    "half of the layers behind a detach": (
        "disconnected-parameters",
        Chain(loss=flat_loss(1.8), grad_l2=UNREACHED, ratio=UNMOVED),
    ),
    "a branch without gradient": (
        "disconnected-parameters",
        Chain(loss=flat_loss(1.8), grad_l2=UNREACHED[::-1], ratio=UNMOVED[::-1]),
    ),
    "cut off, yet it learns": ("disconnected-parameters", Chain(grad_l2=UNREACHED, ratio=UNMOVED)),
    "two levels in turn": (
        "oscillating-loss",
        Chain(loss=2.3 + 0.4 * (-1.0) ** T + flat_loss(0.0), grad_cosine=-0.9),
    ),
    "from wall to wall of a valley": (
        "oscillating-loss",
        Chain(loss=after(5, 2.3, 0.5) + flat_loss(0.0), grad_cosine=-0.9, predicted_share=2.5),
    ),
    "learnt and lost again": (
        "oscillating-loss",
        Chain(loss=np.interp(T, [0, 60, 160, 199], [2.3, 0.8, 2.4, 2.4]) + flat_loss(0.0)),
    ),
    "learnt and thrown away": (
        "oscillating-loss",
        Chain(loss=np.interp(T, [0, 60, 160, 199], [2.3, 0.8, 9.0, 9.0]) + flat_loss(0.0)),
    ),
    "sorted by class": (
        "oscillating-loss",
        Chain(loss=np.where(T % 20 < 3, 5.0, 0.1) + flat_loss(0.0), grad_cosine=0.6),
    ),
    "a pendulum": (
        "oscillating-loss",
        Chain(loss=1.6 + np.cos(T / 10) + flat_loss(0.0), predicted_share=0.02 * np.sin(T / 10)),
    ),
    "a pendulum that spills over": (
        "oscillating-loss",
        Chain(
            loss=2.0 + np.cos(T / 10) + flat_loss(0.0),
            predicted_share=0.02 * np.sin(T / 10),
            grad_l2=np.where(T > 150, 400.0, 0.5),
        ),
    ),
    "a pendulum that has learnt": (
        "oscillating-loss",
        Chain(
            loss=after(9, 2.3, 0.5) + 0.4 * np.cos(T / 12),
            predicted_share=0.02 * np.sin(T / 12),
        ),
    ),
}

MILD = {
    "at chance to rounding, and gradients agree",
    "resting where a constant would do better",
    "signal swells a little less, and the first loss is hundreds of times chance",
    "a head made after the optimiser",
    "a stage that a penalty has silenced, and the loss fell",
    "a rank for which the others wait",
    "nothing but the loss is odd",
    "tanh at its limits though it learns",
    "statistics that lag",
    "thrown far away, and it learns in the end",
    "nothing but the loss is odd, and its batches are noisy",
    "cut off, yet it learns",
    "a pendulum that has learnt",
    "signal swells, and it learns in the end",
    "from wall to wall of a valley",
    "learnt and lost again",
    "sorted by class",
}

HEALTHY = {
    "short weights that learn well": replace(
        SPUN, loss=falling_loss(), run={"weight_decay": 0.1, "lr": 0.03}, facts=BY_SGD
    ),
    "decay that weights withstand": replace(
        SPUN, weight_rms=0.1, run={"weight_decay": 0.1, "lr": 0.03}, facts=BY_SGD
    ),
    "short weights that small steps turn little": replace(
        SPUN, ratio=0.02, run={"weight_decay": 0.1, "lr": 0.03}, facts=BY_SGD
    ),
    "usual decay and rate": replace(SPUN, run={"weight_decay": 5e-4, "lr": 0.1}, facts=BY_SGD),
    "decay that Adam divides by the gradient's size": replace(
        SPUN,
        run={"weight_decay": 0.1, "lr": 0.03},
        facts={"loss": "cross_entropy", "optimizers": ["Adam"]},
    ),
    "short weights whose rate nobody knows": replace(SPUN, run={"weight_decay": 0.1}),
    "plain": Chain(),
    "learns though a layer stands still from some step on": Chain(
        ratio=np.where((np.arange(6)[:, None] == 5) & (T > 60), 0.0, 1e-3)
    ),
    "a rate that has fallen by decades once the loss stood at its noise": Chain(
        loss=np.where(T < 4, 2.0, 1.5) + np.random.default_rng(1).normal(0, 0.1, STEPS),
        ratio=1e-3 * np.maximum(0.9**T, 1e-3),
        run={"lr": 0.1 * np.maximum(0.9**T, 1e-3)},
    ),
    "a rate that has fallen by decades, and it has learnt": Chain(
        ratio=1e-2 * 0.7**T + 1e-20, run={"lr": 0.1 * 0.7**T}
    ),
    "tanh": Chain(activation="tanh", saturated=0.1),
    "learns though the gradient fades": Chain(backward_db=FADING),
    "learns from raw pixels": Chain(input={"rms": 8.0, "feature_spread": 300.0}),
    "learns with half of the units dead": Chain(dead=0.6),
    "learns with long first steps": Chain(ratio=np.where(T < 10, 0.3, 1e-3)),
    "learns with tiny steps (fine-tuning)": Chain(
        loss=falling_loss(0.9, 0.2), chance=2.3, ratio=3e-6, predicted_share=1e-3
    ),
    "prices as they are, and it gets there": Chain(
        loss=falling_loss(45e3, 500.0),
        chance=6500.0,
        facts={"target_level": {"mean": 150.0, "std": 80.0, "output_rms": 0.2}},
    ),
    "a noise floor above that of a short memory": Chain(
        loss=1.1 + flat_loss(0.0),
        chance=1.0,
        ratio=1e-3,
        facts={"target_level": {"mean": 0.0, "std": 1.0, "output_rms": 0.6}},
    ),
    "small steps around a noise floor": Chain(
        loss=1.4 + flat_loss(0.0), ratio=5e-5, predicted_share=1e-3, grad_cosine=0.0
    ),
    "warm-up from nothing": Chain(ratio=np.linspace(0, 1e-3, STEPS)),
    "cosine to zero": Chain(ratio=1e-3 * np.cos(T / STEPS * np.pi / 2)),
    "ends in a saturated sigmoid that is its last": Chain(activation="sigmoid", saturated=0.2),
    "converged: gradients at the end are nothing": Chain(
        grad_l2=0.5 * 0.95**T, backward_db=-40 - 0.4 * T
    ),
    "starts high and learns": Chain(loss=falling_loss(25.0, 0.1)),
    "a head that starts at zero": Chain(forward_db=np.array([0, 0, 0, 0, 0, -200.0])),
    "a frozen layer without gradient": Chain(
        ratio=np.array([np.nan, 1e-3, 1e-3, 1e-3, 1e-3, 1e-3]),
        grad_l2=np.array([np.nan, 0.5, 0.5, 0.5, 0.5, 0.5]),
    ),
    "a layer left out of the optimiser of a good fine-tuning": Chain(
        ratio=np.array([0, 0, 1e-3, 1e-3, 1e-3, 1e-3])
    ),
    "clipped at every step, by an optimiser that does not mind": Chain(
        loss=flat_loss(2.0), run={"kept_grad": 0.05}
    ),
    "clipped now and then": Chain(run={"kept_grad": np.where(T % 7 == 0, 0.01, 1.0)}),
    "decay that holds its own": Chain(run={"weight_decay": 0.1, "lr": 1e-3}),
    "decay shrinks what a normalisation follows": Chain(
        weight_rms=0.1 * 0.98**T, run={"weight_decay": 0.1, "lr": 0.2}
    ),
    "augmented in training only": Chain(
        facts={"evaluation": {"site": "0", "shift": 0.4, "batches": 3}}
    ),
    "frozen statistics on purpose": Chain(running_gap=0.2, run={"eval_mode": 0.5}),
    "evaluated in between": Chain(run={"eval_mode": np.where(T % 50 == 0, 1.0, 0.0)}),
    "a head that starts at zero and its units alike": Chain(
        unit_spread=np.concatenate([np.full((5, STEPS), 0.9), 0.9 * (T > 0)[None]])
    ),
    "a last layer that answers the same at first": Chain(
        sample_spread=np.array([0.5, 0.5, 0.5, 0.5, 0.5, 1e-3])
    ),
    "an unknown loss, and an answer that was the same from the start": Chain(
        chance=np.nan, sample_spread=np.array([0.5, 0.5, 0.5, 0.5, 0.5, 1e-3])
    ),
    "statistics as good as small batches allow": Chain(running_gap=0.6),
    "zeros of a mask in float16": Chain(dtype="float16", grad_zeros=0.6, backward_db=-60.0),
    "gradients of one step left by chance": Chain(run={"stale_grad": T == 10}),
    "leaves chance late": Chain(loss=np.where(T < 120, flat_loss(), 1.9)),
    "a short look at chance": Chain(steps=40, loss=flat_loss(steps=40)),
    "one spike": Chain(loss=np.where(T == 50, 9.0, falling_loss())),
    "learns from weights drawn too large": Chain(weight_rms=1.0, forward_db=SWELLING),
    "a head that waits for its turn": Chain(
        grad_l2=np.array([0.5] * 5 + [np.nan]), ratio=np.array([1e-3] * 5 + [0.0])
    ),
    "one bias-like corner that no gradient reaches": Chain(
        layers=20,
        grad_l2=np.array([np.nan] + [0.5] * 19),
        ratio=np.array([0.0] + [1e-3] * 19),
    ),
    "reaches its noise floor though the gradient fades: Adam lifts it": Chain(
        loss=falling_loss(2.3, 1.5), backward_db=FADING
    ),
    "a stage that has become quiet, while answers differ": Chain(
        loss=falling_loss(19.0, 5.0),
        chance=np.nan,
        forward_db=np.stack([-32 * T / STEPS * (n == 2) for n in range(6)]),
    ),
    "a stage that was loud and is so no more": Chain(
        loss=falling_loss(19.0, 5.0),
        chance=np.nan,
        forward_db=np.stack([(30 - 32 * T / STEPS) * (n == 2) for n in range(6)]),
        sample_spread=np.concatenate(
            [np.full((5, STEPS), 0.5), 10.0 ** np.linspace(-0.1, -1.8, STEPS)[None]]
        ),
    ),
    "targets far from zero, whose mean is learnt first": Chain(
        loss=falling_loss(19.0, 5.0),
        chance=np.nan,
        forward_db=np.stack(
            [-32 * T / STEPS * (n == 2) + 40 * T / STEPS * (n == 5) for n in range(6)]
        ),
        sample_spread=np.concatenate(
            [np.full((5, STEPS), 0.5), 10.0 ** np.linspace(-0.1, -1.8, STEPS)[None]]
        ),
    ),
    "noisy batches": Chain(loss=falling_loss() + np.abs(flat_loss(0.0)) * 20),
    "a valley's walls in turn, and it learns": Chain(
        loss=falling_loss() * (1 + 0.3 * (-1.0) ** T), grad_cosine=-0.9
    ),
    "converged to nothing, where steps no longer mean anything": Chain(
        loss=falling_loss(2.3, 0.0) ** 2 / 10 + 1e-6 * np.exp(np.cos(T)),
        predicted_share=0.02 * np.cos(T),
    ),
    "a long throw by sound steps (a hard batch)": Chain(
        loss=np.where((T > 30) & (T < 42), 8.0, falling_loss())
    ),
    "strong on purpose, behind a normalisation, and with a loss of its own": Chain(
        chance=np.nan, forward_db=np.array([0, 45, 45, 45, 0, 0.0])
    ),
    "a bias that was set to where the targets lie, and a loss of its own": Chain(
        chance=np.nan,
        dead=0.6,
        forward_db=np.array([0, 0, 0, 0, 0, 60.0]),
        sample_spread=np.array([0.5, 0.5, 0.5, 0.5, 0.5, 1e-3]),
    ),
    "a score that crosses zero, where nothing is small beside it": Chain(
        loss=np.sin(T / 9) + 0.2, chance=np.nan, grad_l2=3.0
    ),
    "targets far from zero, and a loss of one's own": Chain(
        loss=falling_loss(90_000.0, 4.0),
        chance=np.nan,
        forward_db=np.stack([np.full(STEPS, 50.0 * (n == 5) * min(n, 1)) for n in range(6)])
        * (T > 20),
        sample_spread=np.concatenate(
            [np.full((5, STEPS), 0.5), 10.0 ** np.linspace(-0.1, -2.3, STEPS)[None]]
        ),
    ),
    "the same batches at each pass, and each of them learnt": Chain(
        loss=falling_loss() * (1 + 0.5 * np.sin(T * 2 * np.pi / 20)), grad_cosine=0.6
    ),
    "grows on its way back, and learns": Chain(
        backward_db=np.linspace(0, -45, 6), grad_l2=np.where(T < 1, 30.0, 0.5)
    ),
    "at rest where steps of constant length leave it": Chain(
        loss=after(30, 2.3, 1.5) + 20 * flat_loss(0.0), grad_cosine=-0.2, predicted_share=0.4
    ),
    "momentum that overshoots at first": Chain(
        predicted_share=np.where(T < 40, 0.02 * np.cos(T / 6), 0.02)
    ),
    "one layer": Chain(layers=1),
    "one step": Chain(steps=1, loss=np.array([2.3])),
}
