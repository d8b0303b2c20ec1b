"""When a remedy is verified: scores of runs that end in every way, and the two conditions."""

import numpy as np
import pytest

from gainstage.diagnosis.progress import progress
from gainstage.doctor.proof import MARGIN, Outcome, as_good, promising, proven, score


def ran(start, end, chance=np.nan, told=""):
    loss = np.linspace(start, end if np.isfinite(end) else start, 40)
    loss[-5:] = end
    return Outcome(progress(loss, np.full(40, chance)), told)


@pytest.mark.parametrize(
    ("end", "share"), [(2.0, 0.0), (1.0, 0.5), (0.0, 1.0), (50.0, 0.0), (np.nan, 0.0)]
)
def test_a_score_is_the_share_of_the_way_from_chance_to_zero(end, share):
    assert score(ran(2.0, end, 2.0), ran(2.0, 2.0, 2.0)) == pytest.approx(share)


def test_where_chance_is_unknown_only_what_is_gained_on_the_unchanged_run_counts():
    unchanged = ran(9.0, 0.4)
    assert score(unchanged, unchanged) == 0.0
    assert score(ran(5.0, 0.1), unchanged) == pytest.approx(0.75)
    assert score(ran(100.0, 0.4), unchanged) == 0.0


def test_a_change_that_gives_chance_a_meaning_of_its_own_is_not_judged_by_it():
    assert score(ran(9.0, 0.4, chance=9.0), ran(9.0, 0.4)) == 0.0


def test_an_unchanged_run_that_diverged_is_left_behind_at_its_start():
    assert score(ran(2.0, 0.5), ran(2.0, np.nan)) == pytest.approx(0.75)


def test_what_is_gained_on_an_unchanged_run_that_never_had_a_loss_counts_from_its_own_start():
    never = ran(np.nan, np.nan)
    assert score(ran(2.0, 0.5), never) == pytest.approx(0.75)
    assert score(ran(2.0, 2.0), never) == 0.0
    assert score(never, never) == 0.0
    assert score(ran(2.0, np.nan), never) == 0.0


@pytest.mark.parametrize("told", ["it took too long", "ValueError"])
def test_a_run_that_broke_down_has_learnt_nothing(told):
    assert score(ran(2.0, 0.0, 2.0, told), ran(2.0, 2.0, 2.0)) == 0.0
    assert score(Outcome(None, told), ran(2.0, 2.0, 2.0)) == 0.0


def test_negative_losses_count_by_what_is_gained():
    assert score(ran(1.0, -15.0), ran(1.0, -10.0)) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("remedy", "baseline", "control", "verified"),
    [
        ([0.9, 0.8], [0.0, 0.1], [0.1, 0.0], True),
        ([0.9, 0.8], [0.0, 0.1], [0.85, 0.0], False),  # the control reached it once
        ([0.9, 0.31], [0.0, 0.0], [0.0, 0.0], True),  # 0.605 on average, 0.59 apart
        ([0.9, 0.2], [0.0, 0.1], [0.0, 0.0], False),  # the seeds differ more than it gains
        ([0.86, 0.85], [0.7, 0.0], [0.06, 0.0], True),  # steady, where unchanged is erratic
        ([0.86, 0.85], [0.79, 0.0], [0.8, 0.0], False),  # so are both others, and reach as far
        ([0.50, 0.50], [0.47, 0.47], [0.0, 0.0], False),  # no difference to speak of
        ([0.999, 0.998], [0.97, 0.96], [0.96, 0.97], True),  # a tenth of what is left
        ([0.99, 0.985], [0.97, 0.96], [0.96, 0.97], False),  # half of it may be chance
        ([1.0, 1.0], [1.0, 0.99995], [0.9, 0.9], False),  # nothing is left to anybody
        ([0.999, 0.993], [0.97, 0.97], [0.97, 0.97], True),
        ([0.9999, 0.99], [0.96, 0.95], [0.96, 0.0], False),  # the seeds differ by more decades
        ([0.9], [0.0], [0.0], False),  # one seed proves nothing
        ([], [], [], False),
    ],
)
def test_a_remedy_is_verified_beyond_the_spread_of_the_seeds(remedy, baseline, control, verified):
    assert proven(remedy, baseline, control) is verified


def test_chance_alone_seldom_verifies_anything():
    draw = np.random.default_rng(0)
    trials = 3000
    wrong = sum(proven(*draw.normal(0.5, 0.2, (3, 2)).tolist()) for _ in range(trials))
    assert wrong / trials < 1 / 15


@pytest.mark.parametrize("spread", [0.5, 1.0, 2.0])
def test_chance_alone_seldom_verifies_anything_that_is_nearly_learnt(spread):
    """Losses whose decades scatter, in bits, from seed to seed."""
    draw = np.random.default_rng(1)
    trials = 2000
    left = 0.02 * 2.0 ** draw.normal(0.0, spread, (trials, 3, 2))
    wrong = sum(proven(*(1 - one).tolist()) for one in left)
    assert wrong / trials < 0.02


def test_one_seed_is_reason_enough_to_try_others_from_the_margin_on():
    assert promising(0.3 + 2 * MARGIN, 0.3)
    assert not promising(0.3 + MARGIN / 2, 0.3)
    assert promising(0.999, 0.97)
    assert not promising(0.99, 0.97)


def test_a_diff_must_do_what_the_trials_did_where_little_was_left():
    trials = [0.999, 0.998], [0.97, 0.96], [0.96, 0.97]
    assert as_good(0.997, *trials)
    assert not as_good(0.98, *trials)
