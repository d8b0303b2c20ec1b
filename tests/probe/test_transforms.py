"""Gradients by ``torch.func``: seen by a watch, and the same as without one."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, grad, grad_and_value, jvp, vmap
from torch.utils import _pytree as pytree

import gainstage as gs
from gainstage.probe import transforms

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(not transforms.PATCHES, reason="this torch has no such function"),
]


def _x(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _both(tmp_path, compute):
    """What a computation gives without a watch and within one."""
    torch.manual_seed(7)
    plain = compute()
    torch.manual_seed(7)
    with gs.watch(nn.Linear(1, 1), (), dir=tmp_path):
        watched = compute()
    return plain, watched


def _bilinear(a, b, power=2):
    return (a["w"] @ b[0] + b[1][0]).pow(power).sum()


def _loss(params, net, x, y):
    return F.cross_entropy(functional_call(net, params, (x,)), y)


def _net():
    return nn.Sequential(
        nn.Linear(6, 16), nn.GELU(), nn.LayerNorm(16), nn.Dropout(0.3), nn.Linear(16, 4)
    )


@pytest.mark.parametrize("argnums", [0, 1, -1, (0, 1), (1,), (-1, 0)])
@pytest.mark.parametrize("power", [2, 3])
def test_gradients_have_the_structure_and_the_bits_of_torchs(tmp_path, argnums, power):
    a, b = {"w": _x(3, 4)}, [_x(4, 2, seed=1), (_x(3, 2, seed=2), _x(5))]
    for transform in (grad, grad_and_value):
        plain, watched = _both(
            tmp_path, lambda t=transform: t(_bilinear, argnums=argnums)(a, b, power=power)
        )
        torch.testing.assert_close(watched, plain, rtol=0, atol=0)


class Pair:
    """A node of the user's own."""

    def __init__(self, one, other):
        self.one, self.other = one, other


def test_structures_of_the_users_own_are_taken_apart(tmp_path):
    pytree.register_pytree_node(
        Pair, lambda pair: ([pair.one, pair.other], None), lambda parts, _: Pair(*parts)
    )
    plain, watched = _both(
        tmp_path,
        lambda: grad(lambda p: (p.one * p.other).sum())(Pair(_x(3), _x(3, seed=1))),
    )
    assert isinstance(watched, Pair)
    assert watched.one.equal(plain.one)
    assert watched.other.equal(plain.other)


def test_what_comes_along_is_handed_out(tmp_path):
    def function(x):
        return x.square().sum(), {"twice": [2 * x]}

    for transform in (grad, grad_and_value):
        plain, watched = _both(tmp_path, lambda t=transform: t(function, has_aux=True)(_x(3)))
        aux = watched[1] if transform is grad else watched[1][1]
        assert not aux["twice"][0].requires_grad
        assert str(watched) == str(plain)


@pytest.mark.parametrize("function", [lambda x: torch.tensor(3.0), lambda x: (0 * x[:1]).sum()])
def test_what_does_not_depend_on_it_has_a_gradient_of_zeros(tmp_path, function):
    plain, watched = _both(tmp_path, lambda: grad(function)(_x(3)))
    torch.testing.assert_close(watched, plain, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("function", "options"),
    [
        (lambda x: x * 2, {}),
        (lambda x: 3.0, {}),
        (lambda x: (x * 2, 1), {"has_aux": True}),
        (lambda x: x.sum(), {"has_aux": True}),
        (lambda x: (x.sum(), 1, 2), {"has_aux": True}),
        (lambda x: x.sum(), {"argnums": 3}),
        (lambda x: x.sum(), {"argnums": (0, 0)}),
        (lambda x: x.sum(), {"argnums": "x"}),
    ],
)
def test_what_torch_refuses_it_refuses_in_its_own_words(tmp_path, function, options):
    def compute():
        with pytest.raises(Exception) as error:  # noqa: PT011 - whatever torch raises
            grad(function, **options)(_x(3))
        return type(error.value), str(error.value)

    plain, watched = _both(tmp_path, compute)
    assert watched == plain


