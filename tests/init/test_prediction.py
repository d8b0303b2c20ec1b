"""Predicted levels against measured ones, over seeds, on the networks whose levels are shown."""

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import gainstage as gs
from gainstage.errors import UnknownNameError, UsageError

from .nets import ByHand, ResidualMlp, Transformer, plain_cnn, plain_mlp


def batch(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def over_seeds(make, x, seeds=6, scheme="kaiming_normal", **options):
    """Measured minus predicted in dB, forward and backward: [seeds, stages] each."""
    forward, backward = [], []
    for seed in range(seeds):
        model = make()
        gs.init.apply_(model, scheme, generator=seed, batch=x, **options)
        stages = gs.predict(model, x).stages
        assert all(s.modelled for s in stages)
        forward.append([s.forward_db for s in stages])
        backward.append([s.backward_db for s in stages])
    return np.array(forward), np.array(backward)


def test_constant_weights_are_exact():
    """Weights of zero spread leave nothing to chance: the network is computed."""
    net = nn.Sequential(nn.Linear(30, 20), nn.Linear(20, 10), nn.Linear(10, 4)).double()
    for p in net.parameters():
        nn.init.constant_(p, 0.05)
    for stage in gs.predict(net, batch(64, 30).double()).stages:
        assert stage.predicted_rms == pytest.approx(stage.rms, rel=1e-9)
        assert stage.predicted_mean == pytest.approx(stage.mean, rel=1e-9)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.GELU, nn.SiLU, nn.Sigmoid])
def test_plain_stacks(activation):
    forward, backward = over_seeds(lambda: plain_mlp(8, 256, activation), batch(128, 256), seeds=8)
    assert np.abs(forward.mean(0)).max() < 1.0
    assert np.abs(backward.mean(0)).max() < 1.0


def test_the_band_is_what_seeds_differ_by():
    spread = []
    for seed in range(24):
        model = plain_mlp(12, 96)
        gs.init.apply_(model, "kaiming_normal", generator=seed)
        stages = gs.predict(model, batch(1, 96, seed=seed)).stages
        spread.append([s.forward_db for s in stages])
    bands = np.array([s.band_db for s in stages])
    ratio = np.array(spread).std(0)[4:] / bands[4:]
    assert 0.6 < ratio.mean() < 1.4


def test_convolutions_lose_energy_at_their_border_as_predicted():
    forward, backward = over_seeds(lambda: plain_cnn(8, 64), batch(8, 3, 12, 12))
    assert np.abs(forward.mean(0)).max() < 1.5
    assert np.abs(backward[:, :-1].mean(0)).max() < 1.5
    model = plain_cnn(8, 64)
    gs.init.apply_(model, "kaiming_normal")
    last = gs.predict(model, batch(8, 3, 12, 12)).stages[-1]
    assert 20 * math.log10(last.predicted_rms) < -2  # what padding costs


def test_batch_norm_behind_relu_makes_gradients_grow():
    """By a factor 1.21 a layer (Yang et al. 2019), which the scale of no weight explains."""

    def make():
        layers = [
            m for _ in range(12) for m in (nn.Linear(256, 256), nn.BatchNorm1d(256), nn.ReLU())
        ]
        return nn.Sequential(*layers)

    forward, backward = over_seeds(make, batch(128, 256), seeds=3)
    assert np.abs(forward.mean(0)).max() < 0.7
    assert np.abs(backward.mean(0)).max() < 0.7
    stages = [s for s in gs.predict(make(), batch(128, 256)).stages if s.op == "relu"]
    growth = (stages[3].predicted_grad / stages[9].predicted_grad) ** (1 / 6)
    assert growth == pytest.approx(1.21, abs=0.03)


def test_pooling_dropout_and_norms():
    def make():
        return nn.Sequential(
            nn.Conv2d(3, 64, 3, padding=1), nn.GroupNorm(8, 64), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(64, 64, 3, padding=1), nn.InstanceNorm2d(64), nn.GELU(), nn.AvgPool2d(2),
            nn.Conv2d(64, 64, 3, stride=2, padding=1), nn.LayerNorm([64, 2, 2]), nn.Dropout(0.3),
            nn.Flatten(), nn.Linear(256, 256), nn.SiLU(), nn.Linear(256, 256),
        )  # fmt: skip

    forward, _ = over_seeds(make, batch(16, 3, 16, 16), seeds=4)
    assert np.abs(forward.mean(0)).max() < 1.0


