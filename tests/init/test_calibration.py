"""Every stage at the level that was asked for, whatever the layer; the rest as it was."""

import copy
import itertools

import numpy as np
import pytest
import torch
from torch import nn

import gainstage as gs
from gainstage.errors import UsageError

from .nets import ByHand, ResidualMlp, Transformer, plain_cnn, plain_mlp

G = torch.Generator


def batch(*shape, seed=0):
    return torch.randn(*shape, generator=G().manual_seed(seed))


TOKENS = torch.randint(100, (4, 12), generator=G().manual_seed(0))


class Addmm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(16, 64)), nn.Parameter(torch.zeros(64))

    def forward(self, x):
        return torch.addmm(self.bias, x, self.weight)


CASES = {
    "mlp": (lambda: plain_mlp(10, 64), batch(64, 64)),
    "tanh": (lambda: plain_mlp(10, 64, nn.Tanh), batch(64, 64)),
    "cnn": (lambda: plain_cnn(6, 16), batch(8, 3, 10, 10)),
    "transformer": (lambda: Transformer(3, 32), TOKENS),
    "residual": (lambda: ResidualMlp(5, 32), batch(64, 32)),
    "by hand": (ByHand, batch(4, 6, 16)),
    "transposed": (lambda: nn.ConvTranspose2d(3, 8, 4, stride=2), batch(4, 3, 6, 6)),
    "lstm": (lambda: nn.LSTM(16, 24, 2, bidirectional=True), batch(5, 4, 16)),
    "gru": (lambda: nn.GRU(16, 24, 2, batch_first=True), batch(5, 4, 16)),
    "rnn": (lambda: nn.RNN(16, 24), batch(5, 4, 16)),
    "addmm": (Addmm, batch(64, 16)),
    "bag": (lambda: nn.EmbeddingBag(50, 16), torch.arange(48).view(12, 4)),
    "pair": (
        lambda: nn.Bilinear(5, 4, 16),
        {"input1": batch(32, 5), "input2": batch(32, 4, seed=1)},
    ),
    "lstm cell": (lambda: nn.LSTMCell(16, 24), batch(32, 16)),
    "gru cell": (lambda: nn.GRUCell(16, 24), batch(32, 16)),
    "rnn cell": (lambda: nn.RNNCell(16, 24), batch(32, 16)),
    "one signal": (lambda: nn.Conv1d(4, 8, 3), batch(4, 20)),
    "one image": (lambda: nn.Conv2d(3, 8, 3), batch(3, 9, 9)),
    "float64": (lambda: plain_mlp(4, 32).double(), batch(64, 32).double()),
    "bfloat16": (lambda: plain_mlp(4, 32).to(torch.bfloat16), batch(64, 32).to(torch.bfloat16)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("size", [0.01, 30.0])
def test_every_stage_reaches_its_target_from_anywhere(name, size):
    make, x = CASES[name]
    torch.manual_seed(0)
    model = make()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(size)
            elif size < 1:
                parameter.mul_(0.01 if float(parameter.detach().mean()) != 1 else 1)
    done = gs.init.calibrate_(model, x)
    assert done.error_db < 0.05
    assert len(done.rows) >= 1


def measured_linear_levels(model, x):
    """The levels of all linear stages in a pass that calibration has no part in."""
    return [
        20 * np.log10(s.rms) for s in gs.predict(model, x).stages if s.op in {"linear", "conv2d"}
    ]


def test_the_levels_hold_on_data_that_were_not_used():
    model = plain_mlp(12, 256, nn.Tanh)
    gs.init.calibrate_(model, batch(256, 256), scheme="orthogonal")
    assert np.abs(measured_linear_levels(model, batch(256, 256, seed=9))).max() < 0.3


def test_branches_are_set_lower_so_that_the_stream_grows_by_about_three_decibels():
    model = ResidualMlp(20, 64)
    x = batch(128, 64)
    done = gs.init.calibrate_(model, x)
    targets = {row.name: row.target_db for row in done.rows}
    assert targets["down.0.weight"] == pytest.approx(-10 * np.log10(20))
    assert targets["up.0.weight"] == 0.0
    stream = [s for s in gs.predict(model, x).stages if s.op == "add"]
    assert 2.0 < 20 * np.log10(stream[-1].rms) < 4.0
    level = gs.init.calibrate_(ResidualMlp(20, 64), x, branches=False)
    assert {row.target_db for row in level.rows} == {0.0}


def test_directions_biases_buffers_mode_and_random_state_are_left():
    model = nn.Sequential(
        nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(), nn.Linear(16, 4)
    )
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    gs.init.calibrate_(model, batch(64, 8))
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert all(p.grad is None for p in model.parameters())
    for name, value in model.state_dict().items():
        if value.dim() < 2:
            assert torch.equal(value, before[name]), name
        else:
            ratio = value / before[name]
            assert torch.allclose(ratio, ratio.mean().expand_as(ratio), rtol=1e-4)


def test_a_bias_counts_in_the_level():
    model = nn.Linear(64, 64)
    nn.init.constant_(model.bias, 0.6)
    done = gs.init.calibrate_(model, batch(256, 64))
    assert done.error_db < 1e-3
    assert measured_linear_levels(model, batch(256, 64))[0] == pytest.approx(0, abs=1e-3)


def test_frozen_silent_and_shared_weights():
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8))
    model[0].weight.requires_grad_(requires_grad=False)
    nn.init.zeros_(model[2].weight)
    nn.init.zeros_(model[2].bias)
    before = model[0].weight.detach().clone()
    done = gs.init.calibrate_(model, batch(32, 8))
    assert torch.equal(model[0].weight, before)
    assert float(model[2].weight.detach().abs().max()) == 0.0
    assert [row.scale for row in done.rows][::2] == [1.0, 1.0]
    again = nn.Sequential(nn.Linear(8, 8), nn.ReLU())
    twice = gs.init.calibrate_(nn.Sequential(again, again), batch(32, 8))
    assert len(twice.rows) == 1


