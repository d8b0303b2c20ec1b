"""``apply_``: the gain of each place, what is skipped, and what is told of it."""

import copy
import math

import pytest
import torch
from torch import nn

import gainstage as gs
from gainstage.errors import UnknownNameError, UsageError

from .nets import ByHand, Dependent, ResidualMlp, Transformer


def net():
    return nn.Sequential(
        nn.Linear(64, 128), nn.GELU(), nn.Linear(128, 128), nn.Tanh(), nn.Linear(128, 8)
    )


def test_each_weight_makes_up_for_the_activation_before_it():
    table = gs.init.apply_(net(), "kaiming_normal")
    assert [table[f"{i}.weight"].gain for i in (0, 2, 4)] == [
        1.0,
        pytest.approx(gs.gain("gelu")),
        pytest.approx(gs.gain("tanh")),
    ]
    assert table["2.weight"].std == pytest.approx(gs.gain("gelu") / 128**0.5)


def test_torchs_habit_and_the_backward_pass():
    behind = gs.init.apply_(net(), "kaiming_normal", gain_of="output")
    assert [behind[f"{i}.weight"].activation for i in (0, 2, 4)] == ["GELU", "Tanh", ""]
    back = gs.init.apply_(net(), "kaiming_normal", mode="fan_out")
    assert back["4.weight"].std == pytest.approx(gs.gain("tanh", "backward") / 8**0.5)


@pytest.mark.parametrize("scheme", gs.init.SCHEMES)
def test_the_same_seed_gives_the_same_bits_and_the_global_generator_is_not_touched(scheme):
    before = torch.get_rng_state()
    first, second = ResidualMlp(2, 16), ResidualMlp(2, 16)
    state = torch.get_rng_state()
    gs.init.apply_(first, scheme, generator=7)
    gs.init.apply_(second, scheme, generator=7)
    assert torch.equal(torch.get_rng_state(), state)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    torch.set_rng_state(before)


def test_none_asks_for_the_global_generator():
    torch.manual_seed(3)
    first = copy.deepcopy(net())
    state = torch.get_rng_state()
    gs.init.apply_(first, "kaiming_normal", generator=None)
    assert not torch.equal(torch.get_rng_state(), state)


def test_a_dry_run_tells_the_same_and_changes_nothing():
    model = net()
    before = copy.deepcopy(model.state_dict())
    told = gs.init.apply_(model, "orthogonal", dry_run=True)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert told.rows == gs.init.apply_(model, "orthogonal").rows
    assert repr(told) == "<Initialisation: orthogonal would draw 3 of 6 parameters>"


def test_norms_ties_and_frozen_parameters_are_left():
    model = Transformer(2, 16, heads=2)
    model.blocks[0].up.weight.requires_grad_(requires_grad=False)
    before = copy.deepcopy(model.state_dict())
    table = gs.init.apply_(model, "kaiming_normal", batch=torch.randint(100, (2, 5)))
    assert table["blocks.0.up.weight"].why == "frozen"
    assert table["blocks.0.norm1.weight"].why == "of a norm"
    assert table["head.weight"].why == "tied to embedding.weight"
    assert table["head.weight"].std == pytest.approx(1 / 4)
    for name in ("blocks.0.up.weight", "blocks.0.norm1.weight"):
        assert torch.equal(model.state_dict()[name], before[name])
    assert sum(row.action == "drawn" for row in table.rows) == 8


def test_residual_schemes_find_the_branches():
    batch = torch.randint(100, (2, 5))
    gpt2 = gs.init.apply_(Transformer(4, 16, heads=2), "gpt2", batch=batch)
    assert gpt2["blocks.3.down.weight"].std == pytest.approx(0.02 / math.sqrt(8))
    assert gpt2["blocks.3.attention.out_proj.weight"].std == pytest.approx(0.02 / math.sqrt(8))
    assert gpt2["blocks.3.attention.in_proj_weight"].std == 0.02
    assert gpt2["blocks.3.up.weight"].std == 0.02
    fixup = gs.init.apply_(ResidualMlp(4, 16), "fixup")
    assert fixup["down.0.weight"].std == 0.0
    assert fixup["up.0.weight"].branch == 0.5


def test_overrides_by_pattern():
    table = gs.init.apply_(net(), "kaiming_normal", activations={"4": "relu", "2.*": nn.SiLU()})
    assert table["4.weight"].gain == pytest.approx(math.sqrt(2))
    assert table["2.weight"].gain == pytest.approx(gs.gain("silu"))
    fixed = gs.init.apply_(net(), "xavier_uniform", gain=5 / 3)
    assert fixed["2.weight"].std == pytest.approx(5 / 3 / 128**0.5)


def test_only_some_and_biases():
    model = net()
    with torch.no_grad():
        model[0].bias.fill_(3.0)
    table = gs.init.apply_(model, "normal", std=0.5, only=["2", "4.weight"], bias=0.1)
    assert table["0.weight"].why == "not asked for"
    assert float(model[0].bias[0].detach()) == 3.0
    assert float(model[2].bias[0].detach()) == pytest.approx(0.1)
    kept = gs.init.apply_(model, "normal", bias=None)
    assert kept["0.bias"].why == "biases are left"
    assert gs.init.apply_(model, "torch_default")["0.bias"].law == "uniform"


def test_bare_parameters_are_drawn_where_a_batch_shows_their_use():
    model = ByHand()
    table = gs.init.apply_(model, "kaiming_normal", batch=torch.randn(2, 5, 16))
    assert table["into"].fan_in == 16
    assert table["query"].activation == "tanh"
    assert table["scale"].why == "a vector"
    assert gs.init.apply_(model, "lecun_normal")["into"].why == (
        "a bare parameter whose use is not known"
    )


