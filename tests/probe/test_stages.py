"""What each stage puts out and gets back: calls, containers, in-place ops, recomputation."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from gainstage.probe import places, taps
from gainstage.probe.held import MAX_HELD
from gainstage.probe.probe import Probe
from gainstage.probe.sink import MemorySink


class Net(nn.Module):
    """A module whose forward is a given function of itself."""

    def __init__(self, forward, **children):
        super().__init__()
        self._forward = forward
        for name, child in children.items():
            setattr(self, name, child)

    def forward(self, *args, **kwargs):
        return self._forward(self, *args, **kwargs)


def _sgd(net, lr=0.1):
    return torch.optim.SGD(net.parameters(), lr=lr)


def _train(net, watching, *inputs, steps=2, loss=lambda y: y.square().mean(), **how):
    optimizer = _sgd(net)
    with watching(net, optimizer, **how) as seen:
        for _ in range(steps):
            optimizer.zero_grad()
            loss(net(*inputs)).backward()
            optimizer.step()
    assert seen.events("tap-off") == []
    assert seen.frames == steps
    return seen


def test_a_module_called_several_times_has_a_site_for_each_call(watching):
    net = Net(lambda s, x: s.a(s.a(s.a(x))), a=nn.Linear(4, 4))
    seen = _train(net, watching, torch.randn(5, 4))
    assert seen.names("output") == ["a", "a#2", "a#3"]
    assert seen.names("output_grad") == ["a", "a#2", "a#3"]
    x = torch.ones(1, 4)
    with torch.no_grad():
        net.a.weight.copy_(2 * torch.eye(4))
        net.a.bias.zero_()
    with watching(net, _sgd(net)) as seen:
        net(x).sum().backward()
    assert [seen.values(name, "output") for name in ("a", "a#2", "a#3")] == [[2.0], [4.0], [8.0]]
    assert [seen.values(n, "output_grad") for n in ("a", "a#2", "a#3")] == [[4.0], [2.0], [1.0]]


def test_very_many_calls_share_the_last_site(watching):
    net = Net(lambda s, x: [x := s.a(x) for _ in range(places.MAX_CALLS + 6)][-1], a=nn.Tanh())
    net.p = nn.Parameter(torch.ones(2, 2))
    net._is = None
    optimizer = _sgd(net)
    inner = Net(lambda s, x: net._forward(net, x * s.p), p=nn.Parameter(torch.ones(2)), net=net)
    with watching(net, optimizer) as seen:
        inner._forward(inner, torch.ones(2, 2)).sum().backward()
    assert len(seen.names("output")) == places.MAX_CALLS
    last = f"a#{places.MAX_CALLS}"
    assert seen.values(last, "output", "count") == [4.0 * 7]


OUTPUTS = {
    "dict": lambda s, x: {"mask": x > 0, "hidden": s.a(x)},
    "tuple": lambda s, x: (x.long(), s.a(x), None),
    "nested": lambda s, x: [{"deep": (s.a(x),)}],
    "keyword": lambda s, x: {"hidden": s.a(input=x)},
}


@pytest.mark.parametrize("kind", OUTPUTS)
def test_outputs_in_containers_are_found(watching, kind):
    def unpack(found):
        leaves = torch.utils._pytree.tree_leaves(found)
        return next(t for t in leaves if t is not None and t.requires_grad).square().mean()

    block = Net(OUTPUTS[kind], a=nn.Linear(3, 3))
    block.scale = nn.Parameter(torch.ones(1))
    seen = _train(
        Net(lambda s, x: s.block(x), block=block), watching, torch.randn(4, 3), loss=unpack
    )
    assert seen.names("output") == seen.names("output_grad") == ["block.a"]


def _nothing(*_):
    return None


def test_a_module_without_a_tensor_in_its_output_is_passed_over(watching):
    net = Net(lambda s, x: (s.none(x), s.a(x))[1], a=nn.Linear(3, 3), none=Net(_nothing))
    assert _train(net, watching, torch.randn(4, 3)).names("output") == ["a"]


def test_inputs_by_keyword_are_accepted(watching):
    net = Net(lambda s, *, x: s.a(x), a=nn.Linear(3, 3))
    optimizer = _sgd(net)
    with watching(net, optimizer) as seen:
        net(x=torch.ones(2, 3)).sum().backward()
        optimizer.step()
    assert seen.names("output") == ["a"]


@pytest.mark.parametrize("functional", [False, True])
def test_an_activation_in_place_is_a_stage_with_its_own_numbers(watching, functional):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(inplace=True), nn.Linear(8, 2))
    plain = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    plain.load_state_dict(net.state_dict())
    x = torch.randn(16, 4)
    seen = _train(net, watching, x, functional=functional)
    expected = _train(plain, watching, x, functional=functional)
    assert seen.names("output") == ["0", "1", "2"]
    assert seen.values("0", "output", "min")[0] < 0
    for kind in ("output", "output_grad"):
        for name in ("0", "1", "2"):
            assert seen.values(name, kind) == expected.values(name, kind)


def test_a_flattened_view_is_not_measured_again(watching):
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 9, 2))
    assert _train(net, watching, torch.randn(3, 1, 5, 5)).names("output") == ["0", "2"]


def test_dropout_in_evaluation_and_identity_are_not_measured_again(watching):
    net = nn.Sequential(nn.Linear(3, 3), nn.Identity(), nn.Linear(3, 2))
    assert _train(net, watching, torch.randn(3, 3)).names("output") == ["0", "2"]


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_recomputed_block_is_counted_once_with_its_gradient(watching, reentrant):
    torch.manual_seed(0)
    block = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 4))
    head = nn.Linear(4, 2)
    again = Net(
        lambda s, x: s.head(checkpoint(s.block, x, use_reentrant=reentrant)), block=block, head=head
    )
    once = Net(lambda s, x: s.head(s.block(x)), block=block, head=head)
    start = {k: v.clone() for k, v in again.state_dict().items()}
    x = torch.randn(6, 4)
    seen = _train(again, watching, x.clone().requires_grad_())
    once.load_state_dict(start)
    expected = _train(once, watching, x.clone().requires_grad_())
    for kind in ("output_grad", "grad", "update"):
        assert seen.summaries(kind).keys() == expected.summaries(kind).keys()
        for (name, quantity), values in expected.summaries(kind).items():
            assert seen.values(name, kind, quantity) == pytest.approx(
                values.tolist(), rel=1e-5, nan_ok=True
            ), (name, kind, quantity)
    assert seen.names("output") == expected.names("output")
    for name in expected.names("output"):
        assert seen.values(name, "output", "count") == expected.values(name, "output", "count")


class Positions(nn.Module):
    """A transformer as many write it: a bare parameter beside the blocks."""

    def __init__(self):
        super().__init__()
        self.position = nn.Parameter(torch.zeros(5, 8))
        self.blocks = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.blocks(x + self.position))


def test_a_bare_parameter_beside_the_blocks_does_not_hide_them(watching):
    seen = _train(Positions(), watching, torch.randn(3, 5, 8))
    assert seen.names("output") == ["blocks.0", "blocks.1", "blocks.2", "head"]


class Scale(nn.Module):
    """A layer of the user's own, as RMSNorm is written: parameters, no children."""

    def __init__(self):
        super().__init__()
        self.g = nn.Parameter(torch.ones(4))

    def forward(self, x):
        return F.relu(x * self.g)


