"""Sizes that a weight may have been meant to have, for the rule that sees only its shape."""

import pytest

from gainstage.theory.plausible import plausible_fans, plausible_stds


def test_both_orders_and_their_mean_count_for_a_bare_tensor():
    assert plausible_fans("matmul", (20, 30)) == {20.0, 30.0, 25.0}
    assert plausible_fans("Conv2d", (4, 2, 3, 3)) == {36.0, 18.0, 27.0}


def test_gates_share_an_axis():
    assert {8.0, 32 / 3} <= plausible_fans("LSTM", (32, 8))


def test_schemes_by_fan_and_the_gain_of_what_follows():
    stds = set(plausible_stds("Linear", (100, 100), "gelu"))
    for wanted in (0.1, 0.1 / 3**0.5, 0.15335):
        assert any(std == pytest.approx(wanted, rel=1e-4) for std in stds)
    assert 1.0 in set(plausible_stds("Embedding", (100, 64), ""))