def test_integers_are_refused_by_torch(tmp_path):
    with (
        gs.watch(nn.Linear(1, 1), (), dir=tmp_path),
        pytest.raises(RuntimeError, match="floating"),
    ):
        grad(lambda x: x.sum().float())(torch.arange(3))


@pytest.mark.parametrize("outer", [True, False])
def test_random_numbers_and_weights_that_want_gradients(tmp_path, outer):
    def compute():
        torch.manual_seed(0)
        net, x, y = _net(), _x(8, 6), torch.arange(8) % 4
        params = dict(net.named_parameters())
        with torch.set_grad_enabled(outer):
            grads, value = grad_and_value(_loss)(params, net, x, y)
        wants = {name: g.requires_grad for name, g in grads.items()}
        return {k: g.detach() for k, g in grads.items()}, value.detach(), wants, torch.rand(3)

    plain, watched = _both(tmp_path, compute)
    assert watched[2] == plain[2]
    torch.testing.assert_close(watched[:2], plain[:2], rtol=0, atol=0)
    assert watched[3].equal(plain[3])


def test_a_gradient_is_differentiated_further(tmp_path):
    def compute():
        weight = _x(5).requires_grad_()
        inner = weight - 0.1 * grad(lambda w: w.pow(3).sum())(weight)
        inner.square().sum().backward()
        along = grad(lambda x: (grad(torch.sin)(x) * weight[0]) ** 2)(torch.tensor(0.3))
        along.backward()
        return weight.grad

    torch.testing.assert_close(*_both(tmp_path, compute), rtol=0, atol=0)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # jvp's own
def test_within_other_transforms_torchs_own_runs(tmp_path):
    def compute():
        each = vmap(grad(lambda x: x.sin().sum()))(_x(4, 3))
        along = jvp(grad(lambda x: x.pow(3).sum()), (_x(3),), (_x(3, seed=1),))
        within = grad(lambda x: vmap(grad(lambda y: y.pow(3)))(x).sum())(_x(4))
        return each, along, within

    torch.testing.assert_close(*_both(tmp_path, compute), rtol=0, atol=0)


def test_what_the_function_holds_itself_is_a_constant(tmp_path):
    weights = {"w": _x(4)}

    def near(params):
        return (params["w"] * weights["w"]).sum()  # the very same tensor

    plain, watched = _both(tmp_path, lambda: grad(near)(weights))
    assert watched["w"].equal(weights["w"])
    assert plain["w"].equal(weights["w"])


def _trained(tmp_path, update, *, detached=True, steps=12):
    torch.manual_seed(0)
    net, x, y = _net(), _x(8, 6), torch.arange(8) % 4
    params = dict(net.named_parameters())
    if detached:
        params = {name: p.detach().clone() for name, p in params.items()}
    with gs.watch(net, (), dir=tmp_path) as run:
        for _ in range(steps):
            grads = grad(_loss)(params, net, x, y)
            params = update(params, grads)
    return gs.open(run.path).recording, params


def _anew(params, grads):
    return {name: p - 0.1 * grads[name] for name, p in params.items()}


def _in_place(params, grads):
    with torch.no_grad():
        for name, p in params.items():
            p.sub_(0.1 * grads[name])
    return params


SCRIPT = """
import torch
import torch.nn.functional as F
from torch.func import functional_call, grad_and_value

torch.manual_seed(0)
x, y = torch.randn(32, 6), torch.randn(32)
net = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
PARAMS

def objective(p):
    return F.mse_loss(OUTPUT, y)

step = grad_and_value(objective)
for _ in range(20):
    grads, value = step(params)
    params = {name: p - 0.1 * grads[name] for name, p in params.items()}
"""
MODULE = {
    "PARAMS": "params = {name: p.detach().clone() for name, p in net.named_parameters()}",
    "OUTPUT": "functional_call(net, p, (x,)).squeeze(1)",
}
BARE = {
    "PARAMS": "params = {'v': torch.randn(6, 16), 'w': 0.1 * torch.randn(16, 1)}",
    "OUTPUT": "((x @ p['v']).tanh() @ p['w']).squeeze(1)",
}


