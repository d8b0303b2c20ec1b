"""Readings that are taken first and computed later are those of the reader."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gainstage.sketch import rows
from gainstage.sketch.pool import Pool
from gainstage.sketch.reader import Reader

LINES = 4
ROOM = 64


def with_nan(x):
    x = x.clone()
    x.view(-1)[::50] = math.nan
    return x


KINDS = {
    "float32": lambda x: x,
    "small": lambda x: x[:2],
    "small with NaN": lambda x: with_nan(x[:2]),
    "with NaN": with_nan,
    "float64": lambda x: x.double(),
    "small float64": lambda x: x[:2].double(),
    "bfloat16": lambda x: x.bfloat16(),
    "small bfloat16": lambda x: x[:2].bfloat16(),
    "float16 with NaN": lambda x: with_nan(x).half(),
    "transposed": lambda x: x.t(),
    "int64": lambda x: (x * 100).long(),
    "COO": lambda x: x.relu().to_sparse(),
    "requires grad": lambda x: x.requires_grad_(),
    "empty": lambda x: x[:0],
    "meta": lambda x: x.to("meta"),
}


def draw(seed=0):
    return torch.randn(40, 50, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=[None, LINES], ids=["exact", "sampled"])
def pool(request):
    reader = Reader(request.param)
    reader.turn = 7
    return Pool(reader)


def by_reader(pool, tensor):
    row = rows.new(1)[0]
    return row, pool.reader.read(tensor, row)


@pytest.mark.parametrize("kind", KINDS)
def test_a_reading_is_that_of_the_reader(pool, kind):
    tensor = KINDS[kind](draw())
    number = pool.take(tensor)
    row, counts = by_reader(pool, tensor)
    np.testing.assert_allclose(pool.settle()[number], row, rtol=1e-12)
    np.testing.assert_array_equal(pool.counts(number), counts)


@pytest.mark.parametrize("kind", KINDS)
def test_without_histograms_there_are_none_and_the_reading_is_the_same(pool, kind):
    pool.reader.bins = False
    tensor = KINDS[kind](draw())
    number = pool.take(tensor)
    assert pool.counts(number) is None
    np.testing.assert_allclose(pool.settle()[number], by_reader(pool, tensor)[0], rtol=1e-12)


def test_readings_of_many_kinds_do_not_mix(pool):
    tensors = [make(draw(seed)) for seed, make in enumerate(KINDS.values())]
    numbers = [pool.take(tensor) for tensor in tensors]
    assert numbers == list(range(len(tensors)))
    wanted = np.array([by_reader(pool, tensor)[0] for tensor in tensors])
    np.testing.assert_allclose(pool.settle()[numbers], wanted, rtol=1e-12)


def test_a_sample_is_that_of_the_moment_it_was_taken(pool):
    tensor = torch.full((2000,), 2.0)
    number = pool.take(tensor)
    tensor.zero_()
    assert rows.summary(pool.settle()[number]).rms == 2.0
    assert pool.counts(number)[0] == 0


def test_fewer_lines_hold_from_the_next_reading_on():
    pool = Pool(Reader(LINES))
    pool.take(torch.ones(2000))
    pool.reader.lines = 1
    pool.take(torch.ones(2000))
    assert pool.settle()[:2, rows.COUNT].tolist() == [256, 64]


def test_beyond_the_first_room_earlier_readings_are_kept(pool):
    tensors = [torch.full((1000,), float(i)) for i in range(2 * ROOM + 5)]
    numbers = [pool.take(tensor) for tensor in tensors]
    assert numbers == list(range(len(tensors)))
    found = pool.settle()
    assert found[numbers, rows.MEAN].tolist() == numbers
    assert all(pool.counts(number).sum() == found[number, rows.COUNT] for number in numbers)


def test_a_number_that_was_given_back_is_used_again(pool):
    for value in (1.0, 2.0, 3.0):
        pool.take(torch.full((2000,), value))
    pool.give_back(1)
    assert pool.take(torch.full((2000,), 5.0)) == 1
    assert pool.take(torch.full((2000,), 6.0)) == 3
    assert pool.settle()[:4, rows.MEAN].tolist() == [1.0, 5.0, 3.0, 6.0]


@pytest.mark.parametrize("kinds", [("int64", "meta"), ("float32", "meta"), ("int64", "float32")])
def test_nothing_is_left_of_a_reading_that_was_given_back(pool, kinds):
    first, second = (KINDS[kind](draw(seed)) for seed, kind in enumerate(kinds))
    pool.give_back(pool.take(first))
    number = pool.take(second)
    row, counts = by_reader(pool, second)
    np.testing.assert_allclose(pool.settle()[number], row, rtol=1e-12)
    np.testing.assert_array_equal(pool.counts(number), counts)


def test_a_cleared_pool_begins_again_and_keeps_its_room(pool):
    for _ in range(ROOM + 1):
        pool.take(torch.ones(2000))
    pool.give_back(3)
    room = len(pool.settle())
    pool.clear()
    assert [pool.take(torch.full((2000,), 2.0)) for _ in range(2)] == [0, 1]
    assert pool.settle()[:2, rows.MEAN].tolist() == [2.0, 2.0]
    assert len(pool.settle()) == room


def test_a_cleared_pool_has_no_histogram_of_before(pool):
    pool.take(torch.arange(10))
    pool.clear()
    assert pool.counts(pool.take(torch.ones(2, device="meta"))) is None


def test_the_share_outside_is_that_of_the_sample():
    pool = Pool(Reader(LINES))
    half = torch.tensor([0.5, 2.0, -2.0, 0.0]).repeat(500)
    assert pool.outside(pool.take(half), (-1.0, 1.0)) == 0.5
    assert pool.outside(pool.take(half[:4]), (-1.0, 1.0)) == 0.5
    assert pool.outside(pool.take(half[:4]), (-2.0, 1.0)) == 0.25


def test_there_is_no_share_outside_of_what_was_read_as_a_whole(pool):
    bounds = (-1.0, 1.0)
    assert pool.outside(pool.take(with_nan(draw())), bounds) is None
    assert pool.outside(pool.take(draw().long()), bounds) is None
    whole = pool.reader.lines is None
    assert (pool.outside(pool.take(draw()), bounds) is None) is whole


def test_the_pointer_is_that_of_the_tensor_taken_last_if_it_lies_in_one_piece(pool):
    tensor = draw()
    for there in (tensor, tensor.bfloat16(), tensor[3:], tensor.t()):
        pool.take(there)
        assert pool.pointer == there.data_ptr() != 0
        pool.take(tensor[:, 1:])
        assert pool.pointer == 0
    for elsewhere in (tensor[:0], tensor.long(), tensor.to("meta"), tensor.relu().to_sparse()):
        pool.take(elsewhere)
        assert pool.pointer == 0
