"""A watched model can be scripted, with what hooks of the user's there are, and is watched on."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import gainstage as gs

from .leftovers import on_objects, on_torch

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning"),
]


def _double(self, inputs: tuple[Tensor], output: Tensor):  # noqa: ARG001 - torch's signature
    return output * 2


def _training():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.Sequential(nn.ReLU()), nn.Linear(8, 3))
    return net, torch.optim.SGD(net.parameters(), lr=0.1)


@pytest.mark.parametrize("functional", [False, True])
@pytest.mark.parametrize("hooked", [False, True])
def test_a_watched_model_can_be_scripted(tmp_path, functional, hooked):
    net, optimizer = _training()
    x = torch.linspace(-1, 1, 8).reshape(2, 4)
    torch.jit.script(net)  # torch leaves something of its own on what it scripts
    if hooked:
        net[0].register_forward_hook(_double)
    objects, rest = on_objects(net, optimizer), on_torch()
    with gs.watch(net, optimizer, dir=tmp_path, functional=functional) as run:
        for _ in range(2):
            hooks = on_objects(net)["modules"]
            scripted = torch.jit.script(net)
            assert on_objects(net)["modules"] == hooks
            assert torch.allclose(scripted(x), net(x))
            optimizer.zero_grad()
            net(x).square().mean().backward()
            optimizer.step()
    optimizer.zero_grad()
    assert on_objects(net, optimizer) == objects
    assert {**on_torch(), "filters": 0} == {**rest, "filters": 0}
    recording = gs.open(run.path).recording
    assert len(recording.steps) == 2
    assert {"0", "1.0", "2"} <= {site.name for site in recording.of_kind("output")}
    assert [e for e in recording.events if e.code == "tap-off"] == []


def test_what_is_no_module_is_scripted_as_ever(tmp_path):
    net, optimizer = _training()
    with gs.watch(net, optimizer, dir=tmp_path):

        def triple(x: Tensor) -> Tensor:
            return _times(x)

        @torch.jit.script
        def _times(x: Tensor) -> Tensor:
            return x * 3

        assert torch.jit.script(triple)(torch.ones(1)).item() == 3.0
        hooks = [hooks for *_, hooks in on_objects(net)["modules"]]

        class Bad(nn.Module):
            def forward(self, x):
                return [y for y in x.anything_at_all()]  # noqa: C416

        with pytest.raises(RuntimeError):
            torch.jit.script(nn.Sequential(net, Bad()))
        assert [hooks for *_, hooks in on_objects(net)["modules"]] == hooks
