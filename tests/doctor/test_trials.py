"""Which runs are made, in which order, and what is concluded from them; no process is started."""

from dataclasses import replace

import numpy as np
import pytest

from gainstage.diagnosis.progress import progress
from gainstage.doctor.candidates import Candidate, Change, Patch
from gainstage.doctor.proof import Outcome
from gainstage.doctor.trials import Plan, Study

CONTROL = Candidate("control", (Change.of("control"),), "Nothing.")
OTHER = Candidate("other", (Change.of("other"),), "Nothing.")


def candidate(name):
    return Candidate(name, (Change.of(name),), f"Do {name}.", ("fault",))


def ended(share, told=""):
    """A run that got that share of the way from chance to zero."""
    loss = np.linspace(2.0, 2.0 * (1 - share), 40)
    loss[-5:] = loss[-1]
    return Outcome(progress(loss, np.full(40, 2.0)), told, curve=((19, loss[19]), (39, loss[39])))


class Laboratory:
    """Answers by a table: the share learnt of each change, one a seed."""

    def __init__(self, shares, **told):
        self.shares = shares
        self.told = told
        self.made = []
        self.ends_after = 1000
        self.interrupted = False

    def run(self, trials):
        return [self._run(trial) for trial in trials]

    def _run(self, trial):
        names = (change.name + "*" * len(change.params) for change in trial.changes)
        name = trial.patch.file if trial.patch else "+".join(names) or "unchanged"
        if len(self.made) >= self.ends_after:
            self.interrupted = True
            return None
        self.made.append((name, trial.seed))
        return ended(self.shares[name][trial.seed], self.told.get(name, ""))


NONE = ("unchanged", "control", "other", "a.py")


def study(shares, *, seeds=2, observed=0.0, yardstick=(), more=None, reserve=(), joined=(), **told):
    others = {"unchanged": [0.0] * 3, "control": [0.001] * 3, "other": [0.002] * 3}
    laboratory = Laboratory({**others, **shares}, **told)
    chosen = tuple(
        replace(candidate(name), **(more or {}).get(name, {}))
        for name in shares
        if name not in (*NONE, *reserve, *joined)
    )
    base = None if observed is None else ended(observed)
    spare = tuple(map(candidate, reserve))
    plan = Plan(chosen, (CONTROL, OTHER), seeds, base, yardstick, spare)
    return Study(plan, laboratory).remedies(), laboratory.made, plan


def test_a_remedy_that_helps_at_every_seed_is_verified():
    (one,), made, plan = study({"a": [0.9, 0.8]})
    assert one.verified
    assert one.score_after == pytest.approx((0.9, 0.8))
    assert one.loss_before == pytest.approx((2.0, 2.0))
    assert one.control_name == "control"
    assert one.seeds == 2
    assert sorted(made) == [("a", 0), ("a", 1), ("control", 0), ("control", 1), ("unchanged", 1)]
    assert plan.runs == (len(made), len(made))


def test_the_observed_run_is_not_made_again():
    _, made, _ = study({"a": [0.9, 0.8]})
    assert ("unchanged", 0) not in made
    _, made, _ = study({"a": [0.9, 0.8]}, observed=None)
    assert ("unchanged", 0) in made


def test_what_does_not_help_with_the_first_seed_is_not_tried_with_others():
    (one,), made, _ = study({"a": [0.01, 0.9]})
    assert not one.verified
    assert made == [("a", 0)]
    assert one.told.startswith("Not enough better than unchanged with the script's own seed")
    assert one.told.endswith("(learnt 0 % -> 1 %), so no other was tried.")


def test_trials_end_at_the_first_verified_remedy():
    found, made, _ = study({"a": [0.5, 0.5], "b": [0.45, 0.5]})
    assert [one.name for one in found if one.verified] == ["a"]
    assert ("b", 1) not in made
    assert "another one is verified" in found[1].told


def test_a_much_better_remedy_is_confirmed_before_the_findings_first_choice():
    found, _, _ = study({"a": [0.2, 0.2], "b": [0.9, 0.9]})
    assert (found[0].name, found[0].verified) == ("b", True)


def test_the_reserve_is_tried_where_no_candidate_is_verified():
    shares = {"a": [0.9, 0.0], "b": [0.0], "c": [0.8, 0.7], "d": [0.0]}
    found, made, plan = study(shares, reserve=("c", "d"))
    assert [(one.name, one.verified) for one in found][:2] == [("c", True), ("a", False)]
    assert {one.name for one in found} == {"a", "b", "c", "d"}
    assert len(made) <= plan.runs[1] + plan.reserve_runs


def test_the_reserve_is_left_alone_where_a_candidate_is_verified():
    found, made, _ = study({"a": [0.9, 0.8], "c": []}, reserve=("c",))
    assert [one.name for one in found] == ["a"]
    assert "c" not in {name for name, _ in made}


SEPARATELY = {"a": [0.1, 0.0], "b": [0.0], "c": [0.05, 0.3], "d": [0.01]}


