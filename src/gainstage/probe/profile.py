"""``gs.profile``: one forward and backward pass, the level of every stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from typing_extensions import override

from gainstage.errors import UsageError
from gainstage.probe import taps
from gainstage.probe.functions import FunctionTap
from gainstage.probe.probe import Probe
from gainstage.probe.sink import MemorySink
from gainstage.recording import MemoryRecording


class Profile:
    """The level of every stage in one pass; print it for the level diagram.

    Attributes:
        recording: the numbers.
        loss: the loss of the pass.
    """

    def __init__(self, recording: MemoryRecording, loss: float) -> None:
        self.recording = recording
        self.loss = loss

    @override
    def __str__(self) -> str:
        from gainstage.render.text import levels_table  # noqa: PLC0415 - only to print

        return levels_table(self.recording)

    @override
    def __repr__(self) -> str:
        stages = len(self.recording.of_kind("output"))
        return f"<Profile: {stages} stages, loss {self.loss:.4g}; print it for the levels>"


def profile(model: nn.Module, batch: Any, loss_fn: Callable[..., Tensor]) -> Profile:
    """Run one forward and backward pass and measure the level of every stage.

    The model is left as it was: parameters, their ``.grad``, buffers (BatchNorm's statistics)
    and the random state.

    Args:
        model: the network.
        batch: ``(inputs, targets)``, or a mapping of keyword arguments, or the inputs alone.
        loss_fn: called as ``loss_fn(output, targets)``, or ``loss_fn(output)`` without targets;
            returns a scalar.

    Raises:
        UsageError: the loss is no scalar, or nothing in it depends on the parameters.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> net = nn.Sequential(nn.Linear(16, 64), nn.Tanh(), nn.Linear(64, 3))
        >>> batch = torch.randn(128, 16), torch.randint(3, (128,))
        >>> levels = profile(net, batch, nn.functional.cross_entropy)
        >>> [site.name for site in levels.recording.of_kind("output")]
        ['0', '1', '2']
    """
    sink = MemorySink()
    probe = Probe(sink)
    with as_it_was(model, batch), ExitStack() as stack, torch.enable_grad():
        stack.enter_context(taps.module_tap(probe, model))
        stack.enter_context(taps.backward_tap(probe))
        stack.enter_context(FunctionTap(probe.forward))
        loss = loss_for(output_of(model, batch), batch, loss_fn)
        loss.backward()  # type: ignore[no-untyped-call]
        probe.finish()
    return Profile(sink.recording(), float(loss.detach()))


def loss_for(output: Any, batch: Any, loss_fn: Callable[..., Tensor]) -> Tensor:
    """The loss of an output, for a batch with targets or without: see :func:`profile`.

    Raises:
        UsageError: it is no scalar, or nothing in it depends on the parameters.
    """
    loss = loss_fn(output, batch[1]) if _has_targets(batch) else loss_fn(output)
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        shape = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
        msg = f"loss_fn must return a scalar tensor, but returned {shape}; average it."
        raise UsageError(msg)
    if not loss.requires_grad:
        msg = "The loss does not depend on any parameter that requires a gradient."
        raise UsageError(msg)
    return loss


def output_of(model: nn.Module, batch: Any) -> Any:
    """What a model makes of a batch: see :func:`profile`."""
    if isinstance(batch, Mapping):
        return model(**batch)
    return model(batch[0] if _has_targets(batch) else batch)


def _has_targets(batch: Any) -> bool:
    return isinstance(batch, (tuple, list)) and len(batch) == 2


@contextmanager
def as_it_was(model: nn.Module, batch: Any = None) -> Iterator[None]:
    """Give gradients (a batch's, too), buffers and the random state back as they were found."""
    given = (x for x in pytree.tree_leaves(batch) if isinstance(x, Tensor) and x.is_leaf)
    grads = [(p, p.grad) for p in (*model.parameters(), *given)]
    buffers = [(b, b.detach().clone()) for b in model.buffers()]
    # a forward may put a new tensor in a buffer's place
    owners = [(module._buffers, dict(module._buffers)) for module in model.modules()]  # noqa: SLF001
    for parameter, _ in grads:
        parameter.grad = None
    try:
        with torch.random.fork_rng():
            yield
    finally:
        for parameter, grad in grads:
            parameter.grad = grad
        with torch.no_grad():
            for buffer, kept in buffers:
                buffer.copy_(kept)
        for held, found in owners:
            held.update(found)
