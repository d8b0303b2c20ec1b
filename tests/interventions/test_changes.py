"""What holds for each intervention: it says what it does, and nothing is left of it."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import optimizer as global_optimizer
from torch.utils.data import DataLoader

from gainstage.errors import UnknownNameError
from gainstage.interventions import INTERVENTIONS

from .changes.parts import change

PARAMS = {
    "scale-learning-rate": {"factor": 0.1},
    "set-learning-rate": {"rate": 0.5},
    "ramp-learning-rate": {"low": 1e-3, "high": 1.0, "steps": 4},
    "initialise": {"scheme": "kaiming_normal"},
    "clip-gradients": {"norm": 1.0},
    "scale-output-layer": {"factor": 0.1},
    "keep-graph": {"recording": True},
}


TOUCHED = (
    (torch.optim.Optimizer, "__init__"),
    (torch.autograd, "backward"),
    (torch.autograd, "grad"),
    (torch.nn.utils, "clip_grad_norm_"),
    (torch.nn.utils, "clip_grad_value_"),
    (F, "cross_entropy"),
    (F, "nll_loss"),
    (F, "mse_loss"),
    (F, "binary_cross_entropy_with_logits"),
    (F, "relu"),
    (torch, "relu"),
    (torch.Tensor, "relu"),
    (torch.Tensor, "detach"),
    (torch, "detach"),
    (torch, "log"),
    (torch.Tensor, "sqrt"),
    (torch.autocast, "__init__"),
    (torch.Tensor, "__pow__"),
    (torch.Tensor, "__getitem__"),
    (torch.Tensor, "split"),
    (torch.Tensor, "data"),
    (torch.no_grad, "__enter__"),
    (torch.Tensor, "__sub__"),
    (torch.Tensor, "__truediv__"),
    (DataLoader, "__init__"),
)


@pytest.mark.parametrize("name", list(INTERVENTIONS))
def test_nothing_is_left_of_an_intervention(name):
    before = [getattr(owner, key) for owner, key in TOUCHED]
    with change(name, **PARAMS.get(name, {})):
        model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        F.cross_entropy(model(torch.randn(5, 3)), torch.tensor([0, 1, 0, 1, 1])).backward()
        optimizer.step()
    assert [getattr(owner, key) for owner, key in TOUCHED] == before
    assert not nn.modules.module._global_forward_pre_hooks
    assert not nn.modules.module._global_forward_hooks
    assert not global_optimizer._global_optimizer_pre_hooks
    assert not global_optimizer._global_optimizer_post_hooks


@pytest.mark.parametrize("name", list(INTERVENTIONS))
def test_an_intervention_says_what_it_does(name):
    assert INTERVENTIONS[name].__doc__


def test_an_unknown_intervention_is_refused_with_the_nearest_name():
    with pytest.raises(UnknownNameError, match="clip-gradients"), change("clip-gradient"):
        pass
