"""The benchmark of the training loops, on few steps: it runs, and compares like with like."""

import sys

import pytest
import torch

from gainstage.bench import Settings
from gainstage.bench.benches import training
from gainstage.errors import MissingExtraError
from gainstage.lab.data import MEAN, STD, Images


def test_each_loop_is_measured_and_ours_are_judged(monkeypatch):
    monkeypatch.setattr(training, "ROUNDS", 1)
    monkeypatch.setattr(training, "IMAGES", 2 * training.BATCH)
    monkeypatch.setattr(training, "STEPS", 3)
    threads = torch.get_num_threads()
    lines = training.training(Settings()).lines
    assert torch.get_num_threads() == threads
    assert all(line.wall > 0 for line in lines)
    judged = [(line.workload, line.reach) for line in lines if line.reach]
    assert judged == [
        ("images, deep MLP", ("<=", 1.10)),
        ("names, three letters", ("<=", 1.2)),
    ]


def test_images_transformed_one_by_one_are_those_in_memory():
    pixels, labels = torch.arange(12, dtype=torch.uint8).view(3, 2, 2), torch.arange(3)
    slow = training.Transformed(pixels, labels)
    fast = Images(pixels.flatten(1).float().div(255).sub(MEAN).div(STD), labels)
    for index in range(len(slow)):
        image, label = slow[index]
        torch.testing.assert_close(image.flatten(), fast.x[index])
        assert label == fast.y[index]


def test_without_pillow_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'gainstage\[lab\]'"):
        training.Transformed(torch.zeros(1, 2, 2), torch.zeros(1))