def test_targets_schemes_and_more_batches():
    model = plain_mlp(3, 32)
    done = gs.init.calibrate_(
        model,
        batch(16, 32),
        targets={"4": -20.0},
        scheme="orthogonal",
        more=[batch(16, 32, seed=1)],
    )
    assert [round(row.after_db, 3) for row in done.rows] == [0.0, 0.0, -20.0]
    both = torch.cat([batch(16, 32), batch(16, 32, seed=1)])
    assert measured_linear_levels(model, both)[-1] == pytest.approx(-20, abs=1e-3)


def test_the_two_directions_can_be_shared():
    layers = []
    for i in range(8):
        layers += [nn.Linear(256 if i % 2 else 64, 64 if i % 2 else 256), nn.ReLU()]
    model, x = nn.Sequential(*layers), batch(128, 64)
    gs.init.calibrate_(model, x)
    assert np.abs(measured_linear_levels(model, x)).max() < 0.01
    gs.init.calibrate_(model, x, balance=0.5)
    stages = [s for s in gs.predict(model, x).stages if s.op == "linear"]
    for a, b in itertools.pairwise(stages):
        forward, backward = b.rms / a.rms, a.grad / b.grad
        assert 20 * np.log10(forward * backward) == pytest.approx(0, abs=0.7)
        assert abs(20 * np.log10(forward)) > 2


def test_of_a_recurrent_layer_nothing_is_shared_between_the_directions():
    model = nn.RNN(16, 24, bias=False)
    x = batch(5, 4, 16)
    gs.init.calibrate_(model, x)
    kept = model.weight_hh_l0.detach().clone()
    gs.init.calibrate_(model, x, balance=0.5)
    assert torch.equal(model.weight_hh_l0, kept)


def test_mistakes_are_told():
    model = plain_mlp(2, 8)
    with pytest.raises(UsageError, match=r"balance must lie in 0\.\.1"):
        gs.init.calibrate_(model, batch(4, 8), balance=2.0)
    with pytest.raises(UsageError, match="'head' matches no parameter of the model"):
        gs.init.calibrate_(model, batch(4, 8), targets={"head": 0.0})
    with pytest.raises(UsageError, match="The batch is empty"):
        gs.init.calibrate_(model, batch(0, 8))
    with pytest.raises(UsageError, match="on the device meta"):
        gs.init.calibrate_(plain_mlp(2, 8).to("meta"), batch(4, 8))
    with pytest.raises(UsageError, match="not of one form"):
        gs.init.calibrate_(model, batch(4, 8), more=[{"x": batch(4, 8)}])
    with pytest.raises(UsageError, match="cannot be joined along their first axis"):
        gs.init.calibrate_(model, batch(4, 8), more=[batch(4, 9)])


def test_the_table_is_told():
    text = str(gs.init.calibrate_(plain_mlp(2, 8), batch(64, 8)))
    assert text.splitlines()[0].split() == [
        "weight",
        "target",
        "dB",
        "before",
        "after",
        "scaled",
        "by",
    ]
    assert "2.weight" in text


@pytest.mark.slow
def test_a_thousand_layers_in_one_pass():
    layers = [m for _ in range(1000) for m in (nn.Linear(64, 64), nn.Tanh())]
    assert gs.init.calibrate_(nn.Sequential(*layers), batch(64, 64)).error_db < 0.01