@pytest.mark.parametrize("together", [[0.9, 0.8], [0.9, 0.0], [0.04, 0.9]])
def test_two_that_help_a_little_are_tried_at_once_where_none_is_verified(together):
    shares = {**SEPARATELY, "a+c": together}
    found, made, plan = study(shares, reserve=("c", "d"), joined=("a+c",))
    one = next(one for one in found if one.name == "a and c")
    assert one.verified is (together == [0.9, 0.8])
    assert one.codes == ("fault",)
    assert one.change == "Do a. Do c."
    assert len(made) <= plan.runs[1] + plan.reserve_runs


@pytest.mark.parametrize(
    "shares",
    [
        {"a": [0.1, 0.0], "b": [0.0], "c": [0.0]},  # one alone helps
        {"a": [0.1, 0.0], "b": [0.0], "c": [0.9, 0.9]},  # the reserve has it
    ],
)
def test_nothing_is_joined_where_one_alone_helps_or_is_verified(shares):
    found, _, _ = study(shares, reserve=("c",))
    assert len(found) == 3


def test_two_of_one_kind_are_not_joined():
    slower, slowest = Change.of("rate", factor=0.1), Change.of("rate", factor=0.01)
    shares = {"a": [0.1, 0.0], "b": [0.1, 0.0], "rate*": [0.1, 0.0]}
    more = {"a": {"changes": (slower,)}, "b": {"changes": (slowest,)}}
    found, _, _ = study(shares, more=more, joined=("rate*",))
    assert len(found) == 2


def test_what_the_control_does_as_well_is_no_remedy():
    (one,), _, _ = study({"a": [0.9, 0.8], "control": [0.85, 0.9]})
    assert not one.verified
    assert "than the control" in one.told


def test_after_a_remedy_that_was_luck_the_next_one_is_tried():
    found, made, _ = study({"a": [0.9, 0.0], "b": [0.8, 0.85]})
    assert [(one.name, one.verified) for one in found] == [("b", True), ("a", False)]
    assert made.count(("control", 0)) == made.count(("unchanged", 1)) == 1


def test_a_run_that_breaks_down_is_a_result():
    (one,), _, _ = study({"a": [0.9, 0.9]}, a="it ended with exit code 1: boom")
    assert not one.verified
    assert "boom" in one.told


def test_a_yardstick_measures_all_but_the_remedy_that_is_it():
    measure = (Change.of("fix", keep_gradient=True),)
    shares = {"fix": [0.9] * 2, "fix*": [0.5] * 2, "fix*+control": [0.5] * 2, "fix*+a": [0.5]}
    laboratory = Laboratory(shares)
    plan = Plan((candidate("fix"), candidate("a")), (CONTROL,), 2, None, measure)
    found = Study(plan, laboratory).remedies()
    assert [(one.name, one.verified) for one in found] == [("fix", True), ("a", False)]
    assert {name for name, _ in laboratory.made} == set(shares)


def test_more_seeds_are_tried_where_they_are_asked_for():
    (one,), made, _ = study({"a": [0.9, 0.8, 0.85]}, seeds=3)
    assert one.seeds == 3
    assert ("control", 2) in made


def test_a_control_that_changes_nothing_at_all_makes_room_for_another():
    (one,), made, _ = study({"a": [0.9, 0.8], "control": [0.0, 0.0]})
    assert (one.verified, one.control_name) == (True, "other")
    assert {("control", 1), ("other", 0), ("other", 1)} <= set(made)
    (one,), _, _ = study({"a": [0.9, 0.8], "control": [0.0, 0.0], "other": [0.9, 0.9]})
    assert not one.verified


def test_the_last_control_counts_even_if_nothing_moves_the_loss():
    (one,), _, _ = study({"a": [0.9, 0.8], "control": [0.0] * 2, "other": [0.0] * 2})
    assert (one.verified, one.control_name) == (True, "other")
    assert "The control changed nothing in this training" in one.told


@pytest.mark.parametrize(
    ("runs", "names", "told"),
    [
        (0, [], ""),
        (1, ["a"], "interrupted before all others were run"),
        (3, ["a", "b"], "interrupted before all others were run"),
        (4, ["a", "b"], "interrupted before all others were run"),
        (6, ["a", "b"], "not tried with others"),
    ],
)
def test_after_an_interrupt_what_was_run_is_told(runs, names, told):
    laboratory = Laboratory(
        {"unchanged": [0.0] * 2, "control": [0.001] * 2, "a": [0.9, 0.9], "b": [0.8, 0.8]}
    )
    laboratory.ends_after = runs
    plan = Plan((candidate("a"), candidate("b")), (CONTROL,), 2, ended(0.0))
    made = Study(plan, laboratory)
    found = made.remedies()
    assert [one.name for one in found] == names
    assert made.made == runs
    assert [one.verified for one in found] == [runs == 6, False][: len(names)]
    assert not names or told in found[-1].told
    assert made.interrupted == (runs < 6)