@pytest.mark.parametrize("functional", [False, True])
def test_a_layer_of_the_users_own_stands_for_what_it_calls(watching, functional):
    net = nn.Sequential(Scale(), nn.Linear(4, 2))
    seen = _train(net, watching, torch.randn(3, 4), functional=functional)
    assert seen.names("output") == ["0", "1"]
    assert seen.site("0", "output").op == "Scale"


def test_attention_stands_for_its_projections(watching):
    net = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)
    seen = _train(net, watching, torch.randn(3, 5, 8), functional=True)
    assert "self_attn" in seen.names("output")
    assert not [n for n in seen.names("output") if n.startswith("self_attn.")]
    assert {"linear1", "linear2", "norm1", "norm2"} <= set(seen.names("output"))


def test_a_module_that_returns_its_parameter_collects_no_hooks(watching):
    table = Net(lambda s, _: s.weight)
    table.weight = nn.Parameter(torch.ones(2, 2))
    net = Net(lambda s, x: s.table(x) * s.a(x), table=table, a=nn.Linear(2, 2))
    _train(net, watching, torch.ones(2, 2), steps=5)
    assert not table.weight._backward_hooks


def test_outputs_that_outlive_the_watch_keep_no_hook(watching, mlp):
    with watching(mlp, _sgd(mlp)) as seen:
        kept = mlp(torch.randn(2, 4))
    assert not kept._backward_hooks
    assert not mlp[0].weight._backward_hooks
    kept.sum().backward()
    assert seen.names("output_grad") == []


