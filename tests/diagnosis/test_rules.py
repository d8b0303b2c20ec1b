"""Each rule names its sick runs, and leaves the healthy and the odd ones alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gainstage.diagnosis import RULES, diagnose
from gainstage.diagnosis.engine import SURE
from gainstage.diagnosis.evidence import NO_STEP
from gainstage.diagnosis.rule import SECTIONS
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


SICK = {
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
    "sure of wrong answers": (
        "overconfident-start",
        Chain(loss=falling_loss(25.0, 1.9)),
    ),
    "a layer that nobody updates": (
        "parameters-not-updated",
        Chain(loss=flat_loss(2.1), ratio=np.array([1e-3, 1e-3, 0, 1e-3, 1e-3, 1e-3])),
    ),
    "no step is ever made": ("parameters-not-updated", Chain(loss=flat_loss(), ratio=0.0)),
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
        Chain(facts={"evaluation": {"site": "0", "shift": 4.0, "batches": 3}}),
    ),
    "statistics that lag": ("train-eval-gap", Chain(running_gap=2.5)),
    "nothing but the loss is odd, and its batches are noisy": (
        "loss-not-decreasing",
        Chain(loss=1.0 + np.random.default_rng(3).normal(0, 0.25, STEPS), chance=1.0),
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
    "nothing but the loss is odd",
    "tanh at its limits though it learns",
    "statistics that lag",
    "thrown far away, and it learns in the end",
    "nothing but the loss is odd, and its batches are noisy",
    "cut off, yet it learns",
    "a pendulum that has learnt",
}

HEALTHY = {
    "plain": Chain(),
    "tanh": Chain(activation="tanh", saturated=0.1),
    "learns though the gradient fades": Chain(backward_db=FADING),
    "learns from raw pixels": Chain(input={"rms": 8.0, "feature_spread": 300.0}),
    "learns with half of the units dead": Chain(dead=0.6),
    "learns with long first steps": Chain(ratio=np.where(T < 10, 0.3, 1e-3)),
    "learns with tiny steps (fine-tuning)": Chain(
        loss=falling_loss(0.9, 0.2), chance=2.3, ratio=3e-6, predicted_share=1e-3
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
    "momentum that overshoots at first": Chain(
        predicted_share=np.where(T < 40, 0.02 * np.cos(T / 6), 0.02)
    ),
    "one layer": Chain(layers=1),
    "one step": Chain(steps=1, loss=np.array([2.3])),
}


@pytest.mark.parametrize("name", SICK)
def test_a_sick_run_is_named_first(name):
    code, chain = SICK[name]
    found = diagnose(chain.recording())
    assert [f.code for f in found][:1] == [code], found
    main = found[0]
    assert main.rank == 1
    mild = main.confidence < SURE or name in MILD
    assert main.severity == ("warning" if mild else "error")
    assert 0.5 <= main.confidence < 1
    assert main.evidence
    assert main.threshold
    assert main.message.endswith(".")


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_run_is_left_alone(name):
    assert diagnose(HEALTHY[name].recording()) == ()


def test_every_rule_has_sick_runs_here():
    assert {code for code, _ in SICK.values()} == set(RULES)


@pytest.mark.parametrize("code", list(RULES))
def test_every_rule_has_a_manual_with_all_sections(code):
    rule = RULES[code]
    assert rule.title.endswith(".")
    for section in SECTIONS:
        assert rule.section(section), section


@pytest.mark.parametrize("code", list(RULES))
def test_what_a_rule_may_cause_is_a_rule(code):
    assert set(RULES[code].may_cause) <= set(RULES)


@pytest.mark.parametrize("code", list(RULES))
def test_a_rule_holds_its_peace_on_next_to_nothing(code):
    for steps in (1, 2, 3):
        chain = Chain(steps=steps, loss=flat_loss(steps=steps))
        assert len(list(diagnose(chain.recording(), [code]))) <= 1


def test_a_dying_since_names_the_step():
    found = diagnose(Chain(loss=flat_loss(), dead=after(40, 0.1, 0.9)).recording())
    assert found[0].since_step == 40


def test_a_gradient_that_steps_made_fade_began_with_them():
    _, chain = SICK["long steps"]
    fading = np.where(T < 1, -40.0, np.linspace(-140, -40, 6)[:, None])
    found = diagnose(replace(chain, backward_db=fading).recording())
    assert [(f.code, f.because, f.since_step) for f in found][:2] == [
        ("learning-rate-too-high", (), 1),
        ("vanishing-gradient", ("learning-rate-too-high",), 1),
    ]


def test_units_that_the_first_step_saturates_were_not_born_so():
    _, chain = SICK["long steps"]
    thrown = replace(chain, activation="tanh", saturated=after(1, 0.0, 0.9))
    found = diagnose(thrown.recording())
    assert [(f.code, f.since_step) for f in found][:2] == [
        ("learning-rate-too-high", 1),
        ("saturated-units", 1),
    ]


def test_the_sum_of_losses_before_it_was_plain_that_no_step_comes_is_no_first_loss():
    chain = Chain(loss=np.append(40.0, flat_loss(steps=STEPS - 1)), ratio=0.0)
    recording = chain.recording()
    assert "overconfident-start" in [f.code for f in diagnose(recording)]
    recording._events = (Event(0, NO_STEP),)
    assert [f.code for f in diagnose(recording)] == ["parameters-not-updated"]


def test_the_first_tensor_in_order_of_computation_is_blamed():
    _, chain = SICK["nan in an output"]
    found = diagnose(chain.recording())
    assert (found[0].site, found[0].since_step) == ("4", 80)
    assert "output of 4 (Linear)" in found[0].message


def test_a_loss_that_is_nan_by_itself_is_blamed_itself():
    _, chain = SICK["nan in the loss alone"]
    found = diagnose(chain.recording())
    assert found[0].site == "loss"
    assert "every stage's output was finite" in found[0].message


def every(chain, n):
    """The same training, measured at every n-th step only; the loss at each."""
    recording = chain.recording()
    for (site, quantity), values in recording._values.items():
        if recording.sites[site].kind != "run" or quantity == "predicted_change":
            thinned = np.array(values)
            thinned[np.arange(len(thinned)) % n != 0] = np.nan
            recording._values[site, quantity] = thinned
    return recording


@pytest.mark.parametrize("n", [2, 5])
@pytest.mark.parametrize(
    "name", [n for n in SICK if not n.startswith("nan") and n != "elastic now and then"]
)
def test_a_sick_run_is_named_too_when_only_some_steps_are_measured(name, n):
    code, chain = SICK[name]
    assert code in [f.code for f in diagnose(every(chain, n))[:2]]


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_run_is_left_alone_too_when_only_some_steps_are_measured(name):
    assert diagnose(every(HEALTHY[name], 5)) == ()


def test_the_step_of_dying_is_right_when_only_some_steps_are_measured():
    found = diagnose(every(Chain(loss=flat_loss(), dead=after(40, 0.1, 0.9)), 5))
    assert found[0].since_step == 40


def test_one_small_batch_says_nothing_of_dead_units():
    chain = Chain(steps=1, loss=flat_loss(steps=1), dead=0.8)
    assert diagnose(chain.recording(), ["dead-units"]) == ()


def test_an_infinity_that_leaves_the_loss_finite_is_meant():
    recording = Chain(loss=broken_loss(80)).recording()
    mask = recording.site("3", "output")
    recording._values[mask.id, "inf"] = np.ones(STEPS, dtype=np.float32)
    culprit = recording.site("6", "output")
    recording._values[culprit.id, "nan"] = (T >= 80).astype(np.float32)
    found = diagnose(recording)
    assert found[0].code == "non-finite"
    assert found[0].since_step == 80


def test_the_pass_that_made_the_script_raise_is_blamed():
    chain = Chain(loss=np.append(falling_loss()[:-1], np.nan), nan_at=("4", "output", STEPS - 1))
    recording = chain.recording()
    recording._info = replace(recording.info, status="failed")
    assert [(f.code, f.site) for f in diagnose(recording)] == [("non-finite", "4")]


def of(code, chain):
    return diagnose(chain.recording(), [code])


def test_odd_weights_that_leave_the_levels_alone_are_no_fault():
    for rms in (2.0, 0.005):
        assert of("poor-initialization", Chain(loss=flat_loss(), weight_rms=rms)) == ()


def test_levels_that_change_over_sound_weights_are_another_fault():
    for levels in (SWELLING, -SWELLING):
        chain = Chain(loss=flat_loss(), forward_db=levels)
        assert of("poor-initialization", chain) == ()


@pytest.mark.parametrize("gain", [3**-0.5, 1.0, 2**0.5])
@pytest.mark.parametrize("depth", [2, 12, 40])
def test_every_scheme_that_suits_a_layer_passes(gain, depth):
    step = 20 * np.log10(gain / 2**0.5)
    chain = Chain(
        layers=depth,
        loss=flat_loss(),
        weight_rms=gain / 32**0.5,
        forward_db=step * np.arange(depth),
        backward_db=step * np.arange(depth)[::-1],
    )
    assert of("poor-initialization", chain) == ()


def test_a_last_layer_may_start_as_small_as_it_likes():
    weights = np.array([0.1, 0.1, 0.1, 0.1, 0.1, 1e-4])
    chain = Chain(loss=flat_loss(), weight_rms=weights, forward_db=np.array([0, 0, 0, 0, 0, -80.0]))
    assert of("poor-initialization", chain) == ()


def test_a_normalisation_takes_the_scale_out_again():
    weights = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.1])  # none follows the last
    chain = Chain(loss=flat_loss(), weight_rms=weights, forward_db=SWELLING)
    assert of("poor-initialization", chain)
    assert of("poor-initialization", replace(chain, activation="BatchNorm1d")) == ()


def test_a_poor_start_explains_what_comes_of_it():
    _, chain = SICK["drawn with a fixed small deviation"]
    found = {f.code: f.because for f in diagnose(chain.recording())}
    assert found["vanishing-gradient"] == ("poor-initialization",)
    assert found["vanishing-activation"][0] == "poor-initialization"


def test_a_frozen_layer_is_not_disconnected_and_a_short_phase_is_none():
    frozen = np.array([np.nan] + [1e-3] * 5)
    grads = np.array([np.nan] + [0.5] * 5)
    assert of("disconnected-parameters", Chain(ratio=frozen, grad_l2=grads)) == ()
    short = Chain(steps=15, loss=flat_loss(steps=15), ratio=UNMOVED, grad_l2=UNREACHED)
    assert of("disconnected-parameters", short) == ()


def test_parameters_that_a_gradient_reaches_later_are_connected():
    grads = np.where(T > 150, 0.5, np.where(np.arange(6)[:, None] < 3, np.nan, 0.5))
    chain = Chain(loss=flat_loss(), grad_l2=grads, ratio=UNMOVED)
    assert of("disconnected-parameters", chain) == ()


def test_two_players_may_swing():
    _, chain = SICK["a pendulum"]
    players = replace(chain, facts={"optimizers": ["Adam", "Adam"]})
    assert of("oscillating-loss", players) == ()


def test_independent_batches_are_no_oscillation_however_noisy():
    noise = 2.3 + np.random.default_rng(2).normal(0, 0.8, STEPS)
    assert of("oscillating-loss", Chain(loss=noise, grad_cosine=-0.6)) == ()
