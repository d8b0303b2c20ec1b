"""The benchmark of the training loops, on few steps: it runs, and compares like with like."""

import torch

from gainstage.bench import Settings
from gainstage.bench.benches import training
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
    pixels, labels = torch.arange(12, dtype=torch.uint8).view(3, 4), torch.arange(3)
    slow = training.Transformed(pixels, labels)
    fast = Images(pixels.float().div(255).sub(MEAN).div(STD), labels)
    for index in range(len(slow)):
        image, label = slow[index]
        torch.testing.assert_close(image, fast.x[index])
        assert label == fast.y[index]
