"""From findings to candidates: each code has its entry, the order, the control, the yardstick."""

import math
from dataclasses import replace

import pytest

from gainstage.diagnosis import RULES
from gainstage.doctor.candidates import Change
from gainstage.doctor.remedies import candidates, controls, reserve, suggested, yardstick
from gainstage.doctor.repertoire import activation, blocks, recurrent
from gainstage.doctor.suggestions import SUGGESTIONS, has_remedy
from gainstage.interventions import INTERVENTIONS
from gainstage.recording import MemoryRecording
from gainstage.records import Finding, Site

RUN = Site(0, "run", "run", "", "", 0)


def recording(*ops, lr=0.1, names=None):
    names = names or [str(i) for i in range(len(ops))]
    sites = [
        Site(i + 1, name, "output", name, op, i)
        for i, (op, name) in enumerate(zip(ops, names, strict=True))
    ]
    return MemoryRecording([RUN, *sites], {(0, "loss"): [1.0] * 5, (0, "lr"): [lr] * 5})


def finding(code, severity="error", rank=1, **evidence):
    return Finding(code, severity, 0.9, "0", 0, "", evidence=evidence, rank=rank)


def names(found):
    return [[change.name for change in one.changes] for one in found]


@pytest.mark.parametrize("code", list(RULES))
def test_every_rule_has_its_place_in_the_table(code):
    assert code in SUGGESTIONS


@pytest.mark.parametrize("code", list(SUGGESTIONS))
@pytest.mark.parametrize("op", ["relu", "tanh", "sigmoid", "Linear"])
def test_what_is_suggested_can_be_injected(code, op):
    for one in suggested(finding(code), recording("Linear", op)):
        assert one.name
        assert one.advice.endswith(".")
        assert all(change.name in INTERVENTIONS for change in one.changes)


@pytest.mark.parametrize(
    ("code", "first"),
    [
        ("learning-rate-too-high", "scale-learning-rate"),
        ("learning-rate-too-low", "scale-learning-rate"),
        ("vanishing-gradient", "reinitialise"),
        ("unnormalized-input", "standardise-input"),
        ("parameters-not-updated", "add-missing-parameters"),
        ("gradients-not-zeroed", "zero-gradients"),
        ("over-clipped-gradient", "unclip"),
        ("excessive-weight-decay", "drop-weight-decay"),
        ("softmax-before-cross-entropy", "remove-softmax"),
        ("eval-mode-in-training", "train-mode"),
        ("overconfident-start", "scale-output-layer"),
        ("disconnected-parameters", "keep-graph"),
        ("gradient-underflow", "full-precision"),
        ("oscillating-loss", "scale-learning-rate"),  # no optimiser whose momentum could be damped
    ],
)
def test_the_first_choice_is_the_change_that_names_the_fault(code, first):
    assert names(candidates([finding(code)], recording("relu"), 3))[0] == [first]


def test_a_schedule_that_has_used_up_the_rate_is_left_out_first():
    starved = replace(finding("learning-rate-too-low"), evidence={"used_up_by_schedule": True})
    assert names(candidates([starved], recording("relu"), 3))[0] == ["hold-learning-rate"]


@pytest.mark.parametrize("code", ["loss-not-decreasing", "train-eval-gap", "none"])
def test_where_no_change_could_prove_anything_nothing_is_tried(code):
    assert candidates([finding(code)], recording("relu"), 3) == []


def test_healthy_scripts_have_no_candidates():
    assert candidates([], recording("relu"), 3) == []
    assert reserve([], recording("relu"), 3) == []


@pytest.mark.parametrize("code", [code for code in SUGGESTIONS if has_remedy(code)])
@pytest.mark.parametrize("most", [1, 3])
def test_in_reserve_is_what_was_not_a_candidate(code, most):
    run = recording("Linear", "tanh")
    first, rest = candidates([finding(code)], run, most), reserve([finding(code)], run, most)
    assert 0 < len(rest) <= most
    others = controls([finding(code)], run)
    changes = [one.changes for one in (*first, *rest, *others)]
    assert len(set(changes)) == len(changes)


def test_what_a_finding_suggests_comes_before_what_helps_most_trainings():
    run = recording("Linear", "tanh")
    rest = reserve([finding("vanishing-gradient")], run, 3)
    assert [bool(one.codes) for one in rest] == [True, True, False]


@pytest.mark.parametrize("most", [1, 2, 3, 4])
def test_nothing_is_tried_that_changes_nothing_in_a_training_of_bare_tensors(most):
    rest = reserve([finding("learning-rate-too-high")], recording("matmul", "tanh"), most)
    assert ["standardise-input"] not in names(rest)


