"""Readings as rows say, merge and write what summaries do."""

from __future__ import annotations

import dataclasses
import functools
import math
import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gainstage.quantities import SUMMARY_KEYS
from gainstage.sketch import Summary, rows

SIZES = st.floats(1e-100, 1e100)  # a row keeps squares: those of others leave float64
element = SIZES | SIZES.map(operator.neg) | st.sampled_from([math.nan, math.inf, -math.inf, 0.0])
arrays = hnp.arrays(np.float64, st.integers(0, 40), elements=element)
KEYS = len(SUMMARY_KEYS)
A = Summary(8, 3.0, 4.0, -1.0, 9.0, zeros=2, nan=1, inf=1)
B = Summary(100, 0.0, 1.0, -2.0, 2.0, sample_of=1000, rms_error=0.03)
C = Summary(300, 0.0, 2.0, -4.0, 4.0, sample_of=3000, rms_error=0.01)


def table_of(*summaries):
    table = rows.new(len(summaries))
    for one, row in zip(summaries, table, strict=True):
        rows.from_summary(one, row)
    return table


def added(*summaries):
    table = table_of(*summaries)
    for row in table[1:]:
        rows.add(table[0], row)
    return rows.summary(table[0])


def take(pool, places, sites, table, taken, *, anew=False):
    rows.take(pool, np.array(places), np.array(sites), table, taken, anew)


def frame_of(table, taken=None):
    """All rows next to each other, as a frame."""
    taken = np.ones(len(table), np.uint8) if taken is None else np.array(taken, np.uint8)
    frame = np.full(len(table) * KEYS, np.nan)
    rows.write(table, taken, np.arange(len(table)) * KEYS, frame)
    return frame.reshape(len(table), KEYS)


def numbers_of(summary):
    """What a frame has of it, by quantity."""
    return dict(zip(SUMMARY_KEYS, frame_of(table_of(summary))[0], strict=True))


def test_a_new_row_is_that_of_no_elements():
    assert rows.new(2).shape == (2, rows.WIDTH)
    found = rows.summary(rows.new(1)[0])
    assert found.values() == pytest.approx(Summary.empty().values(), nan_ok=True)


@settings(deadline=None)
@given(arrays)
def test_a_summary_comes_back_from_its_row(oracle, x):
    summary = oracle.summary(x)
    oracle.same_summary(added(summary), summary)


@pytest.mark.parametrize("summary", [A, B, C])
def test_a_row_keeps_the_size_of_the_tensor_and_the_error(summary):
    assert added(summary).values() == pytest.approx(summary.values())
    assert added(summary).sample_of == summary.sample_of
    assert table_of(summary)[0, rows.SIZE] == summary.size


@settings(deadline=None)
@given(st.lists(arrays, min_size=2, max_size=4))
def test_rows_merge_as_summaries_do(oracle, parts):
    summaries = [oracle.summary(part) for part in parts]
    whole = functools.reduce(operator.add, summaries)
    oracle.same_summary(added(*summaries), whole, rel=1e-7)


@settings(deadline=None)
@given(st.lists(st.tuples(arrays, st.sampled_from([0.0, 0.01, 0.3, math.nan])), min_size=2))
def test_errors_of_rows_merge_as_those_of_summaries_do(oracle, parts):
    sums = [
        dataclasses.replace(oracle.summary(part), sample_of=50, rms_error=error)
        for part, error in parts
    ]
    whole, found = functools.reduce(operator.add, sums), added(*sums)
    assert found.size == whole.size
    if whole.rms > 0:  # else there is nothing to be off from
        assert found.rms_error == pytest.approx(whole.rms_error, abs=1e-7, nan_ok=True)


def test_errors_of_samples_add_as_variances_do():
    merged = added(B, C)
    assert (merged.count, merged.size) == (400, 4000)
    assert merged.rms == pytest.approx(math.sqrt(3.25))
    assert merged.rms_error == pytest.approx(math.hypot(100 * 0.03, 1200 * 0.01) / 1300)
    assert merged.l2 == pytest.approx(math.sqrt(3.25 * 4000))


def test_readings_of_one_site_merge_within_a_call_and_between_calls():
    table, taken = rows.new(3), np.zeros(3, np.uint8)
    pool = table_of(A, B, C)
    take(pool, [0, 2, 0], [1, 2, 1], table, taken)
    take(pool, [1], [2], table, taken)
    assert taken.tolist() == [0, 1, 1]
    assert rows.summary(table[1]).values() == pytest.approx((A + A).values())
    assert rows.summary(table[2]).values() == pytest.approx((B + C).values())


def test_the_first_reading_of_a_site_replaces_what_an_earlier_step_left_there():
    table, taken = table_of(C), np.zeros(1, np.uint8)
    take(table_of(A), [0], [0], table, taken)
    assert rows.summary(table[0]) == rows.summary(table_of(A)[0])


