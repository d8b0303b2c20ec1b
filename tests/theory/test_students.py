"""Student's t against its published table."""

import pytest

from gainstage.theory.students import quantile

# Fisher & Yates, Statistical Tables (1963), table III: two-sided
PUBLISHED = {
    (0.95, 1): 12.706,
    (0.95, 2): 4.303,
    (0.95, 3): 3.182,
    (0.95, 10): 2.228,
    (0.95, 120): 1.980,
    (0.90, 5): 2.015,
    (0.99, 1): 63.657,
    (0.99, 8): 3.355,
}


@pytest.mark.parametrize(("at", "value"), PUBLISHED.items())
def test_quantiles_are_those_of_the_table(at, value):
    assert quantile(*at) == pytest.approx(value, abs=6e-4)


def test_many_degrees_are_a_gaussian():
    assert quantile(0.95, 2000) == pytest.approx(1.95996, abs=2e-3)