def test_gates_are_drawn_one_by_one():
    model = nn.LSTM(16, 32)
    gs.init.apply_(model, "orthogonal", batch=torch.randn(4, 2, 16))
    for gate in model.weight_hh_l0.detach().chunk(4):
        assert torch.allclose(gate @ gate.T, torch.eye(32), atol=1e-5)


def test_mistakes_are_told():
    with pytest.raises(UnknownNameError, match="initialisation scheme named 'kaiming'"):
        gs.init.apply_(net(), "kaiming")
    with pytest.raises(UsageError, match="has no option 'std'; it has: mode"):
        gs.init.apply_(net(), "kaiming_normal", std=1.0)
    with pytest.raises(UsageError, match=r"'head' matches no parameter; there are: 0.weight"):
        gs.init.apply_(net(), "kaiming_normal", activations={"head": "relu"})
    with pytest.raises(UsageError, match="gain_of must be 'input' or 'output'"):
        gs.init.apply_(net(), "kaiming_normal", gain_of="both")
    with pytest.raises(UsageError, match="has no values yet"):
        gs.init.apply_(nn.Sequential(nn.LazyLinear(4)), "normal")
    with pytest.raises(UsageError, match="Give a batch"):
        gs.init.apply_(Dependent(), "kaiming_normal")
    with pytest.raises(UsageError, match=r"0\.weight is on the device meta.*to_empty"):
        gs.init.apply_(net().to("meta"), "kaiming_normal")
    with pytest.raises(UnknownNameError, match=r"no parameter 'x'\. There are: 0\.weight, 0\.b"):
        gs.init.apply_(net(), "normal")["x"]
    with pytest.raises(UnknownNameError, match=r"Did you mean '0\.weight' or"):
        gs.init.apply_(net(), "normal")["0.wieght"]


@pytest.mark.filterwarnings("ignore:Initializing zero-element")  # of torch's own
@pytest.mark.parametrize("scheme", gs.init.SCHEMES)
def test_an_empty_weight_is_left(scheme):
    model = nn.Sequential(nn.Linear(0, 4), nn.ReLU(), nn.Linear(4, 4))
    table = gs.init.apply_(model, scheme)
    assert table["0.weight"].why == "empty"
    assert table["2.weight"].action == "drawn"


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_narrow_and_wide_weights_are_the_same_numbers(dtype):
    one, other = net(), net().to(dtype)
    for model in (one, other):
        gs.init.apply_(model, "orthogonal", generator=1)
    assert other[2].weight.dtype == dtype
    close = dtype != torch.float64  # which is drawn as such
    a, b = one[2].weight.detach().to(dtype), other[2].weight.detach()
    assert torch.equal(a, b) == close
    assert float(b.double().square().mean().sqrt()) == pytest.approx(
        float(a.double().square().mean().sqrt()), rel=1e-2
    )


def test_complex_weights_are_left_and_read_as_of_no_law():
    model = nn.Sequential(nn.Linear(8, 8, dtype=torch.complex64))
    assert gs.init.apply_(model, "lecun_normal")["0.weight"].why == "complex"
    assert gs.init.audit(model)["0.weight"].law == ""


def test_weights_that_are_not_contiguous_are_drawn_in_place():
    model = net()
    model[2].weight = nn.Parameter(torch.empty(128, 128).T)
    gs.init.apply_(model, "sparse")
    assert int((model[2].weight.detach()[0] != 0).sum()) == 15


class Addmm(nn.Module):
    """A layer as GPT-2 is kept by others: its weight the other way round."""

    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(16, 64)), nn.Parameter(torch.zeros(64))

    def forward(self, x):
        return torch.addmm(self.bias, x, self.weight)


@pytest.mark.parametrize("batch", [None, torch.randn(8, 16)])
def test_a_layer_by_addmm_has_its_fan_in_first(batch):
    model = nn.Sequential(nn.Tanh(), Addmm())
    if batch is None:
        from gainstage.init.wiring import of_modules

        wiring = of_modules(model)
        assert wiring.vertices[wiring.of_weights()[id(model[1].weight)]].flipped
        return
    row = gs.init.apply_(model, "kaiming_normal", batch=batch)["1.weight"]
    assert (row.fan_in, row.fan_out, row.activation) == (16, 64, "tanh")


def test_a_scheme_without_gains_needs_no_wiring():
    table = gs.init.apply_(Dependent(), "lecun_normal")
    assert table["a.weight"].std == pytest.approx(8**-0.5)


def test_the_table_is_told():
    text = str(gs.init.apply_(net(), "kaiming_normal"))
    assert "2.weight" in text
    assert "GELU" in text
    assert len({len(line) > 0 for line in text.splitlines()}) <= 2


@pytest.mark.slow
def test_a_thousand_layers_are_drawn_in_seconds():
    layers = [m for _ in range(1000) for m in (nn.Linear(64, 64), nn.Tanh())]
    assert len(gs.init.apply_(nn.Sequential(*layers), "orthogonal").rows) == 2000


@pytest.mark.parametrize(
    "module",
    [nn.LeakyReLU(0.1), nn.LeakyReLU(0.3), nn.PReLU(init=0.1), nn.PReLU(init=0.5), nn.RReLU(),
     nn.RReLU().eval(), nn.Softplus(beta=2), nn.Softplus(beta=3)],
)  # fmt: skip
def test_a_gain_that_is_remembered_is_that_of_the_module(module):
    """Activations that are described alike share a gain; others, and learnt ones, do not."""
    for _ in range(2):
        net = nn.Sequential(nn.Linear(4, 4), module, nn.Linear(4, 4))
        drawn = gs.init.apply_(net, "kaiming_normal")
        assert drawn["2.weight"].gain == float(gs.gain(module))