def test_taken_anew_a_site_drops_what_this_step_has_of_it_and_only_it():
    table, taken = rows.new(2), np.zeros(2, np.uint8)
    pool = table_of(A, B)
    take(pool, [0, 0], [0, 1], table, taken)
    take(pool, [1, 1], [0, 0], table, taken, anew=True)
    assert rows.summary(table[0]).values() == pytest.approx((B + B).values())
    assert rows.summary(table[1]).values() == pytest.approx(A.values())


@pytest.mark.parametrize("anew", [False, True])
def test_a_reading_whose_count_is_nan_is_none(anew):
    table, taken = table_of(A, A), np.array([1, 0], np.uint8)
    pool = table_of(B)
    pool[0, rows.COUNT] = math.nan
    take(pool, [0, 0], [0, 1], table, taken, anew=anew)
    assert taken.tolist() == [not anew, 0]
    assert (table == table_of(A, A)).all()


@settings(deadline=None)
@given(st.lists(arrays, min_size=1, max_size=3))
def test_a_frame_has_the_numbers_of_a_summary_in_the_order_of_the_quantities(oracle, parts):
    summaries = [oracle.summary(part) for part in parts]
    for found, one in zip(frame_of(table_of(*summaries)), summaries, strict=True):
        assert found == pytest.approx(one.values(), rel=1e-9, nan_ok=True)


def test_a_frame_names_its_columns():
    found = numbers_of(A)
    assert (found["rms"], found["std"], found["max"], found["zero_share"]) == (5, 4, 9, 0.25)
    sampled = numbers_of(B)
    assert (sampled["count"], sampled["rms_error"]) == (100, 0.03)
    assert sampled["l2"] == pytest.approx(math.sqrt(1000))


def test_what_was_not_taken_stays_nan_in_the_frame():
    found = frame_of(table_of(A, B, C), taken=[1, 0, 1])
    assert np.isnan(found).any(axis=1).tolist() == [False, True, False]
    assert np.isnan(found[1]).all()


def test_each_site_is_written_from_its_first_column_on():
    frame = np.full(2 * KEYS + 3, np.nan)
    rows.write(table_of(A, B), np.ones(2, np.uint8), np.array([KEYS + 3, 1]), frame)
    assert frame[KEYS + 3 :] == pytest.approx(A.values())
    assert frame[1 : KEYS + 1] == pytest.approx(B.values())
    assert np.isnan(frame[[0, KEYS + 1, KEYS + 2]]).all()


def test_a_tensor_of_nothing_finite_has_counts_and_no_moments():
    found = numbers_of(Summary.empty())
    assert (found["count"], found["l2"]) == (0, 0)
    bad = Summary(3, math.nan, math.nan, math.nan, math.nan, nan=2, inf=1)
    found = numbers_of(bad)
    assert (found["count"], found["nan"], found["inf"], found["l2"]) == (3, 2, 1, 0)
    assert all(math.isnan(found[key]) for key in ("mean", "rms", "std", "min", "max"))


def test_numbers_beyond_float32_stay_what_they_are():
    large = Summary(4, 1e100, 1e150, -1e300, 1e300)
    assert frame_of(table_of(large))[0] == pytest.approx(large.values())
    assert added(large, large).values() == pytest.approx((large + large).values())


def test_a_spread_whose_square_leaves_float64_is_infinite_and_the_rest_stays():
    found = numbers_of(Summary(4, 1e200, 1e200, -1e300, 1e300))
    assert found["std"] == found["rms"] == found["l2"] == math.inf
    assert (found["mean"], found["min"], found["max"]) == (1e200, -1e300, 1e300)
    assert (found["nan"], found["inf"]) == (0, 0)


@settings(deadline=None)
@given(st.lists(arrays, min_size=1, max_size=4), st.data())
def test_the_norm_of_all_is_that_of_their_elements_together(oracle, parts, data):
    table = table_of(*map(oracle.summary, parts))
    taken = np.array(data.draw(st.lists(st.booleans(), min_size=len(parts), max_size=len(parts))))
    chosen = data.draw(st.lists(st.sampled_from(range(len(parts))), unique=True))
    elements = [x[np.isfinite(x)] for i, x in enumerate(parts) if taken[i] and i in chosen]
    found = rows.norm_of_all(table, taken.astype(np.uint8), np.array(chosen, dtype=np.int64))
    wanted = math.hypot(*np.concatenate(elements)) if elements else math.nan
    assert found == pytest.approx(wanted, rel=1e-9, nan_ok=True)


def test_the_norm_of_a_sampled_tensor_is_that_of_the_whole():
    found = rows.norm_of_all(table_of(B, C), np.ones(2, np.uint8), np.arange(2))
    assert found == pytest.approx(math.sqrt(1000 + 4 * 3000))


def test_norms_of_large_numbers_do_not_overflow():
    large = Summary(1, 1e200, 0.0, 1e200, 1e200)
    found = rows.norm_of_all(table_of(large, large), np.ones(2, np.uint8), np.arange(2))
    assert found == pytest.approx(math.sqrt(2) * 1e200)
