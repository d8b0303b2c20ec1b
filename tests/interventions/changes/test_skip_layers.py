"""Hidden layers that are passed by."""

import torch
from torch import nn

from gainstage.interventions import Change, applied

SKIPPED = [Change("skip-layers", {})]


def layers(depth, width=3):
    torch.manual_seed(0)
    rows = [nn.Linear(2, width), nn.ReLU()]
    for _ in range(depth):
        rows += [nn.Linear(width, width), nn.ReLU()]
    return nn.Sequential(*rows, nn.Linear(width, 1))


def test_each_hidden_layer_adds_to_what_it_is_given():
    model, x = layers(2), torch.randn(5, 2)
    h = model[1](model[0](x))
    for i in (2, 4):
        h = h + torch.relu(model[i](h))
    with applied(SKIPPED):
        for _ in range(2):  # a pass knows nothing of the one before
            torch.testing.assert_close(model(x), model[-1](h))
    assert not torch.allclose(model(x), model[-1](h))


def test_layers_of_other_shapes_are_not_passed_by():
    model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1))
    x = torch.randn(5, 2)
    plain = model(x)
    with applied(SKIPPED):
        assert torch.equal(model(x), plain)
        assert torch.equal(model(x), plain)


def test_gates_stay_within_their_bounds():
    rows = nn.ModuleList([nn.Linear(3, 3) for _ in range(4)])
    seen = []

    def run():
        h = torch.ones(2, 3)
        for row in rows:
            h = torch.sigmoid(row(h))
            seen.append(h.max().item())
        h.sum().backward()

    with applied(SKIPPED):
        run()
        run()
    assert max(seen) < 1


def test_the_gradient_reaches_the_first_layer_of_a_deep_network():
    model, x = layers(30, width=8), torch.randn(16, 2)

    def first_gradient():
        model.zero_grad()
        model(x).square().mean().backward()
        return model[2].weight.grad.abs().max().item()

    faded = first_gradient()
    with applied(SKIPPED):
        assert first_gradient() > 1e3 * faded
