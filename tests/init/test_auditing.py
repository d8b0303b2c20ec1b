"""Which scheme each weight was drawn by; what is wrong with a start."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import gainstage as gs
from gainstage.errors import UnknownNameError, UsageError
from gainstage.init.auditing import ALPHA

from .nets import ByHand, Transformer, plain_mlp

DISTINCT = (
    "kaiming_normal",
    "kaiming_uniform",
    "xavier_normal",
    "xavier_uniform",
    "lecun_normal",
    "lecun_uniform",
    "torch_default",
    "orthogonal",
    "truncated_normal",
    "normal",
    "sparse",
    "constant",
)


def random_layer(rng):
    """A layer of at least a thousand weights behind an activation, and its scheme."""
    kind = rng.choice(["linear", "conv", "transposed", "grouped"])
    a, b = (int(2 ** rng.uniform(4, 8)) // 4 * 4 for _ in range(2))
    if kind == "linear":
        a, b = max(a, 32), max(b, 32)
        layer = nn.Linear(a, b)
    elif kind == "conv":
        layer = nn.Conv2d(a, b, 3)
    elif kind == "grouped":
        layer = nn.Conv1d(a, b, 5, groups=2)
    else:
        layer = nn.ConvTranspose2d(a, b, 3)
    before = rng.choice([nn.ReLU, nn.GELU, nn.Tanh, nn.Identity])()
    return nn.Sequential(before, layer), str(rng.choice(DISTINCT))


def judged(seed, count):
    """Shares of layers whose scheme came first, was among those not rejected, was rejected."""
    rng = np.random.default_rng(seed)
    first = among = total = 0
    while total < count:
        model, scheme = random_layer(rng)
        weight = model[1].weight
        if weight.numel() < 1000:
            continue
        total += 1
        options = {"value": 0.03} if scheme == "constant" else {}
        drawn = gs.init.apply_(model, scheme, generator=int(rng.integers(1 << 31)), **options)
        row = gs.init.audit(model)["1.weight"]
        same = drawn["1.weight"].std
        fits = [f for f in row.fits if math.isclose(f.std, same, rel_tol=1e-6)]
        among += any(f.scheme == scheme for f in fits)
        best = [f for f in row.fits if math.isclose(f.std, row.fits[0].std, rel_tol=1e-6)]
        first += any(f.scheme == scheme for f in best)
    return first / total, among / total


def test_the_scheme_of_random_layers_is_named():
    first, among = judged(0, 60)
    assert among >= 0.98
    assert first >= 0.95


@pytest.mark.slow
def test_the_scheme_of_a_thousand_random_layers_is_named():
    first, among = judged(1, 1000)
    assert among >= 1 - ALPHA - 3 * math.sqrt(ALPHA / 1000)  # false alarms as stated
    assert first >= 0.99


def test_torchs_own_defaults_are_known():
    model = nn.ModuleDict(
        {
            "linear": nn.Linear(64, 64),
            "conv": nn.Conv2d(8, 16, 3),
            "back": nn.ConvTranspose2d(8, 16, 4, stride=2),
            "attention": nn.MultiheadAttention(64, 4),
            "lstm": nn.LSTM(32, 64),
        }
    )
    audit = gs.init.audit(model)
    for name in ("linear", "conv", "back"):
        assert audit[f"{name}.weight"].scheme == "torch_default"
    assert audit["lstm.weight_hh_l0"].scheme == "torch_default"
    packed = audit["attention.in_proj_weight"].fits[0]
    assert (packed.scheme, packed.options) == ("xavier_uniform", "all parts as one matrix")
    assert audit.findings == ()


def test_a_weight_far_from_every_scheme_is_a_finding():
    model = plain_mlp(3, 64)
    gs.init.apply_(model, "kaiming_normal")
    assert gs.init.audit(model).findings == ()
    with torch.no_grad():
        model[2].weight.mul_(10)
    (found,) = gs.init.audit(model).findings
    assert (found.code, found.site) == ("poor-initialization", "2.weight")
    assert "times larger than the nearest scheme" in found.message
    assert gs.init.audit(model)["2.weight"].fits == ()
    assert "kaiming_normal" in gs.init.audit(model)["2.weight"].rejected


def test_symmetry_and_copies():
    model = plain_mlp(3, 16)
    nn.init.constant_(model[0].weight, 0.1)
    audit = gs.init.audit(model)
    assert [f.code for f in audit.findings] == ["symmetric-weights"]
    assert audit["0.weight"].symmetric
    encoder = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(32, 2, 64), 3, enable_nested_tensor=False
    )
    (copied,) = gs.init.audit(encoder).findings
    assert "8 weights hold the same numbers" in copied.message
    gs.init.apply_(encoder, "xavier_uniform", activations={"*": "linear"})
    assert gs.init.audit(encoder).findings == ()


def test_the_first_loss_is_held_against_what_is_expected():
    torch.manual_seed(0)
    model = plain_mlp(3, 64)
    gs.init.apply_(model, "kaiming_normal")
    x, y = torch.randn(256, 64), torch.arange(256) % 64
    good = gs.init.audit(model, (x, y), nn.CrossEntropyLoss()).loss
    assert good.chance == pytest.approx(math.log(64))
    assert good.measured == pytest.approx(good.expected, rel=0.1)
    assert good.finding is None
    with torch.no_grad():
        model[4].weight.mul_(20)
    audit = gs.init.audit(model, (x, y), nn.functional.cross_entropy)
    assert [f.code for f in audit.findings] == ["poor-initialization", "overconfident-start"]
    assert "equal odds" in str(audit)
    plain = gs.init.audit(model, (x, torch.zeros(256, 64)), nn.MSELoss())
    assert math.isnan(plain.loss.chance)


def test_classes_are_counted_where_the_loss_sees_them():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(16, 5)

        def forward(self, x):
            return self.head(x).flatten(0, 1)

    batch = torch.randn(4, 7, 16), torch.randint(5, (28,))
    loss = gs.init.audit(Net(), batch, nn.CrossEntropyLoss()).loss
    assert loss.chance == pytest.approx(math.log(5))


def test_bare_parameters_and_ties():
    audit = gs.init.audit(ByHand(), torch.randn(2, 5, 16))
    assert audit["query"].role == "weight"
    assert audit["query"].activation == "tanh"
    assert gs.init.audit(ByHand())["query"].role == "unknown"
    tied = gs.init.audit(Transformer(1, 16, heads=2), torch.randint(100, (2, 4)))
    assert "embedding.weight" not in [row.name for row in tied.rows]


def test_mistakes_are_told():
    with pytest.raises(UsageError, match="alpha must lie between 0 and 1, but is 2"):
        gs.init.audit(plain_mlp(2, 4), alpha=2)
    with pytest.raises(UsageError, match="audit needs a batch as well"):
        gs.init.audit(plain_mlp(2, 4), loss_fn=nn.CrossEntropyLoss())
    with pytest.raises(UnknownNameError, match="no parameter 'x'"):
        gs.init.audit(plain_mlp(2, 4))["x"]
    with pytest.raises(UsageError, match="on the device meta"):
        gs.init.audit(plain_mlp(2, 4).to("meta"))


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_weights_that_are_not_finite_are_a_finding(value):
    model = plain_mlp(2, 16)
    with torch.no_grad():
        model[2].weight[0, 0] = value
    audit = gs.init.audit(model)
    assert [(f.code, f.site) for f in audit.findings] == [("non-finite", "2.weight")]
    assert "2.weight" in str(audit)


@pytest.mark.filterwarnings("ignore:Initializing zero-element")  # of torch's own
def test_empty_and_bfloat16_weights_are_read():
    model = nn.Sequential(nn.Linear(0, 8), nn.ReLU(), nn.Linear(64, 64)).to(torch.bfloat16)
    audit = gs.init.audit(model)
    assert audit.findings == ()
    assert audit["0.weight"].law == ""


def test_the_table_is_told():
    text = str(gs.init.audit(plain_mlp(2, 64)))
    assert "torch_default" in text
    assert "0.bias" in text
