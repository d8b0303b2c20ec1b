"""Attaching leaves no trace: on modules, tensors, optimisers, torch itself, copies and forks."""

from __future__ import annotations

import copy
import io
import os
import pickle
import subprocess
import sys
import threading

import pytest
import torch
from torch import nn
from torch.nn.modules import module as global_module
from torch.optim import optimizer as global_optimizer

from gainstage.probe import taps
from gainstage.probe.taps import Hook


def _sgd(net, lr=0.1):
    return torch.optim.SGD(net.parameters(), lr=lr)


HOOKS_OF_MODULES = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
)
GLOBAL_HOOKS = (
    (global_module, "_global_forward_hooks"),
    (global_module, "_global_forward_pre_hooks"),
    (global_optimizer, "_global_optimizer_pre_hooks"),
    (global_optimizer, "_global_optimizer_post_hooks"),
)


def count_hooks(model, optimizer):
    """Every hook that hangs on a model, its parameters, its optimiser, or on all of torch."""
    found = sum(len(getattr(m, name)) for m in model.modules() for name in HOOKS_OF_MODULES)
    for parameter in model.parameters():
        found += len(parameter._backward_hooks or ())
        found += len(parameter._post_accumulate_grad_hooks or ())
    found += len(optimizer._optimizer_step_pre_hooks) + len(optimizer._optimizer_step_post_hooks)
    return found + sum(len(getattr(place, name)) for place, name in GLOBAL_HOOKS)


def patched():
    return (
        torch.autograd.backward,
        torch.autograd.grad,
        torch.optim.Optimizer.__init__,
        torch.overrides._get_current_function_mode_stack(),
    )


@pytest.mark.parametrize("how", ["watching", "watching_everything"])
@pytest.mark.parametrize("raises", [False, True])
def test_leaving_removes_every_hook_and_restores_torch(request, mlp, step, how, raises):
    enter = request.getfixturevalue(how)
    optimizer = _sgd(mlp)
    hooks, functions = count_hooks(mlp, optimizer), patched()

    def train():
        with enter() if how == "watching_everything" else enter(mlp, optimizer, functional=True):
            assert count_hooks(mlp, optimizer) > hooks
            step(mlp, optimizer)
            mlp(torch.ones(2, 4))
            if raises:
                raise ZeroDivisionError

    if raises:
        with pytest.raises(ZeroDivisionError):
            train()
    else:
        train()
    assert count_hooks(mlp, optimizer) == hooks
    assert patched() == functions


def test_hooks_of_the_user_stay(watching, mlp):
    mlp[0].register_forward_hook(lambda *_: None)
    optimizer = _sgd(mlp)
    optimizer.register_step_post_hook(lambda *_: None)
    with watching(mlp, optimizer):
        pass
    assert count_hooks(mlp, optimizer) == 2


def test_two_watches_at_once_see_the_same(watching, mlp, step):
    optimizer = _sgd(mlp)
    functions = patched()
    with watching(mlp, optimizer) as outer, watching(mlp, optimizer) as inner:
        for _ in range(2):
            step(mlp, optimizer)
    assert outer.frames == inner.frames == 2
    assert outer.run("loss") == inner.run("loss")
    assert outer.values("0", "output") == inner.values("0", "output")
    assert patched() == functions


def test_a_model_can_be_watched_again(watching, mlp, step):
    optimizer = _sgd(mlp)
    for _ in range(2):
        with watching(mlp, optimizer) as seen:
            step(mlp, optimizer)
        assert seen.frames == 1


def _saved(x):
    buffer = io.BytesIO()
    torch.save(x, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=False)


COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda x: pickle.loads(pickle.dumps(x)),  # noqa: S301 - our own bytes
    "torch.save": _saved,
}


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_of_a_watched_model_is_just_a_copy(watching, mlp, step, how):
    optimizer = _sgd(mlp)
    with watching(mlp, optimizer) as seen:
        step(mlp, optimizer)
        twin = COPIES[how](mlp)
        steps = COPIES[how](optimizer)
        for _ in range(3):
            twin(torch.ones(99, 4)).sum().detach()
        steps.step()
        step(mlp, optimizer)
    assert seen.frames == 2
    assert seen.values("0", "output", "count") == [128.0, 128.0]
    assert seen.events("tap-off") == []
    assert twin.state_dict().keys() == mlp.state_dict().keys()