def test_a_transformers_stream_grows_as_predicted():
    x = torch.randint(100, (4, 24), generator=torch.Generator().manual_seed(0))
    forward, backward = over_seeds(lambda: Transformer(4, 128), x, seeds=3)
    assert np.abs(forward.mean(0)).max() < 1.0
    assert np.abs(backward.mean(0)).max() < 2.0


def test_attention_written_out():
    forward, _ = over_seeds(lambda: ByHand(128), batch(16, 12, 16), seeds=8)
    assert np.abs(forward.mean(0)).max() < 1.0


def test_residual_branches():
    forward, backward = over_seeds(lambda: ResidualMlp(12, 128), batch(64, 128))
    assert np.abs(forward.mean(0)).max() < 0.7
    assert np.abs(backward.mean(0)).max() < 0.7


def test_gradients_of_weights_and_the_loss():
    model = plain_mlp(4, 128)
    gs.init.apply_(model, "kaiming_normal")
    x, y = batch(256, 128), torch.arange(256) % 128
    levels = gs.predict(model, (x, y), F.cross_entropy)
    assert levels.loss == pytest.approx(float(F.cross_entropy(model(x), y).detach()))
    assert [w.name for w in levels.weights] == [f"{i}.weight" for i in (0, 2, 4, 6)]
    for weight in levels.weights:  # crude: the loss's gradient knows the weights before it
        assert 20 * math.log10(weight.predicted_grad / weight.grad) == pytest.approx(0, abs=4)


def test_recurrent_layers_are_measured_and_what_follows_builds_on_that():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.LSTM(16, 128, batch_first=True), nn.Linear(128, 128)

        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1])

    levels = gs.predict(Net(), batch(32, 10, 16))
    assert not levels["rnn"].modelled
    assert levels["rnn"].predicted_rms == pytest.approx(levels["rnn"].rms)
    assert abs(levels["head"].forward_db) < 2
    assert math.isfinite(levels["rnn"].predicted_grad)
    assert "no rule: as measured" in str(levels)


def test_the_model_is_left_as_it_was():
    model = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Dropout())
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    gs.predict(model, batch(16, 8))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


class Calling(nn.Module):
    """A layer, a function of what it puts out and of a parameter, and a layer."""

    def __init__(self, function, width=64):
        super().__init__()
        self.a, self.b = nn.Linear(64, width), nn.Linear(width, 64)
        self.w = nn.Parameter(torch.randn(width, width) / width**0.5)
        self.function = function

    def forward(self, x):
        return self.b(self.function(self.a(x), self.w))


