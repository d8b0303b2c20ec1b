"""The histograms of one forward and backward pass, kept by hooks while it runs.

:func:`gainstage.profile` would need a pass of its own, and numba, which may have to compile first;
here tensors are small, and nobody waits for a kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn

from gainstage.recording import MemoryRecording
from gainstage.records import Kind, Site
from gainstage.sketch.histogram import Histogram
from gainstage.torch_private import without_overrides


@contextmanager
def histograms_of(model: nn.Sequential) -> Iterator[Callable[[], MemoryRecording]]:
    """Keep what passes through a stack: outputs, their gradients, weights and theirs.

    Args:
        model: modules that put out one float32 tensor each. It is left as it was.

    Yields:
        What gives the recording, once the pass is over.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
        >>> with histograms_of(model) as seen:
        ...     model(torch.ones(2, 4)).sum().backward()
        >>> [(site.kind, site.name) for site in seen().of_kind("output_grad")]
        [('output_grad', '0'), ('output_grad', '1')]
    """
    kept: dict[tuple[Kind, str], tuple[Histogram, int]] = {}

    def keep(kind: Kind, name: str, order: int, tensor: Tensor) -> None:
        with without_overrides():  # whoever follows the calls does not see ours
            kept[kind, name] = Histogram.of(tensor.detach().numpy()), order

    def passed(name: str, order: int, _: nn.Module, __: Any, output: Tensor) -> None:
        keep("output", name, order, output)
        if output.requires_grad:
            output.register_hook(  # type: ignore[no-untyped-call]
                partial(keep, "output_grad", name, order)
            )

    with ExitStack() as stack:
        for order, (name, module) in enumerate(model.named_children()):
            stack.callback(module.register_forward_hook(partial(passed, name, order)).remove)
            weight = getattr(module, "weight", None)
            if isinstance(weight, Tensor):
                own = f"{name}.weight"
                keep("weight", own, order, weight)
                hook = weight.register_hook(  # type: ignore[no-untyped-call]
                    partial(keep, "grad", own, order)
                )
                stack.callback(hook.remove)
        yield lambda: _recording(kept)


def _recording(kept: dict[tuple[Kind, str], tuple[Histogram, int]]) -> MemoryRecording:
    sites = [
        Site(index, name, kind, name, "", order)
        for index, ((kind, name), (_, order)) in enumerate(kept.items())
    ]
    histograms = {index: one for index, (one, _) in enumerate(kept.values())}
    return MemoryRecording(sites, {}, histograms=histograms)