def test_the_averaged_copy_of_a_watched_model_works(watching, mlp, step):
    optimizer = _sgd(mlp)
    with watching(mlp, optimizer) as seen:
        average = torch.optim.swa_utils.AveragedModel(mlp)
        for _ in range(3):
            step(mlp, optimizer)
            average.update_parameters(mlp)
            average(torch.ones(1, 4))
    assert seen.frames == 3


def test_a_state_dict_has_no_key_more(watching, mlp, step):
    optimizer = _sgd(mlp)
    plain = list(mlp.state_dict()), list(optimizer.state_dict())
    with watching(mlp, optimizer):
        step(mlp, optimizer)
        assert (list(mlp.state_dict()), list(optimizer.state_dict())) == plain
        buffer = io.BytesIO()
        torch.save(mlp.state_dict(), buffer)
        buffer.seek(0)
        mlp.load_state_dict(torch.load(buffer, weights_only=True))


def test_a_model_saved_while_watched_loads_where_gainstage_is_not_installed(
    watching, mlp, tmp_path
):
    path = tmp_path / "model.pt"
    with watching(mlp, _sgd(mlp)):
        torch.save(mlp, path)
    code = f"""
import sys
sys.modules["gainstage"] = None
import torch
print(torch.load({str(path)!r}, weights_only=False)(torch.ones(1, 4)).shape)
"""
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert found.stdout == "torch.Size([1, 3])\n", found.stderr


def test_an_inert_hook_returns_nothing():
    hook = copy.deepcopy(Hook(lambda *_: 1 / 0))
    assert hook(1, 2, 3) is None
    assert Hook(lambda *_: 7)() is None


# ---- the backward functions keep their manners


def test_autograd_grad_accepts_a_generator(watching, mlp):
    with watching(mlp, _sgd(mlp)) as seen:
        grads = torch.autograd.grad(mlp(torch.ones(2, 4)).sum(), mlp.parameters())
        assert len(grads) == 4
        with pytest.raises(RuntimeError):
            torch.autograd.grad(mlp(torch.ones(2, 4)).sum(), (p for p in ()))
    assert seen.events("tap-off") == []


def test_autograd_backward_accepts_generators(watching, mlp):
    y = mlp(torch.ones(2, 4))
    with watching(mlp, _sgd(mlp)) as seen:
        torch.autograd.backward((t for t in (y, y)), (torch.ones_like(y) for _ in range(2)))
    assert seen.run("loss") == pytest.approx([2 * float(y.sum().detach())])
    assert mlp[2].bias.grad.tolist() == [4.0, 4.0, 4.0]


def test_an_edge_of_the_graph_is_a_root_like_any_other(watching, mlp, step):
    optimizer = _sgd(mlp)
    with watching(mlp, optimizer) as seen:
        loss = mlp(torch.ones(2, 4)).sum()
        edge = torch.autograd.graph.get_gradient_edge(loss)
        torch.autograd.backward(edge, torch.ones(()))
        optimizer.step()
        step(mlp, optimizer)
    assert seen.events("tap-off") == []
    assert seen.frames == 2


