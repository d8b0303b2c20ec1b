"""Inputs and targets brought to unit scale by their first batches."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

from gainstage.interventions import Change, applied


def change(name, **params):
    return applied([Change(name, params)])


@pytest.mark.parametrize("shape", [(200, 3), (50, 4, 3), (50, 3, 2, 2)])
def test_each_feature_of_the_input_is_standardised(shape):
    axis = 1 if len(shape) != 3 else 2
    scale = torch.tensor([1.0, 100.0, 0.01]).view(
        [3 if i == axis else 1 for i in range(len(shape))]
    )
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * scale + 5 * scale
    with change("standardise-input"):
        seen = nn.Identity()(x).movedim(axis, -1).reshape(-1, 3)
    assert torch.allclose(seen.mean(0), torch.zeros(3), atol=1e-3)
    assert torch.allclose(seen.std(0), torch.ones(3), atol=1e-1)


def test_a_feature_that_never_varies_becomes_zero():
    x = torch.tensor([[1.0, 7.0], [2.0, 7.0], [3.0, 7.0]])
    with change("standardise-input"):
        assert nn.Identity()(x)[:, 1].tolist() == [0.0, 0.0, 0.0]


def test_token_numbers_and_inner_signals_are_no_input():
    tokens, inner = torch.tensor([[1, 2]]), torch.ones(2, 2, requires_grad=True) * 3
    with change("standardise-input"):
        assert nn.Identity()(tokens) is tokens
        assert nn.Identity()(inner) is inner


@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss, nn.SmoothL1Loss(), nn.HuberLoss()])
@pytest.mark.parametrize("shape", [(64,), (64, 1), (64, 3)])
def test_targets_are_met_at_unit_scale(loss, shape):
    loss = getattr(F, loss.__name__) if hasattr(loss, "__name__") else loss
    target = 150 + 40 * torch.randn(shape, generator=torch.Generator().manual_seed(0))
    wanted = (target - target.mean(0)) / target.std(0, correction=0)
    with change("standardise-target"):
        called = getattr(F, loss.__name__) if hasattr(loss, "__name__") else loss
        assert called(wanted, target).item() == pytest.approx(0.0, abs=1e-4)
    assert loss(wanted, target).item() > 10


def test_the_scale_of_targets_stays_once_it_is_known():
    first, later = torch.tensor([[0.0], [2.0]]), torch.tensor([[10.0], [10.0]])
    with change("standardise-target"):
        for _ in range(10):
            F.mse_loss(first, first)
        assert F.mse_loss(torch.full((2, 1), 9.0), later).item() == pytest.approx(0.0)


def test_labels_that_are_whole_numbers_are_no_target_to_scale():
    with change("standardise-target"):
        assert F.l1_loss(torch.tensor([1, 5]).float(), torch.tensor([1, 3])).item() == 1.0


def test_channels_before_a_convolution_are_the_features():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(32, 2, 20, generator=generator) * torch.tensor([1.0, 1000.0])[:, None]
    seen = []
    layer = nn.Conv1d(2, 1, 3)
    layer.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with change("standardise-input"):
        nn.Sequential(layer)(x)
    assert torch.allclose(seen[0].std((0, 2)), torch.ones(2), atol=0.05)


class Passing(TorchFunctionMode):
    """Calls what it is asked to, as a tap does."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


def test_targets_are_scaled_once_under_a_tap():
    target = 150 + 40 * torch.randn(64, 1, generator=torch.Generator().manual_seed(0))
    wanted = (target - target.mean()) / target.std(correction=0)
    with change("standardise-target"), Passing():
        assert F.mse_loss(wanted, target).item() == pytest.approx(0.0, abs=1e-6)
