"""Each rule names its sick runs, and leaves the healthy and the odd ones alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gainstage.diagnosis import RULES, diagnose
from gainstage.diagnosis.engine import SURE
from gainstage.diagnosis.evidence import NO_STEP
from gainstage.diagnosis.rule import SECTIONS
from gainstage.recording import MemoryRecording
from gainstage.records import Event, Site
from gainstage.testing import STEPS, Chain, falling_loss, flat_loss

from .trainings import HEALTHY, MILD, SICK, SWELLING, UNMOVED, UNREACHED, T, after, broken_loss


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


def test_an_input_of_which_less_is_known_is_not_judged_by_that():
    """As one that comes out of another tool's logs."""
    chain = Chain(loss=flat_loss(), input={"zero_share": np.nan, "feature_spread": np.nan})
    assert "unnormalized-input" not in [found.code for found in diagnose(chain.recording())]


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


def test_a_decay_that_was_inferred_is_told_as_such():
    told, inferred, plain = (
        diagnose(SICK[name][1].recording(), ["excessive-weight-decay"])[0]
        for name in (
            "turned around before a normalisation",
            "turned around by hand",
            "weights melt away",
        )
    )
    # sqrt(0.03 * 0.1); the weights end at a quarter
    assert told.message == (
        "Weight decay of 0.1 at a rate of 0.03 has shrunk the weights to 0.25 of their size, "
        "until each step turned them by 0.055 of their length."
    )
    assert inferred.message == told.message.replace(
        "0.03 has", "0.03 (inferred from the first update) has"
    )
    numbers = {key: pytest.approx(value) for key, value in told.evidence.items()}
    assert inferred.evidence == {**numbers, "inferred_from": "the first update"}
    assert {"turn_per_step", "inferred_from"}.isdisjoint(plain.evidence)


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


def test_a_graph_that_is_cut_in_a_later_phase_is_told_of_and_a_head_that_had_its_turn_is_not():
    layer = np.arange(6)[:, None]
    cut = np.where((layer < 3) & (T > 80), np.nan, 0.5)
    (found,) = of("disconnected-parameters", Chain(loss=flat_loss(), grad_l2=cut))
    assert found.severity == "error"
    assert found.since_step == 81
    assert "since step 81" in found.message
    turn = np.where((layer > 3) & (T > 80), np.nan, 0.5)
    assert of("disconnected-parameters", Chain(loss=flat_loss(), grad_l2=turn)) == ()
    assert of("disconnected-parameters", Chain(grad_l2=cut)) == ()


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


def unrolled(chain, kinds=("input", "output", "output_grad")):
    """The same training, whose stages are calls of one stage: a cell that is unrolled in time."""
    recording = chain.recording()
    recording._sites = tuple(
        replace(site, name=f"cell#{site.order // 2 + 1}".replace("#1", "", site.order == 0))
        if site.kind in kinds and site.op == "Linear"
        else site
        for site in recording._sites
    )
    return recording


def of_cell(code, **kwargs):
    return diagnose(unrolled(Chain(layers=20, loss=flat_loss(), **kwargs)), [code])


SUM_DB = 20 * np.log10(1 + np.arange(20))
"""Level of a state that adds up equal parts."""


def test_a_state_that_swells_from_call_to_call_explodes():
    found = of_cell("exploding-activation", forward_db=SUM_DB + 4 * np.arange(20))
    assert [f.site for f in found] == ["cell"]
    assert "calls of cell (time steps)" in found[0].message
    assert of_cell("exploding-activation", forward_db=SUM_DB) == ()


def test_a_gradient_that_grows_back_through_the_calls_explodes_if_weights_feel_it():
    back = (SUM_DB + 4 * np.arange(20))[::-1]
    found = of_cell("exploding-gradient", backward_db=back, grad_l2=30.0)
    assert ["calls of cell" in f.message for f in found] == [True]
    assert of_cell("exploding-gradient", backward_db=back, grad_l2=0.5) == ()
    assert of_cell("exploding-gradient", backward_db=SUM_DB[::-1], grad_l2=30.0) == ()


def test_a_sequence_that_enters_step_by_step_is_judged_as_a_whole():
    recording = unrolled(Chain(layers=20, loss=flat_loss()))
    entry = recording.site("cell", "input")
    odd = {"rms": 1.0, "zero_share": 0.0, "feature_spread": 1.0, "feature_offset": 9.0}
    later = [replace(entry, id=len(recording._sites) + n, name=f"cell#{n + 2}") for n in range(9)]
    recording._sites += tuple(later)
    for n, site in enumerate([entry, *later]):
        for quantity, value in odd.items():
            usual = 0.1 if quantity == "feature_offset" and n else value
            recording._values[site.id, quantity] = np.full(STEPS, usual, dtype=np.float32)
    assert diagnose(recording, ["unnormalized-input"]) == ()
    for site in later:
        recording._values[site.id, "feature_offset"] = np.full(STEPS, 9.0, dtype=np.float32)
    assert [f.site for f in diagnose(recording, ["unnormalized-input"])] == ["cell"]


