"""Adding ranks' numbers is the same as reading all elements at once."""

import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gainstage.quantities import SUMMARY_KEYS
from gainstage.sketch.summary import Summary
from gainstage.store import addition

NUMBERS = st.lists(
    st.one_of(st.floats(-1e30, 1e30), st.sampled_from([0.0, np.nan, np.inf, -np.inf])), max_size=20
)


def summary(values):
    x = np.array(values, dtype=np.float64)
    finite = x[np.isfinite(x)].astype(np.longdouble)  # whose range no square leaves
    moments = (np.nan,) * 4
    if finite.size:
        moments = (finite.mean(), finite.std(), finite.min(), finite.max())
    return Summary(
        x.size,
        *map(float, moments),
        int((x == 0).sum()),
        int(np.isnan(x).sum()),
        int(np.isinf(x).sum()),
    )


def moments(found):
    return dict(zip(SUMMARY_KEYS, (np.array([v]) for v in found.values()), strict=True))


@given(st.lists(NUMBERS, min_size=1, max_size=4))
@settings(deadline=None, max_examples=100)
def test_moments_add_as_summaries_do(parts):
    found = addition.add_moments([moments(summary(part)) for part in parts])
    whole = summary([x for part in parts for x in part])
    scale = 0.0 if np.isnan(whole.rms) else whole.rms
    for key, wanted in zip(SUMMARY_KEYS, whole.values(), strict=True):
        close = pytest.approx(
            wanted, rel=1e-12, abs=1e-7 * scale if key == "std" else 1e-12 * scale, nan_ok=True
        )
        assert found[key][0] == close, key


def test_a_rank_without_a_reading_takes_no_part():
    one = moments(summary([1.0, 2.0]))
    nothing = {key: np.array([np.nan]) for key in SUMMARY_KEYS}
    for parts in ([one, nothing], [nothing, one]):
        assert addition.add_moments(parts)["mean"].tolist() == [1.5]
        assert addition.add_moments(parts)["rms_error"].tolist() == [0.0]
    assert np.isnan(addition.add_moments([nothing, nothing])["count"]).all()


def test_sampling_errors_add_as_those_of_summaries():
    a = Summary(64, 0.0, 1.0, -1.0, 1.0, sample_of=640, rms_error=0.1)
    b = Summary(64, 0.0, 3.0, -1.0, 1.0, sample_of=640, rms_error=0.2)
    found = addition.add_moments([moments(a), moments(b)])
    for key, wanted in zip(SUMMARY_KEYS, (a + b).values(), strict=True):
        assert found[key][0] == pytest.approx(wanted, rel=1e-12), key


def test_other_rules():
    nan = np.nan
    values = [np.array([1.0, nan, nan]), np.array([3.0, 5.0, nan])]
    for rule, wanted in (
        (addition.mean, [2, 5, nan]),
        (addition.first, [1, 5, nan]),
        (addition.least, [1, 5, nan]),
        (addition.largest, [3, 5, nan]),
        (addition.total, [4, 5, nan]),
    ):
        assert np.array_equal(rule(values), wanted, equal_nan=True), rule
    weighted = addition.weighted(values, [np.array([3.0, 1, 1]), np.array([1.0, 0, 1])])
    assert np.array_equal(weighted, [1.5, 5, nan], equal_nan=True)
    assert addition.apart(values).tolist() == [True, False, False]


def test_parts_come_one_after_the_other():
    """So that ten thousand ranks need no more memory than two."""
    alive = []

    def ranks(number):
        for i in range(number):
            alive.append(weakref.ref(value := np.array([float(i)])))
            assert sum(one() is not None for one in alive) <= 3
            yield value
            del value

    for rule in (addition.mean, addition.least, addition.largest, addition.total, addition.apart):
        alive.clear()
        rule(ranks(20))
        assert len(alive) == 20, rule


def test_no_more_ranks_are_asked_for_a_copy_than_it_takes():
    ranks = iter([np.array([np.nan, 1.0]), np.array([2.0, 3.0]), np.array([4.0, 5.0])])
    assert addition.first(ranks).tolist() == [2.0, 1.0]
    assert next(ranks).tolist() == [4.0, 5.0]
