"""Hidden activation functions are told from those that make the output."""

import torch
from torch import nn

from gainstage.interventions.hidden import hidden_activations

NAMES = {torch: ("tanh", "relu")}


def answered(run, passes=2, **options):
    """Inputs of the calls that were answered for, pass by pass."""
    told = []

    def answer(function, x):
        told[-1].append(x.item())
        return function(x)

    with hidden_activations(NAMES, answer, **options):
        for _ in range(passes):
            told.append([])
            run()
    return told


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(1, 1, bias=False) for _ in range(2)])
        for layer in self.layers:
            nn.init.ones_(layer.weight)

    def forward(self, x):
        return torch.tanh(self.layers[1](torch.relu(self.layers[0](x))))


def test_those_before_the_last_layer_are_from_the_second_pass_on():
    model = Net()
    assert answered(lambda: model(torch.tensor([[0.5]]))) == [[], [0.5]]


def test_rectifiers_can_be_taken_to_be_at_once():
    model = Net()
    run = lambda: model(torch.tensor([[0.5]]))  # noqa: E731
    assert answered(run, first={"relu"}) == [[0.5], [0.5]]


def test_passes_of_bare_tensors_end_with_their_backward():
    w = torch.ones(1, 1, requires_grad=True)

    def run():
        out = torch.tanh(torch.relu(torch.tensor([[0.5]]) @ w) @ w)
        out.sum().backward()

    assert answered(run, passes=3) == [[], [0.5], [0.5]]


def test_integers_and_calls_within_a_call_are_none():
    model = Net()

    def run():
        torch.relu(torch.tensor([[1]]))
        model(torch.tensor([[0.5]]))

    assert answered(run) == [[], [0.5]]
    assert torch.relu.__name__ == "relu"