def test_no_output_is_kept_alive(watching, mlp):
    optimizer = _sgd(mlp)
    alive = []
    with watching(mlp, optimizer, functional=True):
        for _ in range(3):
            optimizer.zero_grad()
            y = mlp(torch.randn(2, 4))
            alive.append(weakref.ref(y))
            y.sum().backward()
            optimizer.step()
            del y
            gc.collect()
            assert [ref for ref in alive if ref() is not None] == []


def test_a_validation_with_gradients_leaves_no_trace(watching, mlp, step):
    optimizer = _sgd(mlp)
    with watching(mlp, optimizer) as seen:
        for _ in range(3):
            step(mlp, optimizer)
            mlp.eval()
            mlp(torch.full((7, 4), 1e6))
            mlp.train()
            mlp(torch.full((7, 4), 1e6))
            with torch.no_grad():
                mlp(torch.full((7, 4), 1e6))
    assert seen.frames == 3
    assert seen.values("0", "output", "count") == [16.0 * 8] * 3
    assert max(seen.values("0", "output", "max")) < 1e3


def test_micro_batches_merge_into_one_output(watching, mlp):
    optimizer = _sgd(mlp)
    x = torch.randn(12, 4)
    with watching(mlp, optimizer) as seen:
        for part in x.split(4):
            (mlp(part).square().mean() / 3).backward()
        optimizer.step()
    with watching(mlp, _sgd(mlp, lr=0.0)):
        pass
    assert seen.frames == 1
    assert seen.values("2", "output", "count") == [36.0]
    assert seen.values("2", "output_grad", "count") == [36.0]


def test_an_input_is_measured_with_its_features(watching):
    x = torch.tensor([[1.0, 100.0], [3.0, 300.0], [2.0, 200.0]])
    seen = _train(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), watching, x)
    assert seen.names("input") == ["0"]
    assert seen.values("0", "input") == pytest.approx([float(x.square().mean().sqrt())] * 2)
    assert seen.values("0", "input", "feature_offset") == pytest.approx([6**0.5] * 2)


@pytest.mark.parametrize("shaping", [nn.Flatten(), nn.Identity(), nn.AvgPool1d(1)])
def test_what_was_only_shaped_before_the_first_weights_is_still_input(watching, shaping):
    x = 50.0 * torch.rand(5, 3, generator=torch.Generator().manual_seed(0))
    seen = _train(nn.Sequential(shaping, nn.Linear(3, 2), nn.Linear(2, 2)), watching, x)
    assert seen.names("input") == ["1"]
    assert seen.values("1", "input") == pytest.approx([float(x.square().mean().sqrt())] * 2)


def test_features_of_a_frozen_body_are_no_input(watching):
    body = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Flatten()).requires_grad_(
        requires_grad=False
    )
    seen = _train(nn.Sequential(body, nn.Linear(4, 2)), watching, torch.ones(5, 3))
    assert "1" not in seen.names("input")