def test_a_remedy_whose_control_did_not_run_is_not_judged_by_it():
    laboratory = Laboratory({"unchanged": [0.0] * 2, "control": [0.001] * 2, "a": [0.9, 0.9]})
    laboratory.ends_after = 3  # the remedy twice, the unchanged script with the other seed
    (one,) = Study(Plan((candidate("a"),), (CONTROL,), 2, ended(0.0)), laboratory).remedies()
    assert laboratory.made == [("a", 0), ("a", 1), ("unchanged", 1)]
    assert "interrupted before all others were run" in one.told


def test_the_curves_of_all_runs_are_kept_with_a_remedy():
    (one,), _, _ = study({"a": [0.9, np.nan]})
    runs = [(curve.run, curve.seed) for curve in one.curves]
    assert runs == [(run, seed) for run in ("unchanged", "remedy", "control") for seed in (0, 1)]
    assert one.curves[2].steps == (19, 39)
    assert one.curves[2].loss[1] == pytest.approx(0.2)
    assert one.curves[3].loss == (None, None)


def test_a_remedy_that_hides_the_fault_comes_after_all_that_remove_it():
    shares = {"hides": [0.9, 0.9], "removes": [0.5, 0.5]}
    more = {"hides": {"caveat": "It hides it."}}
    found, made, _ = study(shares, more=more)
    assert [(one.name, one.verified) for one in found] == [("removes", True), ("hides", False)]
    assert ("hides", 1) not in made
    found, _, _ = study({**shares, "removes": [0.0, 0.0]}, more=more)
    assert (found[0].name, found[0].verified) == ("hides", True)
    assert found[0].told.endswith("beyond the spread of the seeds. It hides it.")


def test_of_two_that_help_alike_the_one_that_is_a_diff_goes_first():
    shares = {"a": [0.9, 0.9], "b": [0.85, 0.9]}
    found, _, _ = study(shares, more={"b": {"diff": "--- a", "where": "train.py:3"}})
    assert (found[0].name, found[0].diff, found[0].where) == ("b", "--- a", "train.py:3")
    found, _, _ = study({**shares, "b": [0.5, 0.5]}, more={"b": {"diff": "--- a"}})
    assert found[0].name == "a"


@pytest.mark.parametrize(("share", "kept"), [(0.9, True), (0.3, True), (0.0, False)])
def test_a_diff_that_does_not_do_what_the_trial_did_is_dropped(share, kept):
    more = {"a": {"diff": "--- a", "where": "a.py:3", "patch": Patch("a.py", "")}}
    (one,), made, plan = study({"a": [0.9, 0.8], "a.py": [share]}, more=more)
    assert made.count(("a.py", 0)) == 1
    assert plan.runs == (len(made), len(made))
    assert (one.verified, one.where, one.change) == (True, "a.py:3", "Do a.")
    assert bool(one.diff) == kept
    assert ("it did not do the same" in one.told) != kept
    assert "not run" not in one.told


def test_a_diff_that_could_not_be_run_is_told_as_such():
    (one,), _, _ = study({"a": [0.9, 0.8]}, more={"a": {"diff": "--- a"}})
    assert one.diff
    assert one.told.endswith("Its diff was not run as it is written.")


def test_the_diff_of_what_is_not_verified_is_not_run():
    more = {"a": {"diff": "--- a", "patch": Patch("a.py", "")}}
    (one,), made, _ = study({"a": [0.0, 0.8], "a.py": [0.9]}, more=more)
    assert ("a.py", 0) not in made
    assert one.diff


class Noise(Laboratory):
    """Answers by chance, around what each change adds to half of the way."""

    def __init__(self, draw, effects, spread):
        super().__init__({})
        self.draw, self.effects, self.spread = draw, effects, spread

    def _run(self, trial):
        mean = 0.5 + sum(self.effects.get(change.name, 0.0) for change in trial.changes)
        return ended(float(np.clip(self.draw.normal(mean, self.spread), 0.0, 1.0)))


@pytest.mark.parametrize(
    ("effects", "spread", "least", "most"),
    [
        ({}, 0.02, 0.0, 0.01),
        ({}, 0.05, 0.0, 0.1),  # 0.05 of all studies, 0.03 without trying two at once
        ({}, 0.2, 0.0, 0.2),  # 0.15, with or without
        ({"a": 0.06, "e": 0.06}, 0.02, 0.7, 1.0),  # 0.8, 0.25 without
        ({"a": 0.15, "e": 0.15}, 0.05, 0.85, 1.0),  # 0.95, 0.8 without
    ],
)
def test_a_whole_study_of_seven_remedies_seldom_errs_and_sees_what_two_do(
    effects, spread, least, most
):
    draw = np.random.default_rng(1)
    first, spare = tuple(map(candidate, "abc")), tuple(map(candidate, "def"))
    found = 0
    for _ in range(200):
        observed = ended(float(np.clip(draw.normal(0.5, spread), 0.0, 1.0)))
        plan = Plan(first, (CONTROL, OTHER), 2, observed, (), spare)
        found += any(one.verified for one in Study(plan, Noise(draw, effects, spread)).remedies())
    assert least <= found / 200 <= most
