"""Data sets: the IDX format, the split, the order of batches."""

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from gainstage.errors import DataError
from gainstage.lab import data

SHARED = Path(os.environ.get("GAINSTAGE_DATA", "nowhere"))
needs_data = pytest.mark.skipif(not SHARED.is_dir(), reason="GAINSTAGE_DATA names no folder")


def idx(path, values, *, kind=8, cut=0):
    values = np.asarray(values, np.uint8)
    head = struct.pack(f">HBB{values.ndim}I", 0, kind, values.ndim, *values.shape)
    raw = head + values.tobytes()
    path.write_bytes(gzip.compress(raw[: len(raw) - cut]))
    return path


def test_an_idx_file_is_read_as_it_was_written(tmp_path):
    values = np.arange(24).reshape(2, 3, 4)
    found = data.read_idx(idx(tmp_path / "it.gz", values))
    assert found.dtype == torch.uint8
    np.testing.assert_array_equal(found.numpy(), values)


@pytest.mark.parametrize("wrong", [{"kind": 9}, {"cut": 1}])
def test_another_kind_of_file_is_refused(tmp_path, wrong):
    with pytest.raises(DataError, match=r"is no IDX file of bytes, or is cut short"):
        data.read_idx(idx(tmp_path / "it.gz", [[1, 2]], **wrong))


@pytest.mark.parametrize(
    "content", [b"hello", gzip.compress(b"abc"), gzip.compress(b"ab" * 99)[:9]]
)
def test_what_is_no_such_file_is_refused(tmp_path, content):
    path = tmp_path / "it.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"it.gz is no gzipped IDX file"):
        data.read_idx(path)


def test_shuffled_batches_are_whole_and_each_image_comes_once():
    images = data.Images(torch.arange(10.0)[:, None], torch.arange(10))
    drawn = list(images.batches(4, torch.Generator().manual_seed(0)))
    assert [len(y) for _, y in drawn] == [4, 4]
    labels = torch.cat([y for _, y in drawn])
    assert len(labels.unique()) == 8
    torch.testing.assert_close(torch.cat([x for x, _ in drawn])[:, 0], labels.float())
    plain = [y for _, y in images.batches(4)]
    assert torch.cat(plain).tolist() == list(range(10))


@needs_data
def test_fashion_mnist_is_split_as_published():
    train, valid, test = data.fashion_mnist()
    assert (len(train), len(valid), len(test)) == (50_000, 10_000, 10_000)
    first = np.load(SHARED / "small" / "fashion_mnist_split42_first1024.npz")
    labels = next(first[name] for name in first.files if first[name].shape == (1024,))
    np.testing.assert_array_equal(train.y[:1024].numpy(), labels)
    assert train.x[:1024].max().item() == pytest.approx(2.022, abs=1e-3)
    assert train.x[:1024].min().item() == pytest.approx(-0.810, abs=1e-3)


@needs_data
def test_the_images_mean_and_deviation_are_those_published():
    pixels = data.read_idx(data.find_file("fashion_mnist/train-images-idx3-ubyte.gz"))
    pixels = pixels.double() / 255
    assert pixels.mean().item() == pytest.approx(0.28604060, abs=1e-6)
    assert pixels.std().item() == pytest.approx(0.35302424, abs=1e-6)


@needs_data
def test_the_other_sets_have_the_published_sizes():
    assert len(data.names()) == 32_033
    assert len(data.shakespeare()) == 1_115_394
    assert [tuple(t.shape) for t in data.mnist()[:2]] == [(60_000, 28, 28), (60_000,)]
