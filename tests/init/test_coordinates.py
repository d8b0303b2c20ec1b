"""The coordinate check: the standard parametrisation fails, a maximal-update one passes."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import gainstage as gs
from gainstage.errors import UsageError
from gainstage.init.coordinates import _slope

WIDTHS = (32, 64, 128, 256, 512)
BASE = 64


def batch():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(32, 16, generator=generator)
    return x, torch.randint(10, (32,), generator=generator)


def mlp(width):
    return nn.Sequential(
        nn.Linear(16, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10)
    )


def mup(width):
    """Table 8 of Yang et al. 2022: the readout's weights a root of the width smaller."""
    net = mlp(width)
    with torch.no_grad():
        net[4].weight.mul_((BASE / width) ** 0.5)
    return net


def adam(net):
    return torch.optim.Adam(net.parameters(), lr=1e-2)


def mup_adam(net):
    """Rates of matrices that grow on their input's side fall with the width."""
    width = net[0].out_features
    slow = [net[2].weight, net[4].weight]
    others = [p for p in net.parameters() if all(p is not one for one in slow)]
    groups = [{"params": others, "lr": 1e-2}, {"params": slow, "lr": 1e-2 * BASE / width}]
    return torch.optim.Adam(groups)


def check(make, optimizer, sizes=WIDTHS, **options):
    return gs.init.coordinate_check(
        make, sizes, batch(), F.cross_entropy, optimizer=optimizer, **options
    )


def test_the_standard_parametrisation_fails():
    found = check(mlp, adam)
    assert found.passes is False
    slopes = {one.name: one for one in found.slopes}
    assert list(slopes) == ["0", "1", "2", "3", "4"]
    assert slopes["0"].verdict == "stable"  # the input does not widen
    assert slopes["2"].verdict == slopes["4"].verdict == "grows"
    assert slopes["4"].slope > 0.5


def test_a_maximal_update_parametrisation_passes():
    found = check(mup, mup_adam)
    assert found.passes is True, str(found)
    for one in found.slopes:
        assert -found.tolerance <= one.interval[0] <= one.slope <= one.interval[1]


def test_a_slope_is_that_of_a_power_law():
    found = _slope("fc", [(n, 3.0 * n**0.5) for n in (8, 16, 32)], 0.25)
    assert found.slope == pytest.approx(0.5)
    assert found.interval == pytest.approx((0.5, 0.5), abs=1e-6)
    assert found.verdict == "grows"
    assert _slope("fc", [(n, 1 / n) for n in (8, 16, 32)], 0.25).verdict == "shrinks"
    noisy = [(8, 1.0), (16, 4.0), (32, 1.0), (64, 4.0)]
    assert _slope("fc", noisy, 0.25).verdict == "unclear"


def test_the_depth_of_a_network_is_a_size_too():
    def stack(depth):
        blocks = nn.ModuleDict({f"b{i}": nn.Linear(16, 16) for i in range(depth)})

        class Deep(nn.Module):
            def __init__(self):
                super().__init__()
                self.blocks, self.head = blocks, nn.Linear(16, 10)

            def forward(self, x):
                for block in self.blocks.values():
                    x = x + torch.tanh(block(x))
                return self.head(x)

        return Deep()

    found = check(stack, adam, sizes=(2, 4, 8, 16))
    names = [one.name for one in found.slopes]
    assert names == ["blocks.b0", "blocks.b1", "head"]
    assert found.slopes[-1].verdict == "grows"  # unscaled branches add up


def test_the_table_says_what_was_found():
    text = str(check(mlp, adam, sizes=(16, 64, 256), seeds=2, steps=2))
    assert text.startswith("coordinate check over 16, 64, 256, 2 steps: fails")
    assert "grows" in text


def test_the_random_state_is_left_alone():
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    check(mlp, adam, sizes=(4, 8, 16), seeds=2, steps=1)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"sizes": (8, 16)}, "at least three sizes"),
        ({"sizes": (0, 8, 16)}, "each above 0"),
        ({"optimizer": torch.optim.Adam}, r"write lambda net: torch.optim.Adam\(net.parameters"),
        ({"make": lambda width: "net"}, "make must return a torch.nn.Module, but returned str"),
        (
            {"optimizer": lambda net: torch.optim.SGD(net.parameters(), lr=0.0)},
            "No module that all networks have moves",
        ),
    ],
)
def test_what_cannot_be_checked_is_refused(options, told):
    with pytest.raises(UsageError, match=told):
        check(**{"make": mlp, "optimizer": adam, **options})
