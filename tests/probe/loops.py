"""Ways to train: each takes a :class:`Loop` and does one iteration of it."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset


@dataclass
class Loop:
    """A training: its model, its optimisers, a maker of batches, and what else it keeps."""

    model: nn.Module
    optimizers: list[Any]
    batch: Callable[[], Any]
    kept: dict[str, Any] = field(default_factory=dict)
    outputs: list[Any] = field(default_factory=list)

    def loss(self, x=None):
        x = self.batch() if x is None else x
        scores = self.model(**x) if isinstance(x, dict) else self.model(x)
        y = torch.from_numpy(np.random.randint(3, size=len(scores)))  # noqa: NPY002
        return F.cross_entropy(scores.float(), y) * random.choice([1.0, 0.5])  # noqa: S311

    def zero(self, *, set_to_none=True):
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=set_to_none)

    def step(self):
        for optimizer in self.optimizers:
            optimizer.step()

    def evaluate(self, mode):
        self.model.eval()
        with mode():
            self.outputs.append(self.model(self.batch()).clone())
        self.model.train()


def plain(loop, i):
    loop.zero(set_to_none=bool(i % 3))
    loss = loop.loss()
    loss.backward()
    loop.step()
    return loss


def everyday(loop, i):
    """Clipped now and then, validated now and then."""
    loop.zero(set_to_none=bool(i % 3))
    loss = loop.loss()
    loss.backward()
    if i % 5 == 0:
        nn.utils.clip_grad_norm_(loop.model.parameters(), 0.5)
    loop.step()
    if i % 10 == 0:
        loop.model.eval()
        with torch.no_grad():
            loop.model(loop.batch())
        loop.model.train()
    return loss


def clipped(loop, _):
    loop.zero()
    loss = loop.loss()
    loss.backward()
    loop.outputs.append(nn.utils.clip_grad_norm_(loop.model.parameters(), 0.1))
    nn.utils.clip_grad_value_(loop.model.parameters(), 0.01)
    loop.step()
    return loss


def validated(loop, i):
    loss = plain(loop, i)
    loop.evaluate(torch.no_grad)
    loop.evaluate(torch.inference_mode)
    return loss


def accumulated(loop, _):
    loop.zero()
    losses = [loop.loss() / 3 for _ in range(3)]
    for loss in losses:
        loss.backward()
    loop.step()
    return sum(losses)


def by_hand(loop, i):
    loss = loop.loss()
    if i % 2:
        loss.backward()
        grads = [p.grad for p in loop.model.parameters()]
    else:
        grads = torch.autograd.grad(loss, list(loop.model.parameters()))
    with torch.no_grad():
        for p, grad in zip(loop.model.parameters(), grads, strict=True):
            p.sub_(0.05 * grad)
            p.grad = None
    return loss


def own_momentum(loop, _):
    loss = loop.loss()
    loss.backward()
    with torch.no_grad():
        for p in loop.model.parameters():
            buffer = loop.kept.setdefault(p, torch.zeros_like(p))
            buffer.mul_(0.9).add_(p.grad + 1e-2 * p)
            p.sub_(0.05 * buffer)
            p.grad = None
    return loss


def two_players(loop, _):
    maker, judge = loop.model["maker"], loop.model["judge"]
    make, judging = loop.optimizers
    fake = maker(loop.batch())
    loss = judge(fake.detach()).square().mean() - judge(torch.randn(6, 8)).mean()
    judging.zero_grad()
    loss.backward()
    judging.step()
    make.zero_grad()
    judge(fake).mean().backward()
    make.step()
    return loss


def closure(loop, _):
    (optimizer,) = loop.optimizers
    x = loop.batch()

    def evaluate():
        optimizer.zero_grad()
        loss = loop.loss(x)
        loss.backward()
        return loss

    return optimizer.step(evaluate)


def sharpness_aware(loop, _):
    x = loop.batch()
    loop.zero()
    loop.loss(x).backward()
    with torch.no_grad():
        climbs = [p.grad * 0.05 for p in loop.model.parameters()]
        for p, climb in zip(loop.model.parameters(), climbs, strict=True):
            p.add_(climb)
    loop.zero()
    loss = loop.loss(x)
    loss.backward()
    with torch.no_grad():
        for p, climb in zip(loop.model.parameters(), climbs, strict=True):
            p.sub_(climb)
    loop.step()
    return loss


def averaged(loop, i):
    """A copy of the model each step, and a moving average that is one."""
    average = loop.kept.setdefault("average", None) or torch.optim.swa_utils.AveragedModel(
        loop.model, avg_fn=lambda old, new, _: 0.9 * old + 0.1 * new
    )
    loop.kept["average"] = average
    loss = plain(loop, i)
    average.update_parameters(loop.model)
    loop.outputs.append(copy.deepcopy(loop.model)(loop.batch()))
    return loss


def in_backward(loop, _):
    """Each parameter is stepped, and its gradient freed, as soon as its gradient is there."""
    if not loop.kept:
        for p, optimizer in zip(loop.model.parameters(), loop.optimizers, strict=True):
            loop.kept["hooked"] = True

            def step(_, optimizer=optimizer):
                optimizer.step()
                optimizer.zero_grad()

            p.register_post_accumulate_grad_hook(step)
    loss = loop.loss()
    loss.backward()
    return loss


def scaled(loop, i, *, overflow=()):
    scaler = loop.kept.setdefault("scaler", None) or torch.amp.GradScaler(
        "cpu", init_scale=2.0**10, growth_interval=4
    )
    loop.kept["scaler"] = scaler
    (optimizer,) = loop.optimizers
    optimizer.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = loop.loss()
    scaler.scale(loss * (float("inf") if i in overflow else 1.0)).backward()
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(loop.model.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()
    return loss


def overflowing(loop, i):
    return scaled(loop, i, overflow=(0, 3, 4))


def penalised(loop, _):
    loop.zero()
    x = loop.batch().requires_grad_()
    (slope,) = torch.autograd.grad(loop.model(x).square().sum(), x, create_graph=True)
    loss = loop.loss(x) + (slope.norm(dim=1) - 1).square().mean()
    loss.backward()
    loop.step()
    return loss


def replaced(loop, _):
    """The model is called with other parameters than its own."""
    loop.zero()
    values = {name: p * 0.9 for name, p in loop.model.named_parameters()}
    loss = torch.func.functional_call(loop.model, values, (loop.batch(),)).square().mean()
    loss.backward()
    loop.step()
    return loss


def per_sample(loop, _):
    """Gradients of every sample, by ``torch.func``."""
    values = {name: p.detach() for name, p in loop.model.named_parameters()}

    def loss(values, x):
        return torch.func.functional_call(loop.model, values, (x[None],)).square().mean()

    grads = torch.func.vmap(torch.func.grad(loss), (None, 0))(values, loop.batch())
    for name, p in loop.model.named_parameters():
        p.grad = grads[name].clamp(-1, 1).mean(0)
    loop.step()
    return torch.stack([p.grad.norm() for p in loop.model.parameters()])


def growing(loop, i):
    if i == 4:
        loop.model.append(nn.Linear(3, 3))
        loop.optimizers[0].add_param_group({"params": list(loop.model[-1].parameters())})
    return plain(loop, i)


def offloaded(loop, i):
    with torch.autograd.graph.save_on_cpu(), torch.autograd.detect_anomaly(check_nan=True):
        return plain(loop, i)


class Noise(Dataset):
    """Samples that a worker draws."""

    def __init__(self, size):
        self._size = size

    def __len__(self):
        return self._size

    def __getitem__(self, _):
        return nn.Linear(8, 8)(torch.randn(8)).detach()


def loaded(loop, i):
    """The batch comes from two forked workers."""
    if i == 0:
        loader = DataLoader(Noise(48), 6, num_workers=2, multiprocessing_context="fork")
        loop.kept["batches"] = iter(loader)
    loop.zero()
    loss = loop.loss(next(loop.kept["batches"]))
    loss.backward()
    loop.step()
    if i == 7:
        del loop.kept["batches"]
    return loss
