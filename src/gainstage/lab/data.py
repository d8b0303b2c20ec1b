"""Data sets as tensors, with the splits that the experiments specify."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from gainstage.errors import DataError
from gainstage.lab.files import find_file

MEAN, STD = 0.2861, 0.3530
"""Of FashionMNIST's training images, to the four digits that the experiments use."""

SPLIT_SEED: Final = 42


def read_idx(path: Path) -> Tensor:
    """A gzipped IDX file of bytes: uint8, of the shape that it declares.

    Args:
        path: the file.

    Raises:
        DataError: it is not such a file, or is cut short.

    Source:
        LeCun, Cortes, Burges, "The MNIST database", the file format's description.
    """
    try:
        raw = gzip.decompress(path.read_bytes())
        zero, kind, dimensions = struct.unpack_from(">HBB", raw)
        shape = struct.unpack_from(f">{dimensions}I", raw, 4)
    except (OSError, EOFError, struct.error) as error:
        msg = f"The file {path} is no gzipped IDX file: {error}."
        raise DataError(msg) from error
    start = 4 + 4 * dimensions
    if (zero, kind) != (0, 8) or len(raw) - start != int(np.prod(shape)):
        msg = f"The file {path} is no IDX file of bytes, or is cut short."
        raise DataError(msg)
    values = np.frombuffer(raw, np.uint8, offset=start).reshape(shape)
    return torch.from_numpy(values.copy())


@dataclass(frozen=True, slots=True)
class Images:
    """Images and labels, in memory.

    Attributes:
        x: float32 [n, features], normalised.
        y: int64 [n].
    """

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, rows: slice | Tensor) -> Images:
        return Images(self.x[rows], self.y[rows])

    def batches(
        self, size: int, generator: torch.Generator | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Whole batches, shuffled if there is a generator; without one also the last, partial one.

        Args:
            size: images a batch.
            generator: draws the order.
        """
        if generator is None:
            yield from zip(torch.split(self.x, size), torch.split(self.y, size), strict=True)
            return
        order = torch.randperm(len(self), generator=generator)
        for start in range(0, len(self) - size + 1, size):
            rows = order[start : start + size]
            # one copy of rows: the data stay where they are, nothing is collated
            yield self.x.index_select(0, rows), self.y.index_select(0, rows)


def fashion_mnist() -> tuple[Images, Images, Images]:
    """Training (50,000), validation (10,000) and test images (10,000), flat and normalised.

    Raises:
        DataError: the files are not to be had.
    """
    x, y = _pair("fashion_mnist", "train")
    generator = torch.Generator().manual_seed(SPLIT_SEED)  # the numbers of torch.manual_seed(42)
    order = torch.randperm(len(y), generator=generator)
    whole = Images(_normalized(x), y)
    test_x, test_y = _pair("fashion_mnist", "t10k")
    return whole[order[:50_000]], whole[order[50_000:]], Images(_normalized(test_x), test_y)


def _pair(folder: str, part: str) -> tuple[Tensor, Tensor]:
    images = read_idx(find_file(f"{folder}/{part}-images-idx3-ubyte.gz"))
    labels = read_idx(find_file(f"{folder}/{part}-labels-idx1-ubyte.gz"))
    return images, labels.long()


def _normalized(images: Tensor) -> Tensor:
    return images.flatten(1).float().div_(255).sub_(MEAN).div_(STD)


def names() -> list[str]:
    """The 32,033 names, in the order of the file.

    Raises:
        DataError: the file is not to be had.
    """
    return find_file("names/names.txt").read_text("utf-8").split()


LETTERS: Final = ".abcdefghijklmnopqrstuvwxyz"
"""What names are made of; the first one begins and ends them."""


def letter_rows(words: Sequence[str], context: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Every letter of every word, and those before it.

    Args:
        words: of small letters.
        context: how many letters before.

    Returns:
        Contexts int64 [n, context], the next letters int64 [n], and which word each is of.

    Example:
        >>> letter_rows(["ab"])[0].tolist()
        [[0, 0, 0], [0, 0, 1], [0, 1, 2]]
    """
    contexts, letters, owners = [], [], []
    for number, word in enumerate(words):
        before = [0] * context
        for letter in [*map(LETTERS.index, word), 0]:
            contexts.append(before)
            letters.append(letter)
            owners.append(number)
            before = [*before[1:], letter]
    return torch.tensor(contexts), torch.tensor(letters), torch.tensor(owners)


def shakespeare() -> str:
    """The collected text, 1,115,394 characters.

    Raises:
        DataError: the file is not to be had.
    """
    return find_file("tinyshakespeare/input.txt").read_text("utf-8")


def mnist() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training images uint8 [60000, 28, 28] and labels [60000], test images and labels [10000].

    Raises:
        DataError: the files are not to be had.
    """
    return (*_pair("mnist", "train"), *_pair("mnist", "t10k"))