@pytest.mark.parametrize("code", ["loss-not-decreasing", "train-eval-gap"])
def test_where_no_change_could_prove_anything_there_is_no_reserve(code):
    assert reserve([finding(code)], recording("relu"), 3) == []


def test_a_second_finding_has_its_say_before_the_first_ones_last_choice():
    found = [finding("learning-rate-too-high"), finding("unnormalized-input", rank=2)]
    tried = names(candidates(found, recording("relu"), 3))
    assert tried[0] == ["scale-learning-rate"]
    assert ["standardise-input"] in tried


def test_one_remedy_for_two_findings_is_tried_once():
    found = [finding("vanishing-gradient"), finding("vanishing-activation", rank=2)]
    tried = candidates(found, recording("tanh"), 9)
    assert len({one.changes for one in tried}) == len(tried)
    assert tried[0].codes == ("vanishing-gradient", "vanishing-activation")


def test_warnings_are_treated_only_where_there_is_no_error():
    warning = finding("unnormalized-input", "warning", rank=2)
    run = recording("relu")
    assert names(candidates([warning], run, 1)) == [["standardise-input"]]
    both = candidates([finding("over-clipped-gradient"), warning], run, 9)
    assert ["standardise-input"] not in names(both)


@pytest.mark.parametrize("decoupled", [False, True])
def test_a_decay_by_hand_is_taken_off_the_gradient_if_it_is_part_of_it(decoupled):
    run = recording("relu")
    run.info.facts["inferred"] = {"lr": 0.1, "weight_decay": 0.5, "decoupled": decoupled}
    found = suggested(finding("excessive-weight-decay"), run)
    expected = [Change.of("drop-weight-decay", decay=0.5, lr=0.1)]
    assert [one.changes[0] for one in found] == ([] if decoupled else expected)


@pytest.mark.parametrize(("ratio", "factor"), [(0.1, 0.1), (1.0, 0.01), (1e9, 1e-4), (0.0, 0.1)])
def test_the_rate_is_lowered_by_what_the_updates_are_too_large(ratio, factor):
    (one, *_) = suggested(finding("learning-rate-too-high", update_over_weight=ratio), recording())
    assert one.changes[0]["factor"] == pytest.approx(factor)


@pytest.mark.parametrize(
    ("log", "factor"),
    [(-4.5, 100.0), (-2.6, 10.0), (-30.0, 1e5), (-math.inf, 100.0), (None, 100.0)],
)
def test_the_rate_is_raised_by_what_the_updates_are_too_small(log, factor):
    found = finding("learning-rate-too-low", log10_update_over_weight=log)
    assert suggested(found, recording())[0].changes[0]["factor"] == pytest.approx(factor)


@pytest.mark.parametrize("code", list(SUGGESTIONS))
@pytest.mark.parametrize("optimizers", [[], ["SGD"]])
def test_no_control_is_one_of_the_remedies_and_one_works_in_any_training(code, optimizers):
    found, run = finding(code), recording("relu")
    run.info.facts["optimizers"] = optimizers
    remedies = {name for one in names(suggested(found, run)) for name in one}
    named = [name for one in names(controls([found], run)) for name in one]
    assert named
    assert not remedies & set(named)
    assert optimizers or named in (["disturb-weights"], ["scale-learning-rate"])
    assert named[-1] == "disturb-weights" or code == "symmetric-weights"


@pytest.mark.parametrize("code", list(SUGGESTIONS))
def test_no_control_mends_whole_families_of_faults(code):
    run = recording("relu")
    run.info.facts["optimizers"] = ["SGD"]
    named = {name for one in names(controls([finding(code)], run)) for name in one}
    assert not named & {"standardise-input", "clip-gradients", "reinitialise", "calibrate"}


def test_layers_are_passed_by_where_there_are_many_and_no_blocks():
    for code in ("exploding-gradient", "vanishing-gradient"):
        shallow, tall = (recording(*["Linear", "relu"] * n) for n in (4, 9))
        assert ["skip-layers"] not in names(suggested(finding(code), shallow))
        assert ["skip-layers"] in names(suggested(finding(code), tall))


def test_the_scheme_suits_the_activations_of_the_run():
    assert activation(recording("tanh", "tanh", "relu")) == "tanh"
    assert activation(recording("gelu", "silu", "tanh")) == "relu"
    assert activation(recording("Linear")) == "linear"


