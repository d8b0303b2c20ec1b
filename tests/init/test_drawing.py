"""Drawing: the law, the generator that is used and the one that is not."""

import math

import pytest
import torch

from gainstage.errors import UsageError
from gainstage.init.drawing import CUT_STD, LAWS, fill, generator_of
from gainstage.theory.fans import linear

SHAPE = (96, 64)
FANS = linear(SHAPE)


def drawn(law, seed=0, shape=SHAPE, dtype=torch.float32, std=0.5):
    tensor = torch.empty(shape, dtype=dtype)
    fill(tensor, law, std, FANS, torch.Generator().manual_seed(seed))
    return tensor


@pytest.mark.parametrize("law", LAWS)
def test_the_same_generator_gives_the_same_numbers_and_the_global_one_is_not_touched(law):
    before = torch.get_rng_state()
    first, second, other = drawn(law), drawn(law), drawn(law, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, second)
    assert torch.equal(first, other) == (law in {"constant", "identity"})


def test_the_global_generator_is_used_when_told_to():
    before = torch.get_rng_state()
    fill(torch.empty(SHAPE), "normal", 1.0, FANS, None)
    assert not torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("law", LAWS)
def test_narrow_types_get_the_same_numbers_rounded(law):
    assert torch.equal(drawn(law).bfloat16(), drawn(law, dtype=torch.bfloat16))


def test_uniform_and_truncated_end_where_they_should():
    assert float(drawn("uniform", shape=(500, 500)).abs().max()) == pytest.approx(
        0.5 * math.sqrt(3), rel=1e-3
    )
    cut = drawn("truncated", shape=(500, 500))
    assert float(cut.abs().max()) <= 2 * 0.5 / CUT_STD + 1e-6
    assert float(cut.std()) == pytest.approx(0.5, rel=0.01)


@pytest.mark.parametrize("shape", [(96, 64), (64, 96), (64, 64)])
def test_orthogonal_is_orthogonal_on_its_short_side(shape):
    matrix = drawn("orthogonal", shape=shape, dtype=torch.float64)
    short = matrix if shape[0] <= shape[1] else matrix.T
    size = 0.5**2 * max(shape)
    expected = size * torch.eye(min(shape), dtype=torch.float64)
    assert torch.allclose(short @ short.T, expected, atol=1e-10)


def test_delta_orthogonal_keeps_the_energy_of_a_signal_without_losing_any_at_the_border():
    kernel = torch.empty(32, 16, 3, 3, dtype=torch.float64)
    fans = linear((32, 16 * 9))
    fill(kernel, "delta_orthogonal", fans.fan_in**-0.5, fans, torch.Generator().manual_seed(0))
    x = torch.randn(4, 16, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    y = torch.nn.functional.conv2d(x, kernel, padding=1)
    assert float(y.square().mean()) == pytest.approx(float(x.square().mean()))
    assert int((kernel != 0).sum()) == 32 * 16


def test_sparse_has_so_many_connections():
    tensor = torch.empty(SHAPE)
    fill(tensor, "sparse", 0.5, FANS, torch.Generator().manual_seed(0), connections=7)
    assert set((tensor != 0).sum(1).tolist()) == {7}


def test_what_is_no_generator_is_refused():
    assert generator_of(None) is None
    own = torch.Generator()
    assert generator_of(own) is own
    assert generator_of(3).initial_seed() == generator_of(3).initial_seed() != 3
    with pytest.raises(UsageError, match=r"torch.Generator, a seed or None, not 'x'"):
        generator_of("x")
    with pytest.raises(UsageError, match="not True"):
        generator_of(bool(1))


def test_a_seed_does_not_give_the_numbers_that_torch_draws_by_it():
    """Or weights would hold the very numbers of data that were drawn by the same seed."""
    drawn = torch.randn(8, generator=generator_of(0))
    assert not torch.isclose(
        drawn, torch.randn(8, generator=torch.Generator().manual_seed(0))
    ).any()
