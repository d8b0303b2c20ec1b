"""Hidden activation functions are told from those that make the output."""

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from gainstage.errors import UsageError
from gainstage.interventions.hidden import hidden_activations

NAMES = {torch: ("tanh", "relu", "relu_")}


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


def test_layers_that_the_script_calls_one_by_one_make_one_pass():
    rows = [nn.Linear(1, 1) for _ in range(3)]
    seen = []

    def run():
        h = torch.tensor([[0.5]])
        for row in rows:
            h = nn.Tanh()(row(h))  # modules of a moment: their ids come again
        h.sum().backward()

    def answer(function, x):
        seen[-1] += 1
        return function(x)

    with hidden_activations(NAMES, answer):
        for _ in range(3):
            seen.append(0)
            run()
            with torch.no_grad():  # an evaluation of two passes makes no output a hidden one
                for row in (*rows, *rows):
                    torch.tanh(row(torch.ones(1, 1)))
    assert seen == [2, 4, 4]  # of the three in training, but for the first pass; and in evaluation


def test_a_rectifier_in_place_changes_what_the_script_has():
    w = torch.ones(1, 1, requires_grad=True)
    with hidden_activations(NAMES, lambda f, x: f(x) + 1, first={"relu_"}):
        h = torch.tensor([[-2.0]]) @ w
        nn.functional.relu(h, inplace=True)
        assert h.item() == 1.0
        (h @ w).sum().backward()
    assert w.grad is not None


def test_the_input_may_be_given_by_name():
    with hidden_activations(NAMES, lambda f, x: f(x) + 1, first={"relu"}):
        assert torch.relu(input=torch.tensor(2.0)).item() == 3.0


def test_what_is_computed_again_in_the_backward_pass_is_refused():
    rows = nn.ModuleList([nn.Linear(1, 1) for _ in range(2)])

    def run():
        h = torch.tensor([[0.5]], requires_grad=True)
        for row in rows:
            h = checkpoint(lambda y, row=row: torch.tanh(row(y)), h, use_reentrant=False)
        h.sum().backward()

    with (
        hidden_activations(NAMES, lambda f, x: f(x)),
        pytest.raises(UsageError, match="computed again in the backward pass"),
    ):
        run()
