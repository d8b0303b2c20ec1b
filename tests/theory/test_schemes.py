"""The contract of every scheme: documented, sourced, and drawn at the deviation that it gives."""

import re

import pytest
import torch

from gainstage.errors import UsageError
from gainstage.init.drawing import fill
from gainstage.init.laws import look
from gainstage.theory.fans import convolution, linear
from gainstage.theory.schemes import SCHEMES

SHAPES = {"matrix": (256, 192), "wide": (64, 256), "kernel": (64, 48, 3, 3)}
SOURCED = [name for name in SCHEMES if name != "constant"]


def fans_of(shape):
    return linear(shape) if len(shape) == 2 else convolution(shape)


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_what_is_drawn_has_the_deviation_that_the_scheme_gives(name, shape):
    scheme, fans = SCHEMES[name], fans_of(shape)
    std = scheme.std(fans, 1.3)
    drawn = torch.empty(shape, dtype=torch.float64)
    fill(drawn, scheme.law, std, fans, torch.Generator().manual_seed(1))
    rms = float(drawn.square().mean().sqrt())
    if scheme.law == "identity":  # it fills no more than a square
        share = min(shape[:2]) / shape[0]
        assert rms == pytest.approx(std * share**0.5)
    else:
        count = int((drawn != 0).sum())
        assert rms == pytest.approx(std, rel=4 / (2 * max(count, 1)) ** 0.5)


@pytest.mark.parametrize("name", SCHEMES)
def test_a_scheme_says_what_it_is(name):
    about = SCHEMES[name].about
    assert about.partition("\n")[0].rstrip().endswith((".", ":"))
    if name in SOURCED:
        assert re.search(r"\b(19|20)\d\d\b|Lua Torch", about), f"{name} names no source"


@pytest.mark.parametrize("name", [n for n in SCHEMES if SCHEMES[n].by_fan])
def test_the_gain_counts_where_the_scheme_says_so(name):
    fans = linear((30, 50))
    ratio = SCHEMES[name].std(fans, 3.0) / SCHEMES[name].std(fans, 1.0)
    expected = 3.0 if SCHEMES[name].gained or name.startswith("xavier") else 1.0
    assert ratio == pytest.approx(expected)


@pytest.mark.parametrize("name", SCHEMES)
def test_what_is_drawn_is_recognised_by_its_law(name):
    scheme = SCHEMES[name]
    drawn = torch.empty(64, 64)
    fans = linear((64, 64))
    fill(drawn, scheme.law, scheme.std(fans, 1.0), fans, torch.Generator().manual_seed(2))
    expected = {"delta_orthogonal": "orthogonal"}.get(scheme.law, scheme.law)
    assert look(drawn).law == expected


def test_an_unknown_option_is_told():
    with pytest.raises(UsageError, match="'lecun_normal' has no option 'mode'; it has: none"):
        SCHEMES["lecun_normal"].std(linear((2, 2)), mode="fan_out")


def test_kaiming_and_xavier_are_those_of_the_papers():
    fans = linear((300, 100))
    assert SCHEMES["kaiming_normal"].std(fans, 2**0.5) == pytest.approx((2 / 100) ** 0.5)
    assert SCHEMES["kaiming_normal"].std(fans, 2**0.5, mode="fan_out") == pytest.approx(
        (2 / 300) ** 0.5
    )
    assert SCHEMES["xavier_uniform"].std(fans) == pytest.approx((2 / 400) ** 0.5)


def test_torchs_default_is_kaiming_uniform_with_the_gain_of_slope_sqrt_5():
    fans = convolution((32, 1, 5, 5))
    gain = torch.nn.init.calculate_gain("leaky_relu", 5**0.5)
    ours = SCHEMES["torch_default"].std(fans)
    assert ours == pytest.approx(SCHEMES["kaiming_uniform"].std(fans, gain))
    weight = torch.nn.Conv2d(1, 3200, 5).weight.detach()
    assert float(weight.std()) == pytest.approx(ours, rel=0.01)


def test_residual_rules():
    gpt2, fixup = SCHEMES["gpt2"].branch, SCHEMES["fixup"].branch
    assert gpt2(16, 2, last=True) == 0.25
    assert gpt2(16, 2, last=False) == 1.0
    assert fixup(16, 2, last=True) == 0.0
    assert fixup(16, 2, last=False) == pytest.approx(16**-0.5)
    assert fixup(16, 3, last=False) == pytest.approx(16**-0.25)
    assert fixup(16, 1, last=True) == 1.0
