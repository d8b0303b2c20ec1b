"""The intervention `shuffle-data`."""

import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset

from .parts import change


@pytest.mark.parametrize("given", [{}, {"shuffle": False}, {"batch_size": 4}])
def test_data_in_their_order_are_drawn_at_random(given):
    data = torch.arange(100)
    with change("shuffle-data"):
        seen = torch.cat(list(DataLoader(data, **given)))
        positional = torch.cat(list(DataLoader(data, 10, False)))  # noqa: FBT003 - torch's own
    for one in (seen, positional):
        assert not torch.equal(one, data)
        assert torch.equal(one.sort().values, data)


def test_an_order_of_ones_own_is_kept():
    class Stream(IterableDataset):
        def __iter__(self):
            yield from range(3)

    data = torch.arange(20)
    backwards = range(19, -1, -1)
    with change("shuffle-data"):
        assert [x.item() for x in DataLoader(data, sampler=backwards)] == list(backwards)
        assert [x.item() for x in DataLoader(Stream())] == [0, 1, 2]


def test_batches_made_by_hand_hold_other_rows_alike():
    x, y = torch.arange(100), torch.arange(100) * 10
    weight = torch.arange(100.0, requires_grad=True)
    with change("shuffle-data"):
        batches = [(x[i : i + 20], y[i : i + 20]) for i in range(0, 100, 20)]
        parts = [*zip(x.split(20), torch.split(y, 20), strict=True)]
        assert torch.equal(x[:80], torch.arange(80))  # what parts training from test
        assert torch.equal(weight[10:20], torch.arange(10.0, 20.0))
        assert x[10] == 10
        assert torch.equal(x[::2], torch.arange(0, 100, 2))
    for made in (batches, parts):
        rows = torch.cat([first for first, _ in made])
        assert all(torch.equal(first * 10, second) for first, second in made)
        assert not torch.equal(rows, x)
        assert torch.equal(rows.sort().values, x)