def by_a_vector(chain, op="matmul"):
    """The same training with weights of one axis."""
    recording = chain.recording()
    recording._sites = tuple(
        replace(s, shape=(32,), op=op) if s.kind in {"weight", "grad", "update"} else s
        for s in recording._sites
    )
    return recording


def test_a_regression_by_a_vector_of_weights_is_judged_too():
    codes = {name: SICK[name] for name in ("from wall to wall of a valley", "tiny steps")}
    for code, chain in codes.values():
        assert [f.code for f in diagnose(by_a_vector(chain))][:1] == [code]
    assert diagnose(by_a_vector(Chain())) == ()
    alike = by_a_vector(Chain(loss=flat_loss(), unit_spread=0.0))
    assert "symmetric-weights" not in {f.code for f in diagnose(alike)}
    on_a_surface = by_a_vector(SICK["tiny steps"][1], op="")
    assert "learning-rate-too-low" not in {f.code for f in diagnose(on_a_surface)}


@pytest.mark.parametrize(("uses", "codes"), [(30, ["exploding-gradient"]), (2, [])])
def test_constants_of_a_simulation_are_judged_where_they_are_used_again_and_again(uses, codes):
    chain = Chain(loss=flat_loss(), grad_l2=400.0, facts={"parameter_uses": uses})
    found = diagnose(by_a_vector(chain, op=""), ["exploding-gradient"])
    assert [f.code for f in found] == codes


def two_views(spread, tied=True):
    """A network that answers twice a step, with a loss of its own: of the two, or of each."""
    noise = np.random.default_rng(3).normal(0, 1.0, (2, STEPS))
    back = np.full((6, STEPS), -40.0)
    back[4:] += noise[0] if tied else noise
    chain = Chain(
        loss=falling_loss(0.5, 0.001), chance=np.nan, sample_spread=spread, backward_db=back
    )
    recording = chain.recording()
    names = {"8": "head", "10": "head#2"}
    recording._sites = tuple(
        replace(s, name=names.get(s.name, s.name)) if s.kind.startswith("output") else s
        for s in recording._sites
    )
    return recording


def test_views_that_agree_on_one_answer_have_collapsed_though_they_differ_by_noise():
    found = diagnose(two_views(np.geomspace(0.5, 0.03, STEPS)))
    assert [(f.code, f.site) for f in found] == [("collapsed-output", "head#2")]


@pytest.mark.parametrize("spread", [0.06, np.geomspace(0.06, 0.5, STEPS)])
def test_views_whose_answers_differ_as_much_as_ever_have_not(spread):
    assert diagnose(two_views(spread)) == ()


def test_a_last_layer_that_began_at_zero_mixes_no_samples():
    spread = np.full((6, STEPS), 0.5)
    spread[5, 0] = 0.0
    recording = Chain(loss=flat_loss(), sample_spread=spread).recording()
    assert diagnose(recording, ["collapsed-output"]) == ()


def with_answers_of(recording, units):
    """The same training of a network whose last stage has that many units."""
    *_, last = (s for s in recording.of_kind("output") if s.op == "Linear")
    recording._sites = tuple(
        replace(s, shape=(*s.shape[:-1], units)) if s == last else s for s in recording._sites
    )
    return recording


def test_samples_that_are_mixed_before_the_last_layer_are_told():
    chain = Chain(loss=flat_loss(), sample_spread=np.array([0.5, 0.5, 0.5, 0.5, 0.5, 0.0]))
    found = diagnose(with_answers_of(chain.recording(), 3))
    assert [f.code for f in found] == ["collapsed-output"]
    assert "though 8 tells them apart" in found[0].message
    # a stage of the same shape may be the answer, to which a constant is added
    assert "collapsed-output" not in {f.code for f in diagnose(chain.recording())}


def test_a_regression_from_zero_that_has_arrived_is_not_too_slow():
    code, chain = SICK["weights that began at zero, and steps that promise nothing"]
    arrived = replace(chain, grad_l2=0.5 * np.exp(-T / 20))
    assert code not in {f.code for f in diagnose(arrived.recording())}


def test_two_halves_of_a_batch_are_no_views_however_little_their_answers_differ():
    assert diagnose(two_views(np.geomspace(0.5, 0.03, STEPS), tied=False)) == ()


