"""Which law a tensor was drawn from, and how often a true scheme is rejected."""

import numpy as np
import pytest
import torch

from gainstage.init.drawing import fill
from gainstage.init.laws import look, p_value
from gainstage.theory.fans import linear

FANS = linear((40, 40))
ELEMENTWISE = ["normal", "uniform", "truncated"]


def drawn(law, seed, shape=(40, 40), std=0.3):
    tensor = torch.empty(shape)
    fill(tensor, law, std, FANS, torch.Generator().manual_seed(seed))
    return tensor


@pytest.mark.parametrize("law", ELEMENTWISE)
def test_the_law_is_found_of_a_thousand_weights(law):
    assert {look(drawn(law, seed, (40, 25))).law for seed in range(200)} == {law}


@pytest.mark.parametrize("law", ELEMENTWISE)
def test_p_values_of_a_true_scheme_are_uniform_at_their_lower_end(law):
    p = np.array([p_value(look(drawn(law, seed)), law, 0.3) for seed in range(2000)])
    for alpha in (0.01, 0.05, 0.1):
        rate = (p < alpha).mean()
        spread = 4 * (alpha * (1 - alpha) / len(p)) ** 0.5
        assert rate < alpha + spread
        assert rate > (alpha - spread) * (0.4 if law == "uniform" else 1)  # it counts double


@pytest.mark.parametrize("law", ELEMENTWISE)
def test_a_size_that_is_a_tenth_off_is_rejected(law):
    for seed in range(20):
        assert p_value(look(drawn(law, seed, (100, 100))), law, 0.33) < 1e-3
        assert p_value(look(drawn(law, seed, (100, 100))), law, 0.27) < 1e-3


def test_the_largest_of_uniform_weights_tells_what_their_variance_does_not():
    seen = look(drawn("uniform", 0))
    assert abs(seen.rms / 0.306 - 1) < 0.03  # within the deviation of the variance of 1600
    assert p_value(seen, "uniform", 0.3) > 0.01
    assert p_value(seen, "uniform", 0.306) < 1e-6


def test_structure_goes_before_shape():
    assert look(torch.full((5, 5), 0.1)).law == "constant"
    assert look(torch.zeros(5, 5)).law == "constant"
    assert look(torch.eye(5)).law == "identity"
    assert look(torch.linalg.qr(torch.randn(9, 5))[0]).law == "orthogonal"
    kernel = torch.zeros(6, 4, 3, 3)
    kernel[:, :, 1, 1] = torch.linalg.qr(torch.randn(6, 4))[0]
    assert look(kernel).law == "delta_orthogonal"
    assert look(drawn("sparse", 0)).law == "sparse"
    assert look(torch.empty(0, 4)).law is None


def test_another_law_is_no_fit():
    seen = look(drawn("normal", 0))
    assert p_value(seen, "uniform", 0.3) == 0.0
    assert p_value(look(torch.eye(4) * 2), "identity", 1.0) == 1.0
    assert p_value(look(torch.eye(4) * 2), "identity", 0.9) == 0.0