@pytest.mark.parametrize(
    ("spelling", "names"),
    [
        (MODULE, {"0.weight", "0.bias", "2.weight", "2.bias"}),
        (BARE, {"params['v']", "params['w']"}),
    ],
)
def test_a_script_is_observed_from_its_first_step(tmp_path, spelling, names):
    text = SCRIPT
    for word, code in spelling.items():
        text = text.replace(word, code)
    script = tmp_path / "train.py"
    script.write_text(text)
    command = [sys.executable, "-m", "gainstage", "run", "--dir", str(tmp_path), str(script)]
    subprocess.run(command, check=True, capture_output=True)
    recording = gs.open(next(tmp_path.glob("*.gs"))).recording
    assert len(recording.steps) == 20
    for kind in ("weight", "grad", "update"):
        sites = recording.of_kind(kind)
        assert {site.name for site in sites} == names
        known = [np.isfinite(recording.values(site, "rms")).sum() for site in sites]
        assert min(known) >= 18


@pytest.mark.parametrize(
    ("update", "detached"),
    # made anew without being detached, the graph of all steps would hang together
    [(_anew, True), (_in_place, True), (_in_place, False)],
)
def test_steps_by_hand_are_seen_under_the_names_of_the_modules(tmp_path, update, detached):
    recording, _ = _trained(tmp_path, update, detached=detached)
    assert len(recording.steps) == 12
    names = {site.name for site in recording.of_kind("update")}
    assert names == {name for name, _ in _net().named_parameters()}
    site = next(s for s in recording.of_kind("update") if s.name == "0.weight")
    rms = recording.values(site, "rms")
    assert (rms[1:-1] > 0).all()
    stages = {site.name for site in recording.of_kind("output_grad")}
    assert {"0", "4"} <= stages


def test_a_watched_training_is_the_same_bit_for_bit(tmp_path):
    _, watched = _trained(tmp_path, _anew)
    torch.manual_seed(0)
    net, x, y = _net(), _x(8, 6), torch.arange(8) % 4
    params = {name: p.detach().clone() for name, p in net.named_parameters()}
    for _ in range(12):
        params = _anew(params, grad(_loss)(params, net, x, y))
    torch.testing.assert_close(watched, params, rtol=0, atol=0)


def test_an_optimiser_is_given_the_gradients(tmp_path):
    torch.manual_seed(0)
    net, x, y = _net(), _x(8, 6), torch.arange(8) % 4
    optimizer = torch.optim.Adam(net.parameters())
    with gs.watch(net, optimizer, dir=tmp_path) as run:
        for _ in range(6):
            params = dict(net.named_parameters())
            for p, g in zip(net.parameters(), grad(_loss)(params, net, x, y).values(), strict=True):
                p.grad = g.detach()
            optimizer.step()
    recording = gs.open(run.path).recording
    assert len(recording.steps) == 6
    assert {"0", "4"} <= {site.name for site in recording.of_kind("output_grad")}


def test_the_slope_along_the_data_is_no_step(tmp_path):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = torch.optim.Adam(net.parameters())
    with gs.watch(net, optimizer, dir=tmp_path) as run:
        for _ in range(5):
            x = torch.rand(1)
            slope = grad(lambda at: net(at).sum())(x)
            optimizer.zero_grad()
            (slope - 1).square().sum().backward()
            optimizer.step()
    assert len(gs.open(run.path).recording.steps) == 5


def test_the_slope_along_the_data_is_no_step_without_an_optimiser_either(tmp_path):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
    with gs.watch(net, (), dir=tmp_path) as run:
        for _ in range(5):
            slope = grad(lambda at: net(at).sum())(torch.rand(1))
            (slope - 1).square().sum().backward()
            with torch.no_grad():
                for p in net.parameters():
                    if p.grad is not None:
                        p.sub_(0.1 * p.grad)
                        p.grad = None
    assert len(gs.open(run.path).recording.steps) == 5


def test_torch_has_its_own_back_afterwards(tmp_path):
    where = torch._functorch.eager_transforms
    before = where.grad_and_value_impl
    with gs.watch(nn.Linear(1, 1), (), dir=tmp_path):
        assert where.grad_and_value_impl is not before
    assert where.grad_and_value_impl is before