def test_two_networks_that_agree_on_one_answer_have_collapsed():
    chain = Chain(
        loss=falling_loss(0.5, 0.001), chance=np.nan, sample_spread=np.geomspace(0.5, 0.03, STEPS)
    )
    assert diagnose(chain.recording()) == ()  # as targets far from zero would have it
    towers = replace(chain, facts={"loss": "mse_loss", "targets": "trained"})
    assert [f.code for f in diagnose(towers.recording())] == ["collapsed-output"]


def test_units_that_are_off_because_all_samples_are_alike_die_when_they_die():
    found = diagnose(Chain(loss=flat_loss(), dead=after(70, 0.6, 1.0)).recording(), ["dead-units"])
    assert found[0].since_step == 70


def test_a_relapse_begins_where_the_loss_was_lowest():
    found = diagnose(SICK["learnt and thrown away"][1].recording())
    assert found[0].since_step == pytest.approx(60, abs=STEPS // 20)


def test_a_straight_descent_has_no_period_and_one_that_returns_has():
    def evidence(loss):
        chain = Chain(loss=loss, grad_cosine=0.6, chance=1.0)
        return of("oscillating-loss", chain)

    assert evidence(np.linspace(4.0, 1.1, STEPS) + flat_loss(0.0)) == ()
    assert evidence(np.where(T % 20 < 3, 5.0, 0.1) + flat_loss(0.0)) != ()


def test_a_rate_is_dated_by_its_steps_where_the_loss_answers_late():
    """The loss falls at first, units die of steps that are too long, and only then it rises."""
    loss = np.concatenate(
        [np.linspace(2.3, 1.0, 36), np.full(10, 40.0), np.full(STEPS - 46, 2.303)]
    )
    chain = Chain(
        loss=loss,
        dead=after(28, 0.1, 1.0),
        predicted_share=after(6, 0.02, 3.0),
        ratio=after(6, 1e-3, 0.5),
    )
    found = diagnose(chain.recording())
    assert found[0].code == "learning-rate-too-high"
    assert found[0].since_step == 6
    dead = next(finding for finding in found if finding.code == "dead-units")
    assert dead.since_step >= 28
    assert "learning-rate-too-high" in dead.because


def test_a_sure_start_is_that_of_the_last_layer_with_weights():
    recording = Chain(loss=falling_loss(25.0, 1.9)).recording()
    last = max(recording.of_kind("output"), key=lambda site: site.order)
    number, order = len(recording.sites), last.order + 1
    after_it = Site(number, "11", "output", "11", "LogSoftmax", order)
    values = {**recording._values, (number, "rms"): np.full(STEPS, 3.0)}
    ended = MemoryRecording([*recording.sites, after_it], values, info=recording.info)
    (found,) = (f for f in diagnose(ended) if f.code == "overconfident-start")
    assert found.site == last.name


def test_an_evaluation_beyond_what_was_trained_on_is_a_warning_where_the_training_is_good():
    facts = {"evaluation": {"site": "0", "shift": 4.0, "batches": 3}}
    found = of("train-eval-gap", Chain(facts=facts))
    assert [f.severity for f in found] == ["warning"]
    found = of("train-eval-gap", Chain(facts=facts, loss=flat_loss()))
    assert [f.severity for f in found] == ["error"]


def test_rare_labels_are_no_reason_to_call_an_even_start_sure():
    facts = {"loss": "binary_cross_entropy_with_logits"}
    slow = falling_loss(0.71, 0.08)
    assert not of("overconfident-start", Chain(loss=slow, chance=0.1, facts=facts))
    assert of("overconfident-start", Chain(loss=slow * 5, chance=0.1, facts=facts))


def test_quiet_inputs_are_no_fault_where_a_normalisation_follows():
    quiet = {"rms": 0.02}
    assert of("unnormalized-input", Chain(loss=flat_loss(), input=quiet))
    assert not of("unnormalized-input", Chain(loss=flat_loss(), input=quiet, running_gap=0.1))


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_a_loss_whose_best_constant_is_right_is_judged(level):
    assert diagnose(Chain(loss=falling_loss(1.0, 0.1) * level, chance=0.0).recording()) == ()


def test_a_rule_that_fails_is_told_and_takes_no_other_with_it(monkeypatch):
    def broken(_):
        return 1 / 0

    failing = replace(RULES["oscillating-loss"], check=broken)
    monkeypatch.setitem(RULES._members, "oscillating-loss", failing)
    with pytest.warns(RuntimeWarning, match="oscillating-loss failed .*zero"):
        found = diagnose(Chain(loss=flat_loss(), dead=1.0).recording())
    assert [f.code for f in found] == ["dead-units"]
