"""Another seed for whatever a script seeds itself."""

import random

import numpy as np
import pytest
import torch

from gainstage.interventions.seeds import STRIDE, shifted

DRAWS = {
    "torch": lambda: torch.manual_seed(5) and torch.rand(1).item(),
    "generator": lambda: torch.rand(1, generator=torch.Generator().manual_seed(5)).item(),
    "numpy": lambda: np.random.seed(5) or np.random.rand(),  # noqa: NPY002
    "default_rng": lambda: np.random.default_rng(5).random(),
    "random": lambda: random.seed(5) or random.random(),  # noqa: S311
}


def under(seed, draw):
    with shifted(seed):
        return draw()


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_a_seed_moves_what_is_seeded_and_the_first_one_does_not(draw):
    plain = draw()
    assert under(0, draw) == plain
    assert under(1, draw) == under(1, draw) != plain
    assert draw() == plain


def test_what_is_never_seeded_is_the_same_in_trials_of_one_seed():
    def draw():
        return torch.rand(1).item(), np.random.rand(), random.random()  # noqa: NPY002, S311

    assert under(1, draw) == under(1, draw)
    assert all(a != b for a, b in zip(under(1, draw), under(2, draw), strict=True))


def test_seeds_of_trials_lie_far_apart():
    assert STRIDE > 10_000


def test_no_seed_at_all_is_none_that_could_be_moved():
    with shifted(1):
        first, second = (np.random.default_rng().random() for _ in range(2))
    assert first != second


@pytest.mark.parametrize("seed", [0, 1])
def test_a_seed_may_be_given_by_name(seed):
    shift = seed * STRIDE
    with shifted(seed):
        torch.manual_seed(seed=4)
        assert torch.initial_seed() == 4 + shift
        drawn = np.random.default_rng(seed=4).integers(1000)
        np.random.seed(seed=4)  # noqa: NPY002
        random.seed(a=4)
        also = random.random()  # noqa: S311
    assert drawn == np.random.default_rng(4 + shift).integers(1000)
    assert also == random.Random(4 + shift).random()  # noqa: S311


def test_the_largest_seed_of_numpy_is_shifted_too():
    with shifted(1):
        np.random.seed(2**32 - 1)  # noqa: NPY002
