"""What other people's tags mean."""

from __future__ import annotations

import pytest

from gainstage.foreign.tags import best_loss, layer_of, of_histogram, of_scalar, own
from gainstage.records import Site
from gainstage.sinks import names

SITE = Site(0, "layers.0.weight", "update", "layers.0", "Linear", 0)


def test_our_own_names_are_read_as_they_were_written():
    assert own(names.scalar(SITE, "mean"))[:] == ("update", "layers.0.weight", "mean")
    assert own(names.histogram(SITE))[:] == ("update", "layers.0.weight", "histogram")
    assert own("level/update/a/b")[:] == ("update", "a/b", "level")


@pytest.mark.parametrize(
    "tag", ["loss", "run/nothing", "level/nowhere/0", "level/output/", "level/run/x", "a/b/c", ""]
)
def test_what_only_looks_like_ours_is_not(tag):
    assert own(tag) is None


@pytest.mark.parametrize(
    ("tag", "quantity"),
    [
        ("loss", "loss"),
        ("train/loss", "loss"),
        ("Loss/train", "loss"),
        ("train_loss_step", "loss"),
        ("training/celoss", "loss"),
        ("val/loss", ""),
        ("eval_loss", ""),
        ("Loss/test", ""),
        ("lr", "lr"),
        ("lr-Adam/pg1", "lr"),
        ("train/learning_rate", "lr"),
        ("grad_norm", "grad_norm"),
        ("gradient norm", "grad_norm"),
        ("accuracy", ""),
        ("glossary", ""),
        ("", ""),
    ],
)
def test_scalars_are_known_by_their_words(tag, quantity):
    assert of_scalar(tag) == quantity


def test_the_plainest_loss_is_taken():
    assert best_loss(["kl_loss", "train/total_loss", "train_loss", "val_loss"]) == "train_loss"
    assert best_loss(["val_loss", "accuracy"]) == ""


@pytest.mark.parametrize(
    ("tag", "kind", "name"),
    [
        ("layers.0.weight", "weight", "layers.0.weight"),
        ("layers.0.weight/grad", "grad", "layers.0.weight"),
        ("layers.0.weight.grad", "grad", "layers.0.weight"),
        ("gradients/layers.0.weight", "grad", "layers.0.weight"),
        ("parameters/layers.0.weight", "weight", "layers.0.weight"),
        ("weights/conv1/kernel", "weight", "conv1.kernel"),
        ("activations/relu1", "output", "relu1"),
        ("conv1/output", "output", "conv1"),
        ("grads", "grad", "grads"),
    ],
)
def test_histograms_are_known_by_their_words(tag, kind, name):
    place = of_histogram(tag)
    assert (place.kind, place.name) == (kind, name)


def test_validation_is_no_part_of_the_training():
    assert of_histogram("val/activations/relu1") is None


def test_a_parameter_belongs_to_its_layer():
    assert layer_of(of_histogram("layers.0.weight")) == "layers.0"
    assert layer_of(of_histogram("activations/layers.0")) == "layers.0"