KNOWN = {
    "by keyword": lambda h, _: torch.add(input=h, other=1.0).mul(other=2.0),
    "matmul by keyword": lambda h, w: torch.matmul(h, other=w),
    "mm": lambda h, w: torch.mm(h, mat2=w),
    "addmm": lambda h, w: torch.addmm(w[0], h, w),
    "view": lambda h, _: h.view(-1, 8, 8).transpose(1, 2).contiguous().view(h.shape[0], -1),
    "view as": lambda h, _: h.reshape(-1, 8, 8).view_as(h),
    "converted": lambda h, _: h.to(torch.float64).float().type_as(h),
    "joined by keyword": lambda h, _: torch.cat(tensors=h.chunk(2, dim=1), dim=1),
    "power of a number": lambda h, _: h.pow(torch.tensor(2.0)),
    "multiplied twice": lambda h, _: h * 0.5 * 2,
    "subtracted": lambda h, _: 1.0 - h,
}
UNKNOWN = {
    "powers by unit": lambda h, w: h.abs() ** w[0].abs(),
    "a weight of the data's": lambda h, _: nn.functional.linear(h, (h.T @ h) / 64),
    "einsum": lambda h, w: torch.einsum("ni,ij->nj", h, w),
    "scales of the data's": lambda h, _: nn.functional.layer_norm(h, (64,), weight=h[0]),
    "divided": lambda h, _: h / (1 + h.abs()),
    "sorted": lambda h, _: h.sort(dim=1).values,
    "fewer values": lambda h, _: nn.functional.scaled_dot_product_attention(
        h.view(1, -1, 64), h.view(1, -1, 64), h.view(1, -1, 64)[..., :32]
    ).repeat(1, 1, 2)[0],
    "one sample's maxima": lambda h, _: nn.functional.max_pool1d(h, 2).repeat(1, 2),
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_call_is_known_however_it_is_written(name):
    forward, backward = over_seeds(lambda: Calling(KNOWN[name]), batch(64, 64), seeds=4)
    assert np.abs(forward.mean(0)).max() < 1.5
    assert np.abs(backward.mean(0)).max() < 1.5


@pytest.mark.parametrize("name", UNKNOWN)
def test_of_a_call_that_no_rule_knows_the_level_is_measured(name):
    levels = gs.predict(Calling(UNKNOWN[name]), batch(64, 64))
    assert not all(s.modelled for s in levels.stages)
    for stage in levels.stages:
        if not stage.modelled:
            assert stage.predicted_rms == pytest.approx(stage.rms)


def test_a_view_of_images_is_known():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.head = nn.Conv2d(3, 32, 3, padding=1), nn.Linear(32 * 64, 16)

        def forward(self, x):
            return self.head(self.conv(x).view(x.shape[0], -1))

    forward, _ = over_seeds(Net, batch(16, 3, 8, 8), seeds=4)
    assert np.abs(forward.mean(0)).max() < 1.0


def test_outputs_without_a_gradient_do_not_take_the_place_of_others():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(16, 8)

        def forward(self, x):
            scores = self.a(x)
            return {"chosen": scores.argmax(1), "constant": torch.ones(2), "scores": scores}

    x, y = batch(32, 16), torch.arange(32) % 8
    levels = gs.predict(Net(), (x, y), lambda out, y: F.cross_entropy(out["scores"], y))
    assert levels["a"].predicted_grad == pytest.approx(levels["a"].grad)


def test_a_signal_of_almost_nothing_is_predicted():
    model = plain_mlp(400, 8, nn.Tanh)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.13) if parameter.dim() > 1 else nn.init.zeros_(parameter)
    last = gs.predict(model, batch(4, 8)).stages[-1]
    assert last.predicted_rms < 1e-100


def test_a_loss_that_is_none_is_told():
    model, data = plain_mlp(2, 8), (batch(4, 8), batch(4, 8))
    with pytest.raises(UsageError, match=r"must return a scalar tensor, but returned \(4, 8\)"):
        gs.predict(model, data, lambda out, y: out - y)
    with pytest.raises(UsageError, match="The batch is empty"):
        gs.predict(model, batch(0, 8))
    with pytest.raises(UsageError, match="The batch is complex"):
        gs.predict(model, batch(4, 8) + 0j)
    with pytest.raises(UsageError, match="does not depend on any parameter"):
        gs.predict(model, data, lambda out, y: (out.detach() - y).mean())


def test_the_table_tells_measured_predicted_and_their_difference():
    levels = gs.predict(plain_mlp(2, 16), batch(8, 16))
    told = str(levels).splitlines()[1].split()
    stage = levels.stages[0]
    figures = 20 * math.log10(stage.rms), 20 * math.log10(stage.predicted_rms), stage.forward_db
    assert told[:2] == ["0", "linear"]
    assert told[2:5] == [f"{figures[0]:.1f}", f"{figures[1]:.1f}", f"{figures[2]:+.1f}"]
    assert figures[2] == pytest.approx(figures[0] - figures[1])


def test_mappings_and_stages_by_name():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(8, 8)

        def forward(self, *, x):
            return {"out": self.a(x)}

    levels = gs.predict(Net(), {"x": batch(4, 8)})
    assert levels["a"].op == "linear"
    assert repr(levels).startswith("<Prediction: 1 stages, forward within ")
    with pytest.raises(UnknownNameError, match=r"no stage 'b'\. There are: a"):
        levels["b"]