def test_gradients_of_a_sum_of_branches_arrive_whole(watching):
    def forward(s, x):
        h = s.a(x)
        return s.b(h) + 3 * h

    net = Net(forward, a=nn.Linear(2, 2), b=nn.Linear(2, 2))
    with torch.no_grad():
        net.b.weight.copy_(torch.eye(2))
    seen = _train(net, watching, torch.ones(1, 2), steps=1, loss=lambda y: y.sum())
    assert seen.values("a", "output_grad") == [4.0]


def test_sparse_and_integer_outputs_switch_nothing_off(watching):
    net = Net(
        lambda s, x: (s.i(x), s.s(x), s.a(x))[2],
        a=nn.Linear(3, 3),
        i=Net(lambda _, x: x.long()),
        s=Net(lambda _, x: x.detach().to_sparse()),
    )
    assert "a" in _train(net, watching, torch.randn(4, 3)).names("output")


def test_an_output_with_the_negative_bit_is_read(watching):
    net = Net(lambda s, x: s.im(torch.complex(s.a(x), s.a(x))), a=nn.Linear(3, 3))
    net.im = Net(lambda _, z: z.conj().imag)
    seen = _train(net, watching, torch.randn(4, 3))
    assert "im" in seen.names("output")


def test_lazy_modules_are_watched_from_their_first_call(watching):
    net = nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.LazyLinear(2))
    x = torch.randn(5, 3)
    net(x)
    seen = _train(net, watching, x)
    assert seen.names("weight") == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_a_recurrent_net_is_one_stage(watching):
    net = Net(lambda s, x: s.head(s.lstm(x)[0]), lstm=nn.LSTM(3, 4), head=nn.Linear(4, 2))
    assert _train(net, watching, torch.randn(5, 2, 3)).names("output") == ["lstm", "head"]


def test_compilation_does_not_crash_and_parameters_are_seen(watching):
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    optimizer = _sgd(net)
    with watching(net, optimizer, functional=True) as seen:
        compiled = torch.compile(net, backend="eager")
        for _ in range(3):
            optimizer.zero_grad()
            compiled(torch.randn(5, 4)).sum().backward()
            optimizer.step()
    torch._dynamo.reset()
    assert seen.events("tap-off") == []
    assert seen.frames == 3
    assert min(seen.values("0.weight", "update")) > 0


def test_the_units_of_an_activation_after_a_one_dimensional_convolution_are_its_channels():
    sink = MemorySink()
    probe = Probe(sink)
    net = nn.Sequential(nn.Conv1d(2, 6, 3), nn.ReLU())
    with torch.no_grad():
        net[0].bias[:5] = -100.0  # five of six channels are dead
    with taps.module_tap(probe, net), taps.backward_tap(probe):
        net(torch.randn(4, 2, 30)).square().mean().backward()
    probe.finish()
    recording = sink.recording()
    site = recording.site("1", "output")
    assert site.unit_axis == 1
    assert recording.values(site, "dead_units")[0] == pytest.approx(5 / 6)


def test_validations_with_gradients_leave_neither_hooks_nor_entries(watching, mlp, step):
    optimizer = torch.optim.SGD(mlp.parameters(), lr=0.1)
    with watching(mlp, optimizer) as seen:
        step(mlp, optimizer)
        kept = [mlp(torch.ones(2, 4)) for _ in range(1000)]
        held = seen.probe.forward.stages.held
        assert len(held.entries) == len(held.hooks) <= MAX_HELD
        assert sum(place.made for place in seen.probe.forward._places.values()) <= MAX_HELD
        for _ in range(4):
            step(mlp, optimizer)
        assert len(held.hooks) == 0
    assert kept
    assert seen.names("output") == ["0", "1", "2"]
    assert seen.values("0", "output", "count") == [16 * 8] * 5


class Cell(nn.Module):
    """Calls its cells again and again, each time with a greater input."""

    def __init__(self, cells, calls):
        super().__init__()
        self.cells = nn.ModuleList(nn.Linear(4, 4, bias=False) for _ in range(cells))
        for cell in self.cells:
            nn.init.eye_(cell.weight)
        self.calls = calls

    def forward(self):
        inputs = (torch.full((1, 4), i + 1.0) for i in range(self.calls))
        return [cell(x) for x in inputs for cell in self.cells]


