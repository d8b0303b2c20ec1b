"""Which activation feeds a weight and which follows it; residual branches."""

import pytest
import torch
from torch import nn

from gainstage.errors import UsageError
from gainstage.init.tape import recording
from gainstage.init.wiring import of_modules, of_tape

from .nets import ByHand, Dependent, ResidualMlp, Transformer


def traced(model, batch):
    with recording(model, batch, measure=False) as (tape, _):
        return of_tape(tape, model)


def neighbours(wiring, model):
    """Name of each matrix with the activations before and behind it."""
    where, found = wiring.of_weights(), {}
    for name, parameter in model.named_parameters():
        at = where.get(id(parameter))
        if at is not None and parameter.dim() > 1:
            around = wiring.feeding(at), wiring.following(at)
            found[name] = tuple(v.name.lower() if v else "" for v in around)
    return found


CNN = nn.Sequential(
    nn.Conv2d(3, 8, 3),
    nn.BatchNorm2d(8),
    nn.SiLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(8, 8, 3),
    nn.Tanh(),
    nn.Flatten(),
    nn.Dropout(),
    nn.Linear(8 * 25, 10),
)  # fmt: skip
EXPECTED = {
    "0.weight": ("", "silu"),
    "4.weight": ("silu", "tanh"),
    "8.weight": ("tanh", ""),
}


def test_a_traced_batch_and_the_modules_tell_the_same():
    assert neighbours(traced(CNN, torch.randn(2, 3, 16, 16)), CNN) == EXPECTED
    assert neighbours(of_modules(CNN), CNN) == EXPECTED


def test_norms_and_sums_set_a_level_of_their_own():
    model = Transformer(2, 16, heads=2)
    found = neighbours(traced(model, torch.randint(100, (2, 5))), model)
    assert found["blocks.0.up.weight"] == ("", "gelu")
    assert found["blocks.0.down.weight"] == ("gelu", "")
    assert found["blocks.1.attention.in_proj_weight"] == ("", "")


def test_functional_calls_are_read_without_data_too():
    model = ResidualMlp(2, 8)
    assert neighbours(of_modules(model), model)["down.0.weight"] == ("relu", "")


def test_branches_end_at_their_sum():
    model = Transformer(3, 16, heads=2)
    wiring = traced(model, torch.randint(100, (2, 5)))
    branches = wiring.branches()
    assert len(branches) == 6
    sizes = [sum(len(wiring.vertices[i].weights) > 0 for i in line) for line in branches]
    assert sizes == [1, 2] * 3
    residual = ResidualMlp(4, 8)
    assert [len(b) for b in of_modules(residual).branches()] == [2] * 4
    assert of_modules(CNN).branches() == []


def test_a_projected_shortcut_is_no_second_branch():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.short = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(4, 6)

        def forward(self, x):
            return self.short(x) + self.b(self.a(x).relu())

    assert len(of_modules(Net()).branches()) <= 1


def test_a_layer_of_torchs_with_parts_is_looked_into_or_wants_a_batch():
    encoder = nn.TransformerEncoderLayer(16, 2, 32, activation="gelu", batch_first=True)
    with pytest.raises(UsageError, match="batch=x"):
        of_modules(nn.Sequential(encoder))
    found = neighbours(traced(encoder, torch.randn(2, 3, 16)), encoder)
    assert found["linear2.weight"] == ("gelu", "")


def test_bare_parameters_are_found_where_they_multiply():
    model = ByHand()
    wiring = traced(model, torch.randn(2, 5, 16))
    at = wiring.of_weights()[id(model.query)]
    assert wiring.vertices[at].flipped
    assert wiring.feeding(at).name == "tanh"


def test_a_forward_that_depends_on_data_wants_a_batch():
    with pytest.raises(UsageError, match=r"cannot be read without data .*batch=x"):
        of_modules(Dependent())
    model = Dependent()
    assert neighbours(traced(model, torch.randn(2, 8)), model)["b.weight"] == ("relu", "")


@pytest.mark.parametrize("drop", [nn.Dropout, nn.AlphaDropout, nn.FeatureAlphaDropout])
def test_dropping_a_little_is_no_activation_and_nothing_is_drawn(drop):
    model = nn.Sequential(nn.Linear(4, 4), nn.SELU(), drop(1e-6), nn.Linear(4, 4))
    state = torch.get_rng_state()
    assert neighbours(of_modules(model), model)["3.weight"] == ("selu", "")
    assert torch.equal(torch.get_rng_state(), state)
