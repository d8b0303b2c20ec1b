"""The initialisation bench: the library's own levels, whatever is chosen."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import gainstage as gs
from gainstage.errors import UnknownNameError, UsageError
from gainstage.playground.stack import (
    ACTIVATIONS,
    heeds_gain,
    inputs_of,
    measure,
    model_of,
    offered,
)
from gainstage.quantities import level_db
from gainstage.questions import Options, Stack

SCHEMES = [name for name, scheme in gs.init.SCHEMES.items() if offered(scheme)]


def small(activation="relu", scheme="kaiming_normal", **changes):
    return Stack(activation, scheme, **{"depth": 4, "width": 32, **changes})


def test_activations_are_those_whose_gain_is_known():
    assert set(ACTIVATIONS) == set(gs.init.GAINS)
    assert ACTIVATIONS["leaky_relu"] is nn.LeakyReLU
    assert ACTIVATIONS["linear"] is nn.Identity


PAIRS = [(activation, "kaiming_normal") for activation in ACTIVATIONS]
PAIRS += [("relu", scheme) for scheme in SCHEMES if scheme != "kaiming_normal"]


@pytest.mark.parametrize(("activation", "scheme"), PAIRS)
def test_every_activation_and_every_scheme_answers(activation, scheme):
    found = measure(small(activation, scheme, depth=3, width=16))
    layers = [stage for stage in found.stages if stage.op == "linear"]
    assert len(layers) == 3
    silent = scheme == "constant"  # all zero
    assert all((stage.level is None) == silent for stage in layers)
    assert found.histograms.choices


def test_levels_are_those_of_predict():
    question = small("gelu", "kaiming_uniform", gain=1.2, seed=3, options=Options(mode="fan_out"))
    found = measure(question)
    layers = []
    for _ in range(4):
        layers += [nn.Linear(32, 32), nn.GELU()]
    model = nn.Sequential(*layers[:-1])
    drawn = gs.init.apply_(model, "kaiming_uniform", generator=3, gain=1.2, mode="fan_out")
    expected = gs.predict(model, inputs_of(question))
    assert [stage.name for stage in found.stages][:3] == ["layer1", "gelu1", "layer2"]
    for told, stage in zip(found.stages, expected.stages, strict=True):
        assert told.level == pytest.approx(level_db(stage.rms), abs=1e-4)
        assert told.predicted == pytest.approx(level_db(stage.predicted_rms), abs=1e-4)
        assert told.grad == pytest.approx(level_db(stage.grad), abs=1e-4)
        assert told.predicted_grad == pytest.approx(level_db(stage.predicted_grad), abs=1e-4)
        assert told.band == pytest.approx(stage.band_db, abs=1e-3)
    assert found.weights.std == pytest.approx(drawn["6.weight"].std, rel=1e-5)
    assert found.weights.gain == pytest.approx(1.2)


def test_histograms_are_those_of_the_same_pass():
    question = small("tanh", "xavier_normal")
    found = measure(question)
    model, _ = model_of(question)
    outputs = model[0](inputs_of(question))
    (group,) = found.histograms.groups
    ridge = group.ridges[0]
    assert (ridge.name, ridge.total) == ("layer1", outputs.numel())
    assert ridge.quantiles[1] == pytest.approx(float(outputs.detach().median()), abs=0.05)
    kinds = [kind for kind, _ in found.histograms.choices]
    assert kinds == ["output", "output_grad", "weight", "grad"]
    for kind in kinds:
        (group,) = measure(small(depth=2, values=kind)).histograms.groups
        assert group.kind == kind


def test_the_gain_is_derived_until_it_is_given():
    assert measure(small("tanh")).weights.gain == pytest.approx(float(gs.gain("tanh")), rel=1e-5)
    assert measure(small("tanh", gain=3.0)).weights.gain == pytest.approx(3.0)
    assert measure(small("tanh", "torch_default")).weights.gain is None
    assert heeds_gain(gs.init.SCHEMES["xavier_uniform"])
    assert not heeds_gain(gs.init.SCHEMES["lecun_normal"])


def test_what_explodes_is_no_number_and_no_error():
    found = measure(small("relu", "normal", depth=32, options=Options(std=10.0)))
    names = [stage.name for stage in found.stages]
    assert names == [n for i in range(1, 33) for n in (f"layer{i}", f"relu{i}")][:-1]
    levels = [stage.level for stage in found.stages if stage.op == "linear"]
    assert levels[0] is not None
    assert levels[-1] is None
    assert None not in levels[: levels.index(None)]
    assert set(levels[levels.index(None) :]) == {None}


def test_the_global_random_state_is_left_alone():
    before = torch.get_rng_state()
    measure(small())
    assert torch.equal(before, torch.get_rng_state())


def test_the_code_that_is_shown_computes_the_same(capsys):
    question = small("gelu", "normal", options=Options(std=0.05), seed=4)
    names = {"gs": gs, "torch": torch, "nn": nn}
    exec(measure(question).code, names)  # noqa: S102 - our own
    own = model_of(question)[0].state_dict().values()
    for mine, other in zip(own, names["model"].state_dict().values(), strict=True):
        assert torch.equal(mine, other)
    assert torch.equal(names["inputs"], inputs_of(question))
    assert "dB" in capsys.readouterr().out


def test_a_seed_changes_the_weights_and_nothing_else():
    one, two, again = (measure(small(seed=seed)) for seed in (1, 2, 1))
    assert one == again
    assert one.stages[-1].level != two.stages[-1].level


@pytest.mark.parametrize(
    ("changes", "error", "told"),
    [
        ({"activation": "rely"}, UnknownNameError, "no activation named 'rely'. There are: celu"),
        ({"scheme": "kaiming"}, UnknownNameError, "no initialisation scheme named 'kaiming'. Did"),
        ({"scheme": "delta_orthogonal"}, UsageError, "'delta_orthogonal' is for convolutions or"),
        ({"options": Options(std=0.1)}, UsageError, "has no option 'std'; it has: mode"),
    ],
)
def test_what_does_not_fit_is_told(changes, error, told):
    with pytest.raises(error, match=told):
        measure(small(**changes))
