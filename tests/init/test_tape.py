"""The tape: what called what, at which level, on a model that is left as it was."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gainstage.errors import UsageError
from gainstage.init.tape import recording

from .nets import ByHand, Transformer


def test_calls_names_and_levels():
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(inplace=True), nn.Linear(8, 2))
    x = torch.randn(16, 4)
    with recording(net, x) as (tape, output):
        output.sum().backward()
    assert [n.op for n in tape.nodes] == ["input", "linear", "relu", "linear"]
    assert tape.names[1:] == ["0", "1", "2"]
    assert [n.inputs for n in tape.nodes] == [(), (0,), (1,), (2,)]
    hidden = F.relu(net[0](x))
    assert tape.nodes[2].rms == pytest.approx(float(hidden.detach().square().mean().sqrt()))
    assert tape.nodes[3].grad == pytest.approx(1.0)
    assert tape.outputs == (3,)


def test_places_within_a_module_of_the_users_are_named_by_the_function():
    model = Transformer(1, 16, heads=2)
    with recording(model, torch.randint(100, (2, 5))) as (tape, _):
        names = tape.names
    assert {"embedding", "blocks.0.attention", "blocks.0.add", "blocks.0.add#2"} <= set(names)
    assert {"blocks.0.gelu", "blocks.0.up", "head"} <= set(names)
    assert len(names) == len(set(names))


def test_a_product_with_what_parameters_make_is_no_input():
    class Normed(nn.Module):
        def __init__(self):
            super().__init__()
            self.direction = nn.Parameter(torch.randn(4, 4))

        def forward(self, x):
            return F.linear(x, self.direction / self.direction.norm())

    with recording(Normed(), torch.randn(3, 4)) as (tape, _):
        assert [n.op for n in tape.nodes] == ["input", "linear"]


def test_what_a_custom_function_makes_begins_anew():
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(_, x):
            return torch.from_numpy(x.detach().numpy() * 2)

        @staticmethod
        def backward(_, g):
            return g * 2

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(4, 4)

        def forward(self, x):
            return Double.apply(self.a(x)).relu()

    with recording(Net(), torch.randn(3, 4)) as (tape, _):
        ops = [n.op for n in tape.nodes]
    assert ops[-1] == "relu"
    assert tape.nodes[tape.nodes[-1].inputs[0]].function is None


def test_the_model_is_left_as_it_was():
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    before, state = copy.deepcopy(net.state_dict()), torch.get_rng_state()
    net[0].weight.grad = torch.ones(4, 4)
    with recording(net, torch.randn(8, 4, generator=torch.Generator())) as (_, output):
        output.sum().backward()
    assert torch.equal(torch.get_rng_state(), state)
    assert bool((net[0].weight.grad == 1).all())
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name])
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_a_failing_forward_leaves_no_hooks():
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(5, 5))
    with (
        pytest.raises(RuntimeError, match="shapes cannot be multiplied"),
        recording(net, torch.randn(2, 4)),
    ):
        pass
    assert not any(m._forward_hooks for m in net.modules())
    assert (torch.randn(2) + 1).shape == (2,)


def test_an_output_that_no_call_made_is_told():
    class Constant(nn.Module):
        def forward(self, _):
            return torch.ones(3)

    with (
        pytest.raises(UsageError, match="No call of a torch function was seen"),
        recording(Constant(), torch.randn(2, 4)),
    ):
        pass


def test_attention_by_hand_is_on_it():
    with recording(ByHand(), torch.randn(2, 5, 16)) as (tape, _):
        ops = [n.op for n in tape.nodes]
    assert ops.count("matmul") == 6
    assert "softmax" in ops
    assert "masked_fill" in ops
