"""The trainings that benchmarks run: of the promised shapes, reproducible, and learning."""

from __future__ import annotations

import math

import pytest
import torch

from gainstage.bench.workloads import CONTEXT, VOCABULARY, WORKLOADS, Training

SHAPES = {
    "MLP": ((256, 784), (256,), (256, 10)),
    "CNN": ((64, 3, 32, 32), (64,), (64, 10)),
    "transformer": ((16, CONTEXT), (16, CONTEXT), (16, CONTEXT, VOCABULARY)),
}


def draw(name, seed=1):
    return WORKLOADS[name].batch(torch.Generator().manual_seed(seed))


def weights(training):
    return torch.cat([p.detach().reshape(-1) for p in training.model.parameters()])


def test_the_usual_kinds_are_there():
    assert WORKLOADS.keys() == SHAPES.keys()


@pytest.mark.parametrize("name", WORKLOADS)
def test_inputs_targets_and_scores_have_their_shapes(name):
    inputs, targets = draw(name)
    scores = Training(WORKLOADS[name]).model(inputs)
    assert (inputs.shape, targets.shape, scores.shape) == SHAPES[name]
    assert targets.dtype == torch.int64
    assert 0 <= targets.min() <= targets.max() < scores.shape[-1]


def test_a_text_is_to_be_continued():
    inputs, targets = draw("transformer")
    assert torch.equal(inputs[:, 1:], targets[:, :-1])


def test_a_transformer_does_not_look_ahead():
    model, (tokens, _) = Training(WORKLOADS["transformer"]).model, draw("transformer")
    changed = tokens.clone()
    changed[:, -1] = (changed[:, -1] + 1) % VOCABULARY
    with torch.no_grad():
        one, other = model(tokens), model(changed)
    torch.testing.assert_close(one[:, :-1], other[:, :-1])
    assert not torch.allclose(one[:, -1], other[:, -1])


@pytest.mark.parametrize("name", WORKLOADS)
def test_batches_follow_their_generator(name):
    one, same, other = draw(name), draw(name), draw(name, seed=2)
    assert all(map(torch.equal, one, same))
    assert not torch.equal(one[0], other[0])


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_same_seed_is_the_same_training_and_leaves_torchs_generator_alone(name):
    state = torch.get_rng_state()
    batch = draw(name)
    losses = [Training(WORKLOADS[name]).step(batch) for _ in range(2)]
    assert losses[0] == losses[1]
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", WORKLOADS)
def test_another_seed_is_another_network(name):
    one, same, other = (weights(Training(WORKLOADS[name], seed=seed)) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_step_starts_near_chance_and_lowers_the_loss(name):
    training, batch = Training(WORKLOADS[name]), draw(name)
    first, second = training.step(batch), training.step(batch)
    assert first == pytest.approx(math.log(SHAPES[name][2][-1]), rel=0.1)
    assert second < first
