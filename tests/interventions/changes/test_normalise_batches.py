"""Batch normalisation that is put before hidden activations."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gainstage.interventions import Change, applied

NORMALISED = [Change("normalise-batches", {})]


def batch(*shape):
    return 100.0 + 30.0 * torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("layer", "shape", "axes"),
    [
        (nn.Linear(6, 5), (16, 6), (0,)),
        (nn.Conv2d(6, 5, 1), (4, 6, 3, 3), (0, 2, 3)),
        (nn.Linear(6, 12), (4, 7, 6), (-1,)),  # a sequence
        (nn.Conv1d(6, 5, 1), (4, 6, 7), (0, 2)),
        (nn.Linear(6, 12), (3, 6), (-1,)),  # too few samples
    ],
)
def test_what_enters_a_rectifier_has_mean_0_and_deviation_1(layer, shape, axes):
    seen = []
    model = nn.Sequential(layer, nn.ReLU(), nn.Flatten(), nn.LazyLinear(1))
    with applied(NORMALISED):
        model[1].register_forward_hook(lambda *args: seen.append(args[2]))
        model(batch(*shape))
        h = layer(batch(*shape)).detach()
    centred = (h - h.mean(axes, keepdim=True)) / h.std(axes, correction=0, keepdim=True)
    torch.testing.assert_close(seen[0], centred.relu(), rtol=1e-4, atol=1e-4)


def test_the_answer_stays_as_it_is():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2), nn.Sigmoid())
    x = torch.randn(16, 3)
    plain = model(x)
    with applied(NORMALISED):
        model(x)  # what is hidden is learnt from it
        h = model[:3](x)
        out = model(x)
    assert not torch.allclose(out, plain)
    expected = torch.sigmoid(F.linear(h, torch.eye(2)))
    assert expected.shape == out.shape
    assert out.mean(0).sub(0.5).abs().max() > 1e-3  # normalised, its mean would be near a half


def test_a_gradient_fades_no_more_in_bare_tensors():
    generator = torch.Generator().manual_seed(0)
    weights = [0.01 * torch.randn(16, 16, generator=generator) for _ in range(10)]
    x = torch.randn(32, 16, generator=generator)

    def first_gradient():
        for w in weights:
            w.grad = None
            w.requires_grad_()
        h = x
        for w in weights:
            h = torch.tanh(h @ w)
        (h @ weights[0]).square().mean().backward()
        return weights[0].grad.abs().max().item()

    assert first_gradient() < 1e-9
    with applied(NORMALISED):
        first_gradient()
        assert first_gradient() > 1e-4


def test_a_single_sample_of_few_units_is_left_alone():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    x = torch.randn(1, 2)
    plain = model(x)
    with applied(NORMALISED):
        assert torch.equal(model(x), plain)


def test_a_sparse_input_is_left_alone():
    x = torch.eye(9).to_sparse()
    plain = torch.relu(x).to_dense()
    with applied(NORMALISED):
        assert torch.equal(torch.relu(x).to_dense(), plain)
