"""Event files as torch's own writer and as TensorFlow 2 make them."""

from __future__ import annotations

import warnings

import pytest
import torch


@pytest.fixture
def writer(tmp_path):
    """torch.utils.tensorboard's writer into ``tmp_path / "logs"``."""
    pytest.importorskip("tensorboard", reason="the extra `tensorboard` is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.utils.tensorboard import SummaryWriter
    made = SummaryWriter(tmp_path / "logs")
    yield made
    made.close()


@pytest.fixture
def training(writer):
    """What people log: losses, rates, histograms of weights and gradients."""
    generator = torch.Generator().manual_seed(0)
    kept = {}
    for step in range(0, 100, 10):
        writer.add_scalar("train/loss", 2.0 - step / 100, step)
        writer.add_scalar("val/loss", 2.5 - step / 100, step)
        writer.add_scalar("lr", 0.1, step)
        for layer in range(3):
            for tag, size in (
                (f"layers.{layer}.weight", 0.5),
                (f"layers.{layer}.weight/grad", 1e-3),
            ):
                values = size * torch.randn(64, generator=generator)
                kept[tag, step] = values
                writer.add_histogram(tag, values, step)
    writer.add_text("notes", "first try", 0)
    writer.flush()
    return kept
