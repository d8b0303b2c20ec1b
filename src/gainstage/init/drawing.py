"""Drawing from a law at a standard deviation, by a generator of one's own."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import torch
from torch import Generator, Tensor

from gainstage.errors import UsageError
from gainstage.registry import Registry
from gainstage.theory.fans import Fans

Draw: TypeAlias = Callable[[Tensor, float, Fans, "Generator | None"], None]
"""``(tensor, standard deviation, fans, generator)``: fills the tensor, rows are outputs."""

LAWS: Final[Registry[Callable[..., None]]] = Registry("law")

_MIX: Final = 0x9E3779B97F4A7C15
_SHIFT: Final = 0x5851F42D4C957F2D

CUT: Final = 2.0
"""Where a truncated normal ends, in deviations before the cut."""
_KEPT: Final = math.erf(CUT / math.sqrt(2))
CUT_STD: Final = math.sqrt(1 - 2 * CUT * math.exp(-(CUT**2) / 2) / math.sqrt(2 * math.pi) / _KEPT)
"""Deviation of a standard normal that is cut off at :data:`CUT`: 0.8796."""


def generator_of(given: Generator | int | None) -> Generator | None:
    """A generator, from one, from a seed, or None: torch's global one.

    A seed is mixed: data are often drawn by the same small seed, and weights that hold the very
    numbers of the data are anything but independent of them.
    """
    if given is None or isinstance(given, Generator):
        return given
    if isinstance(given, bool) or not isinstance(given, int):
        msg = f"generator must be a torch.Generator, a seed or None, not {given!r}."
        raise UsageError(msg)
    return Generator().manual_seed((given * _MIX + _SHIFT) % 2**63)


@torch.no_grad()
def fill(
    tensor: Tensor, law: str, std: float, fans: Fans, generator: Generator | None, **options: Any
) -> None:
    """Fill a tensor in place.

    Numbers are drawn on the generator's device in the tensor's type, or in float32 for a narrower
    one, so that the same generator gives the same weights wherever they go.

    Args:
        tensor: whose first axis numbers outputs.
        law: name of one of :data:`LAWS`.
        std: standard deviation over all elements; of a constant, the value.
        fans: of the tensor.
        generator: None for torch's global one.
        options: of the law.
    """
    wide = tensor.dtype if tensor.dtype in (torch.float32, torch.float64) else torch.float32
    device = generator.device if generator is not None else tensor.device
    made = torch.zeros(tensor.shape, dtype=wide, device=device)
    LAWS[law](made, std, fans, generator, **options)
    tensor.copy_(made)


@LAWS.register("normal")
def normal(tensor: Tensor, std: float, fans: Fans, generator: Generator | None) -> None:
    """N(0, std^2)."""
    del fans
    tensor.normal_(0.0, std, generator=generator)


@LAWS.register("uniform")
def uniform(tensor: Tensor, std: float, fans: Fans, generator: Generator | None) -> None:
    """U(-sqrt(3) std, sqrt(3) std)."""
    del fans
    bound = math.sqrt(3.0) * std
    tensor.uniform_(-bound, bound, generator=generator)


@LAWS.register("truncated")
def truncated(tensor: Tensor, std: float, fans: Fans, generator: Generator | None) -> None:
    """A normal cut off at two deviations, by the inverse of its distribution."""
    del fans
    tensor.uniform_(-_KEPT, _KEPT, generator=generator).erfinv_()
    tensor.mul_(math.sqrt(2.0) * std / CUT_STD).clamp_(-CUT * std / CUT_STD, CUT * std / CUT_STD)


@LAWS.register("constant")
def constant(tensor: Tensor, std: float, fans: Fans, generator: Generator | None) -> None:
    """The value itself."""
    del fans, generator
    tensor.fill_(std)


@LAWS.register("orthogonal")
def orthogonal(tensor: Tensor, std: float, fans: Fans, generator: Generator | None) -> None:
    """Rows, or columns if there are fewer, orthogonal and of one length."""
    del fans
    rows, columns = tensor.shape[0], tensor[0].numel()
    basis = _orthonormal(max(rows, columns), min(rows, columns), tensor, generator)
    matrix = basis if rows >= columns else basis.T
    tensor.copy_(std * math.sqrt(max(rows, columns)) * matrix.reshape(tensor.shape))


@LAWS.register("delta_orthogonal")
def delta_orthogonal(tensor: Tensor, std: float, fans: Fans, generator: Generator | None) -> None:
    """Orthogonal between channels in the middle of the kernel, zero elsewhere."""
    tensor.zero_()
    middle = middle_of(tensor)
    full = torch.empty_like(middle)
    orthogonal(full, std * _spared(tensor), fans, generator)
    middle.copy_(full)


@LAWS.register("identity")
def identity(tensor: Tensor, std: float, fans: Fans, generator: Generator | None) -> None:
    """Ones on the diagonal, in the middle of a kernel, times the gain."""
    del fans, generator
    tensor.zero_()
    middle = middle_of(tensor)
    ones = torch.eye(*middle.shape, dtype=tensor.dtype, device=tensor.device)
    middle.copy_(std * _spared(tensor) * math.sqrt(middle.shape[1]) * ones)


@LAWS.register("sparse")
def sparse(
    tensor: Tensor,
    std: float,
    fans: Fans,
    generator: Generator | None,
    connections: int = 15,
) -> None:
    """So many inputs of each unit are normal, the rest is zero."""
    del fans
    rows = tensor.view(tensor.shape[0], -1)
    count = min(connections, rows.shape[1])
    order = torch.rand(rows.shape, generator=generator, device=tensor.device).argsort(dim=1)
    chosen = order[:, :count]
    drawn = torch.empty(chosen.shape, dtype=tensor.dtype, device=tensor.device)
    drawn.normal_(0.0, std * math.sqrt(rows.shape[1] / count), generator=generator)
    rows.scatter_(1, chosen, drawn)


def middle_of(kernel: Tensor) -> Tensor:
    """The matrix in the middle of a kernel; of a matrix, itself: [out, in]."""
    for size in kernel.shape[2:]:
        kernel = kernel.select(2, size // 2)
    return kernel


def _spared(kernel: Tensor) -> float:
    """How much larger the middle's deviation is than that of a kernel that is else zero."""
    return math.sqrt(math.prod(kernel.shape[2:]))


def _orthonormal(rows: int, columns: int, like: Tensor, generator: Generator | None) -> Tensor:
    """Orthonormal columns, uniform over all such matrices: Mezzadri 2007. [rows, columns]."""
    drawn = torch.empty(rows, columns, dtype=like.dtype, device=like.device)
    q, r = torch.linalg.qr(drawn.normal_(generator=generator))
    signed: Tensor = q * r.diagonal().sign()
    return signed
