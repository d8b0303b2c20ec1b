"""The weights of a model: roles, fans, ties."""

import pytest
from torch import nn

from gainstage.errors import UsageError
from gainstage.init.layers import bare, check_values, weights_of
from gainstage.theory.fans import Fans

from .nets import ByHand, Transformer


def by_name(model):
    return {w.name: w for w in weights_of(model)}


def test_every_kind_of_layer_has_its_fans():
    model = nn.ModuleDict(
        {
            "linear": nn.Linear(3, 5),
            "conv": nn.Conv2d(4, 6, 3, groups=2),
            "back": nn.ConvTranspose2d(4, 6, 4, stride=2),
            "table": nn.Embedding(10, 7),
            "attention": nn.MultiheadAttention(8, 2),
            "cross": nn.MultiheadAttention(8, 2, kdim=5),
            "lstm": nn.LSTM(3, 4),
            "cell": nn.GRUCell(3, 4),
            "pair": nn.Bilinear(2, 3, 4),
        }
    )
    found = by_name(model)
    assert found["linear.weight"].fans == Fans(3, 5)
    assert found["conv.weight"].fans == Fans(18, 27.0)
    assert found["back.weight"].fans == Fans(16.0, 96)
    assert found["table.weight"].fans == Fans(1, 7)
    assert found["attention.in_proj_weight"].fans == Fans(8, 8.0, 3)
    assert found["attention.out_proj.weight"].fans == Fans(8, 8)
    assert found["cross.k_proj_weight"].fans == Fans(5, 8)
    assert found["lstm.weight_ih_l0"].fans == Fans(3, 4.0, 4)
    assert found["cell.weight_hh"].fans == Fans(4, 4.0, 3)
    assert found["pair.weight"].fans.fan_in == 6
    assert found["lstm.weight_hh_l0"].state
    assert not found["lstm.weight_ih_l0"].state


def test_norms_and_biases_are_told_apart():
    found = by_name(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.LayerNorm(2)))
    roles = [found[n].role for n in ("0.weight", "0.bias", "1.weight", "1.bias", "2.bias")]
    assert roles == ["weight", "bias", "norm", "norm", "norm"]


def test_a_table_tied_to_the_output_counts_as_the_output():
    model = Transformer(1, 16, heads=2)
    tied = by_name(model)["head.weight"]
    assert tied.aliases == ("embedding.weight",)
    assert tied.fans == Fans(16, 100)
    assert "embedding.weight" not in by_name(model)


def test_parts_are_views():
    found = by_name(nn.LSTM(3, 4))["weight_ih_l0"]
    assert [tuple(p.shape) for p in found.parts] == [(4, 3)] * 4
    found.parts[2].zero_()
    assert bool((found.parameter[8:12] == 0).all())
    assert bool((found.parameter[:8] != 0).all())


def test_a_bare_matrix_waits_for_a_trace():
    found = by_name(ByHand())["into"]
    assert (found.role, found.fans) == ("unknown", None)
    known = bare(found, inputs_first=True)
    assert (known.role, known.fans, known.flipped) == ("weight", Fans(16, 32), True)


def test_lazy_and_meta_parameters_have_no_values():
    check_values(nn.Linear(2, 2))
    with pytest.raises(UsageError, match="weight has no values yet; run a batch"):
        check_values(nn.LazyLinear(3))
    with pytest.raises(UsageError, match="weight is on the device meta, without values"):
        check_values(nn.Linear(2, 2, device="meta"))