def test_a_stage_that_is_called_again_and_again_is_recurrent():
    calls = ["in", "rec", "rec#2", "rec#3", "rec#4", "out"]
    assert recurrent(recording(*["Linear"] * 6, names=calls)) == ("rec",)
    assert recurrent(recording(*["RNNCell"] * 6, names=calls)) == ()  # its gates are known


def test_only_the_loss_of_probabilities_needs_another_yardstick():
    assert yardstick([finding("dead-units")]) == ()
    (change,) = yardstick([finding("softmax-before-cross-entropy")])
    assert change["keep_gradient"]


def test_bare_tensors_are_advised_as_such_and_have_no_input_to_a_module():
    bare, layers = recording("matmul", "tanh"), recording("Linear", "tanh")
    assert "(w, gain" in suggested(finding("vanishing-gradient"), bare)[0].advice
    assert "(layer.weight, gain" in suggested(finding("vanishing-gradient"), layers)[0].advice
    assert ["standardise-input"] not in names(suggested(finding("saturated-units"), bare))
    assert ["standardise-input"] in names(suggested(finding("saturated-units"), layers))


@pytest.mark.parametrize(
    ("stages", "deep"),
    [
        ([f"layers.{i}.linear" for i in range(4)], True),
        ([f"net.{i}.linear" for i in range(3)], False),
        ([f"{i}" for i in range(9)], False),  # layers, not blocks
        (["a.0.x", "a.0.y", "a.1.x", "b.0.x", "b.1.x"], False),
    ],
)
def test_a_list_of_blocks_may_be_passed_by(stages, deep):
    run = recording(*["Linear"] * len(stages), names=stages)
    assert blocks(run) is deep
    for code in ("exploding-gradient", "vanishing-gradient"):
        assert (["skip-connections"] in names(suggested(finding(code), run))) is deep


def test_momentum_is_damped_where_there_is_an_optimiser_that_has_any():
    run = recording("relu")
    run.info.facts["optimizers"] = ["SGD"]
    assert names(suggested(finding("oscillating-loss"), run))[0] == ["damp-momentum"]


@pytest.mark.parametrize(
    ("code", "evidence", "first"),
    [
        ("parameters-not-updated", {"gradient_left": 0.0}, "keep-gradients"),
        ("parameters-not-updated", {"weights_stuck": 2}, "add-missing-parameters"),
        ("oscillating-loss", {"returns_with_each_pass": True}, "shuffle-data"),
        ("oscillating-loss", {"returns_with_each_pass": False}, "scale-learning-rate"),
    ],
)
def test_one_code_has_the_remedy_of_its_cause(code, evidence, first):
    assert names(suggested(finding(code, **evidence), recording("relu")))[0] == [first]


def test_where_one_answer_for_all_satisfies_the_loss_a_lower_one_proves_nothing():
    met, unmet = ({"spread_over_samples": 0.03, **more} for more in ({"spread_at_start": 0.5}, {}))
    run = recording("Linear", "relu")
    assert suggested(finding("collapsed-output", **unmet), run)
    for choose in (candidates, reserve):
        assert choose([finding("collapsed-output", **met)], run, 3) == []


@pytest.mark.parametrize("code", ["exploding-activation", "exploding-gradient"])
def test_levels_that_swell_are_set_by_data_among_the_first(code):
    tried = names(candidates([finding(code)], recording("Linear", "relu"), 3))
    assert ["calibrate"] in tried


def test_a_graph_is_recorded_everywhere_only_where_nothing_is_detached():
    tried = suggested(finding("disconnected-parameters"), recording("relu"))
    assert [dict(one.changes[0].params) for one in tried] == [{}, {"recording": True}]


@pytest.mark.parametrize(
    ("growth", "first"), [(10.0, "scale-learning-rate"), (1.0, "guard-functions")]
)
def test_what_only_hides_a_fault_is_suggested_after_what_removes_it(growth, first):
    found = suggested(finding("non-finite", loss_growth_before=growth), recording("relu"))
    assert found[0].changes[0].name == first
    assert [bool(one.caveat) for one in found[:3]] == [False, False, True]


def test_the_logarithm_of_probabilities_is_taken_where_the_loss_wants_such():
    run = recording("Linear", "softmax")
    (one,) = suggested(finding("softmax-before-cross-entropy", loss="nll_loss"), run)
    assert [change.name for change in one.changes] == ["take-logarithm"]
    assert yardstick([finding("softmax-before-cross-entropy", loss="nll_loss")]) == ()
    assert yardstick([finding("softmax-before-cross-entropy", loss="cross_entropy")])
