"""Which rank the others wait for."""

import numpy as np
import pytest

from gainstage.store.stragglers import stragglers, typical


def work(rng, ranks, steps=400, slow=(), by=2.0):
    """Seconds of own work, as noisy as on a shared machine."""
    return {
        rank: 0.02 * rng.lognormal(0.0, 0.4, steps) * (by if rank in slow else 1.0)
        for rank in range(ranks)
    }


def found(work, seconds=0.05):
    told = {rank: typical(own) for rank, own in work.items()}
    return stragglers({rank: one for rank, one in told.items() if one is not None}, seconds)


@pytest.mark.parametrize("ranks", [2, 3, 8, 64])
def test_one_slow_rank_is_found(ranks):
    (event,) = found(work(np.random.default_rng(0), ranks, slow={1}))
    assert (event.code, event.data["ranks"], event.data["rank"]) == ("straggler", [1], 1)
    assert event.data["own_seconds"] == pytest.approx(0.04, rel=0.1)
    assert event.data["waited"] == pytest.approx(0.02, rel=0.2)


@pytest.mark.parametrize("ranks", [2, 8, 64])
def test_noise_alone_makes_none(ranks):
    for seed in range(50):
        assert found(work(np.random.default_rng(seed), ranks)) == []


def test_a_rank_that_is_slow_for_a_while_is_none():
    own = work(np.random.default_rng(0), 4)
    own[2][100:200] *= 10
    assert found(own) == []
    own[2][16:240] *= 10  # for more than half of the training
    assert found(own) == []


def test_what_hardly_matters_for_the_step_is_not_told():
    assert found(work(np.random.default_rng(0), 4, slow={1}), seconds=1.0) == []


def test_the_beginning_and_a_short_training_say_nothing():
    own = work(np.random.default_rng(0), 2, steps=60, slow={1})
    assert typical(own[1]) is None
    assert found(own) == []


def test_the_worst_of_several_is_named():
    own = work(np.random.default_rng(0), 8, slow={1, 5})
    own[5] *= 2
    (event,) = found(own)
    assert event.data["ranks"] == [1, 5]
    assert event.data["rank"] == 5