@pytest.mark.parametrize(("cells", "calls", "last"), [(1, 2100, 2100), (40, 60, 60)])
def test_calls_keep_their_numbers_where_there_are_too_many(watching, cells, calls, last):
    net = Cell(cells, calls)
    with watching(net, torch.optim.SGD(net.parameters(), lr=0.0)) as seen:
        for _ in range(2):
            outputs = net()
            sum((i // cells + 1) * y.sum() for i, y in enumerate(outputs)).backward()
    first = 1 if cells == 1 else 27  # of 2,400 calls 1,024 were let go of
    names = seen.names("output")
    assert len([name for name in names if name.startswith("cells.0")]) == min(64, last) - first + 1
    for call in (first, first + 1, 60):
        name = "cells.0" if call == 1 else f"cells.0#{call}"
        assert seen.values(name, "output") == [call] * len(seen.sink.steps), name
        assert seen.values(name, "output_grad") == [call] * len(seen.sink.steps), name


def test_two_backwards_after_two_forwards_are_recorded_both(watching, mlp):
    optimizer = torch.optim.SGD(mlp.parameters(), lr=0.0)
    x = torch.ones(2, 4)
    with watching(mlp, optimizer) as seen:
        for _ in range(3):
            first, second = mlp(x).mean(), mlp(100 * x).mean()
            first.backward()
            second.backward()
            optimizer.step()
    assert seen.values("0", "output", "count") == [2 * 2 * 8] * 3
    assert seen.values("0", "output_grad", "count") == [2 * 2 * 8] * 3
    assert seen.names("output") == ["0", "1", "2"]


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk, self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 1), nn.Linear(8, 1)

    def forward(self, x):
        z = torch.tanh(self.trunk(x))
        return self.a(z), self.b(z)


def test_two_heads_may_have_a_backward_each(watching):
    net = TwoHeads()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    with watching(net, optimizer) as seen:
        for _ in range(6):
            optimizer.zero_grad()
            a, b = net(torch.ones(2, 4))
            a.mean().backward(retain_graph=True)
            b.mean().backward()
            optimizer.step()
    assert {name: seen.values(name, "output", "count") for name in seen.names("output")} == {
        "trunk": [16.0] * 6,
        "a": [2.0] * 6,
        "b": [2.0] * 6,
    }
    assert seen.events("blind") == []


def test_a_head_that_no_loss_uses_is_let_go_of(watching):
    net = TwoHeads()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    with watching(net, optimizer) as seen:
        for _ in range(12):
            net(torch.ones(2, 4))[0].mean().backward()
            optimizer.step()
        held = seen.probe.forward.stages.held
        assert len(held.entries) == len(held.hooks) == 2
    assert seen.names("output") == ["trunk", "a"]
    assert seen.values("trunk", "output", "count") == [16] * 12
    assert "sample_spread" in seen.sink.recording().quantities(seen.site("a", "output"))


@pytest.mark.parametrize("reentrant", [True, False])
def test_calls_of_one_module_in_a_checkpoint_are_told_apart(watching, reentrant):
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4, bias=False))
    nn.init.eye_(net[1].weight)
    seen_inputs = torch.ones(2, 4)

    def twice(x):
        return net[1](net[1](x) * 3.0)

    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    with watching(net, optimizer) as seen:
        for _ in range(2):
            optimizer.zero_grad()
            y = checkpoint(twice, net[0](seen_inputs), use_reentrant=reentrant)
            y.sum().backward()
            optimizer.step()
    assert sorted(seen.names("output")) == ["0", "1", "1#2"]
    one, two = (np.array(seen.values(name, "output")) for name in ("1", "1#2"))
    assert two == pytest.approx(3 * one)
    assert seen.values("1", "output_grad") == [3.0, 3.0]
    assert seen.values("1#2", "output_grad") == [1.0, 1.0]
