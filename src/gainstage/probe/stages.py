"""The signal chain: what each stage puts out, and the gradient that comes back to it."""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from gainstage.probe.guard import Guard
from gainstage.probe.recorder import Recorder
from gainstage.probe.units import UnitMarks, UnitWindow, by_unit, feature_numbers, unit_axis
from gainstage.sketch.sketch import Sketch
from gainstage.sketch.tensors import measure

MAX_CALLS: Final = 64
"""Calls of one stage within a step that get a site of their own; later ones share the last."""

MAX_HELD: Final = 2048
"""Forward measurements held for a backward that may never come (an evaluation with gradients)."""

ALWAYS: Final = 32
EVERY: Final = 16
"""An input's features are looked at in the first steps, then at every sixteenth."""


@dataclass(slots=True)
class Entry:
    """One call of one stage, measured, waiting for its gradient to say that it is training."""

    layer: Callable[[], str]
    op: str
    shape: tuple[int, ...]
    dtype: str
    axis: int | None
    sketch: Sketch
    marks: UnitMarks | None
    root: int
    needs_grad: bool
    grad: Sketch | None = None
    feed: Sketch | None = None
    feed_shape: tuple[int, ...] = ()
    feed_numbers: dict[str, float] = field(default_factory=dict)


class Stages:
    """Measures outputs at once and records them when a gradient has come back through them.

    A forward pass that nobody differentiates (validation) leaves no trace. Calls of one stage
    within a step are told apart as ``name``, ``name#2``, ...; micro-batches merge.
    """

    def __init__(self, recorder: Recorder, guard: Guard) -> None:
        self.in_backward = False
        """Whether a backward runs for a step; gradients of a penalty pass unmeasured."""
        self._recorder = recorder
        self._guard = guard
        self._held: list[Entry] = []
        self._hooks: list[RemovableHandle] = []
        self._windows: dict[int, UnitWindow] = {}
        self._outputs: dict[int, Callable[[], Tensor | None]] = {}
        self._last: Callable[[], Tensor | None] = lambda: None
        self._last_version = 0

    def output(
        self,
        layer: Callable[[], str],
        op: str,
        tensor: Tensor,
        *,
        root: int = 0,
        module: nn.Module | None = None,
    ) -> Entry | None:
        """Measure what a stage returned and listen for its gradient.

        Args:
            layer: gives the stage's name, asked once the names are known.
            op: the operation.
            tensor: its output.
            root: number of the outermost module call that this one is part of.
            module: the module that made it, if one did.

        Returns:
            The entry; None if the tensor is a view of the previous one, or a scalar.
        """
        if tensor.dim() == 0 or not tensor.is_floating_point() or self._is_last(tensor):
            return None
        axis = unit_axis(tensor, module)
        before = self._held[-1] if self._held else None
        if before is not None and before.shape == tuple(tensor.shape) and tensor.dim() == 3:
            axis = before.axis  # an activation's channels are those of what it was applied to
        sketch = self._recorder.measure(tensor)
        marks = None
        if axis is not None and sketch.summary.count and tensor.layout == torch.strided:
            marks = UnitMarks.of(by_unit(tensor, axis), op)
        entry = Entry(
            layer,
            op,
            tuple(tensor.shape),
            str(tensor.dtype).removeprefix("torch."),
            axis,
            sketch,
            marks,
            root,
            tensor.requires_grad,
        )
        if len(self._held) >= MAX_HELD:
            del self._held[: MAX_HELD // 2]
        self._held.append(entry)
        self.listen(entry, tensor)
        self._last = weakref.ref(tensor)
        self._last_version = _version(tensor)
        self._outputs[id(tensor)] = self._last
        return entry

    def listen(self, entry: Entry, tensor: Tensor) -> None:
        """Record the gradient that reaches `tensor` as the entry's."""
        if tensor.requires_grad:
            hook = _GradientHook(self, self._guard, entry)
            self._hooks.append(tensor.register_hook(hook))  # type: ignore[no-untyped-call]

    def feed(self, entry: Entry, tensor: Any) -> None:
        """Measure the data that enters the network at this stage, if that is what `tensor` is."""
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point() or tensor.requires_grad:
            return
        if self._is_output(tensor) or tensor.dim() < 2:
            return
        step = self._recorder.step
        if step >= ALWAYS and step % EVERY:
            return
        entry.feed = self._recorder.measure(tensor)
        entry.feed_shape = tuple(tensor.shape)
        axis = 1 if entry.axis == 1 and tensor.dim() >= 3 else tensor.dim() - 1
        if entry.feed.summary.count and tensor.layout == torch.strided:
            entry.feed_numbers = feature_numbers(by_unit(tensor, axis))

    def again(self, name: str, tensor: Tensor) -> bool:
        """A checkpoint recomputed a stage: listen for its gradient here as well.

        Returns:
            Whether the first pass was measured; a reentrant checkpoint's runs without autograd.
        """
        entries = [entry for entry in self._held if entry.layer() == name]
        waiting = next((entry for entry in entries if entry.grad is None), None)
        if waiting is not None:
            self.listen(waiting, tensor)
        return bool(entries)

    def flush(self) -> None:
        """After a backward: record the calls that it went through, forget the others."""
        roots = {entry.root for entry in self._held if entry.grad is not None and entry.root}
        calls: dict[str, int] = defaultdict(int)
        for entry in self._held:
            if entry.grad is not None or (entry.root in roots and not entry.needs_grad):
                layer = entry.layer()
                calls[layer] += 1
                self._record(entry, layer, min(calls[layer], MAX_CALLS))
        self.forget()

    def flush_all(self) -> None:
        """Record everything held, as when a script ends between forward and backward."""
        for entry in self._held:
            self._record(entry, entry.layer(), 1)
        self.forget()

    def forget(self) -> None:
        """Drop what is held."""
        for hook in self._hooks:
            hook.remove()  # an output may outlive its step; a parameter that is one surely does
        self._hooks.clear()
        self._held.clear()
        self._outputs.clear()
        self._last = lambda: None

    def _record(self, entry: Entry, layer: str, call: int) -> None:
        name = layer if call == 1 else f"{layer}#{call}"
        details: dict[str, Any] = {
            "layer": name,
            "op": entry.op,
            "shape": entry.shape,
            "dtype": entry.dtype,
        }
        recorder = self._recorder
        if entry.feed is not None:
            shape = {**details, "shape": entry.feed_shape}
            site = recorder.site(name, "input", **shape)
            recorder.merge(site, entry.feed)
            recorder.put(site, entry.feed_numbers)
        site = recorder.site(name, "output", unit_axis=entry.axis, **details)
        recorder.merge(site, entry.sketch)
        if entry.marks is not None:
            window = self._windows.setdefault(site.id, UnitWindow())
            recorder.put(site, window.see(recorder.step, entry.marks))
        if entry.grad is not None:
            recorder.merge(recorder.site(name, "output_grad", **details), entry.grad)

    def _is_last(self, tensor: Tensor) -> bool:
        last = self._last()
        if last is None or _version(last) != self._last_version:
            return False
        if last is tensor:
            return True
        base = tensor._base  # noqa: SLF001 - how torch names a view's origin
        origin = last if last._base is None else last._base  # noqa: SLF001
        return base is not None and base is origin and tensor.numel() == last.numel()

    def _is_output(self, tensor: Tensor) -> bool:
        found = self._outputs.get(id(tensor))
        return found is not None and found() is tensor


def _version(tensor: Tensor) -> int:
    """How often a tensor was changed in place; 0 where torch does not count."""
    return 0 if tensor.is_inference() else tensor._version  # noqa: SLF001 - torch's own counter


class _GradientHook:
    """Measures the gradient of an output; holds no tensor, survives copying as nothing."""

    def __init__(self, stages: Stages, guard: Guard, entry: Entry) -> None:
        self._stages = stages
        self._guard = guard
        self._entry = entry

    def __call__(self, grad: Tensor | None) -> None:
        if grad is not None and self._stages.in_backward:  # torch may pass an undefined one
            self._guard.call("gradient", partial(self._measure, grad))

    def _measure(self, grad: Tensor) -> None:
        found = measure(grad, bins=self._entry.sketch.histogram is not None)
        held = self._entry.grad
        self._entry.grad = found if held is None else held + found

    def __deepcopy__(self, memo: dict[int, Any]) -> _Silent:
        return _Silent()

    def __reduce__(self) -> tuple[type[_Silent], tuple[()]]:
        return (_Silent, ())


class _Silent:
    """What a hook becomes in a copied or unpickled tensor."""

    def __call__(self, *_: Any) -> None:
        return None