WRONG = {
    "no tensor": lambda: torch.autograd.backward(None),
    "a number": lambda: torch.autograd.grad(1.0, [torch.ones(1, requires_grad=True)]),
    "no gradient": lambda: torch.ones(1).backward(),
    "not a scalar": lambda: torch.ones(2, requires_grad=True).mul(2).backward(),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_calls_raise_what_torch_raises(watching, mlp, kind):
    with pytest.raises((RuntimeError, TypeError)) as plain:
        WRONG[kind]()
    with watching(mlp, _sgd(mlp)) as seen, pytest.raises(plain.type) as watched:
        WRONG[kind]()
    assert str(watched.value) == str(plain.value)
    assert seen.events("tap-off") == []


def test_gradients_of_a_penalty_are_no_step_of_their_own(watching, mlp):
    optimizer = _sgd(mlp)
    losses = []
    with watching(mlp, optimizer) as seen:
        for _ in range(3):
            x = torch.randn(4, 4, requires_grad=True)
            y = mlp(x).sum()
            (slope,) = torch.autograd.grad(y, x, create_graph=True)
            (again,) = torch.autograd.grad(y, x, None, True, True)  # noqa: FBT003 - as torch has it
            assert again.requires_grad
            loss = y.square() + slope.square().sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
    assert seen.frames == 3
    assert seen.run("loss") == pytest.approx(losses)
    assert seen.names("weight") == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_gradients_of_a_penalty_do_not_mix_with_those_of_the_loss(watching, mlp):
    with watching(mlp, _sgd(mlp)) as seen:
        x = torch.randn(4, 4, requires_grad=True)
        y = mlp(x)
        (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        (1e-6 * y.sum() + 0 * slope.sum()).backward()
    assert seen.values("2", "output_grad") == [pytest.approx(1e-6)]


def test_an_attack_on_the_input_does_not_count_as_loss(watching, mlp):
    optimizer = _sgd(mlp)
    losses = []
    with watching(mlp, optimizer) as seen:
        for _ in range(3):
            x = torch.randn(4, 4, requires_grad=True)
            (slope,) = torch.autograd.grad(mlp(x).square().mean(), x)
            loss = mlp((x + 0.1 * slope.sign()).detach()).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
    assert seen.frames == 3
    assert seen.run("loss") == pytest.approx(losses)
    assert seen.values("0", "output", "count") == [32.0] * 3


def test_an_optimizer_made_while_watched_is_known(watching_everything, mlp, step):
    with watching_everything() as seen:
        optimizer = torch.optim.Adam(mlp.parameters(), lr=0.02)
        step(mlp, optimizer)
    assert seen.probe.facts["optimizers"] == ["Adam"]
    assert seen.run("lr") == [pytest.approx(0.02)]


# ---- other processes, other threads


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_trains_without_touching_the_run(watching, mlp, step):
    optimizer = _sgd(mlp)
    with watching(mlp, optimizer, functional=True) as seen:
        step(mlp, optimizer)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                step(mlp, optimizer)
                step(mlp, optimizer)
                seen.probe.finish()
                code = 0 if seen.frames == 0 else 3
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        step(mlp, optimizer)
    assert seen.frames == 2


def test_a_forward_on_another_thread_disturbs_nothing(watching, mlp, step):
    optimizer = _sgd(mlp)
    twin = copy.deepcopy(mlp)
    with watching(mlp, optimizer) as seen:
        step(mlp, optimizer)
        thread = threading.Thread(target=lambda: twin(torch.ones(2, 4)).sum().backward())
        thread.start()
        thread.join()
        step(mlp, optimizer)
    assert seen.events("tap-off") == []


def test_hooks_are_called_once_for_each_module(watching, mlp):
    entered = []
    with watching(mlp, _sgd(mlp)) as seen:
        original = seen.probe.forward.enter_module
        seen.probe.forward.enter_module = lambda m, inputs: (entered.append(m), original(m, inputs))
        mlp(torch.ones(1, 4))
    assert [type(m).__name__ for m in entered] == ["Sequential", "Linear", "ReLU", "Linear"]


def test_module_tap_removes_what_it_hung_when_the_model_is_refused():
    class Refusing(nn.Linear):
        def register_forward_hook(self, *_, **__):
            raise RuntimeError

    net = nn.Sequential(nn.Linear(2, 2), Refusing(2, 2))
    from gainstage.probe.probe import Probe
    from gainstage.probe.sink import MemorySink

    with pytest.raises(RuntimeError), taps.module_tap(Probe(MemorySink()), net):
        pass
    assert count_hooks(net, _sgd(net)) == 0
