"""The weights of a model: what each is for, and its fans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from torch import Tensor, nn

from gainstage.errors import UsageError
from gainstage.theory import fans as fans_of
from gainstage.theory.fans import GATES, Fans

Role = Literal["weight", "bias", "norm", "unknown"]

_CONVOLUTIONS: Final = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED: Final = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_NORMS: Final = (
    nn.modules.batchnorm._NormBase,  # noqa: SLF001 - the base of all batch and instance norms
    nn.LayerNorm,
    nn.GroupNorm,
    *((nn.RMSNorm,) if hasattr(nn, "RMSNorm") else ()),
)


@dataclass(frozen=True, slots=True, eq=False)
class Weight:
    """A parameter of a model.

    Attributes:
        name: full name.
        parameter: itself.
        role: ``"weight"``, ``"bias"``, ``"norm"`` (scale or shift of a normalisation), or
            ``"unknown"``: a bare parameter of which only a traced batch could tell the use.
        op: operation that uses it, as :class:`gainstage.records.Site` names it.
        fans: of a weight; None for what has none.
        aliases: other names of the same parameter (tied weights).
        state: whether it multiplies a recurrent layer's state.
        flipped: whether its first axis is the input.
    """

    name: str
    parameter: Tensor
    role: Role
    op: str
    fans: Fans | None
    aliases: tuple[str, ...] = ()
    state: bool = False
    flipped: bool = False

    @property
    def layer(self) -> str:
        """Path of the module that owns it."""
        return self.name.rpartition(".")[0]

    @property
    def parts(self) -> tuple[Tensor, ...]:
        """The matrices of their own that lie one above the other in it; views."""
        count = self.fans.parts if self.fans else 1
        return (
            tuple(self.parameter.detach().chunk(count)) if count > 1 else (self.parameter.detach(),)
        )


def check_values(model: nn.Module) -> None:
    """Raise a UsageError unless every parameter has values: of lazy or meta modules none has."""
    for name, parameter in model.named_parameters():
        if isinstance(parameter, nn.parameter.UninitializedParameter):
            msg = f"{name} has no values yet; run a batch through the lazy module first."
        elif parameter.is_meta:
            msg = f"{name} is on the device meta, without values; call model.to_empty(device=...)."
        else:
            continue
        raise UsageError(msg)


def weights_of(model: nn.Module) -> list[Weight]:
    """All parameters of a model, each once, in the order in which they are registered.

    A parameter that several modules share belongs to the first one that multiplies by it; a table
    that is also an output layer is drawn as an output layer.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
        >>> [(w.name, w.role, w.fans and w.fans.fan_in) for w in weights_of(net)][:3]
        [('0.weight', 'weight', 27), ('0.bias', 'bias', None), ('1.weight', 'norm', None)]
    """
    found: dict[int, Weight] = {}
    aliases: dict[int, list[str]] = {}
    for path, module in model.named_modules():
        for own, parameter in module.named_parameters(recurse=False):
            name = f"{path}.{own}" if path else own
            aliases.setdefault(id(parameter), []).append(name)
            known = found.get(id(parameter))
            if known is None or (known.op == "Embedding" and isinstance(module, nn.Linear)):
                found[id(parameter)] = _weight(name, own, parameter, module)
    return [
        replace(weight, aliases=tuple(n for n in aliases[key] if n != weight.name))
        for key, weight in found.items()
    ]


def _weight(name: str, own: str, parameter: Tensor, module: nn.Module) -> Weight:
    op = type(module).__name__
    if isinstance(module, _NORMS):
        return Weight(name, parameter, "norm", op, None)
    if "bias" in own:
        return Weight(name, parameter, "bias", op, None)
    for kinds, fans in _FANS:
        if isinstance(module, kinds) and parameter.dim() >= 2:
            known = fans(module, own, tuple(parameter.shape))
            return Weight(name, parameter, "weight", op, known, state="_hh" in own)
    return Weight(name, parameter, "unknown", op, None)


def _attention(module: nn.Module, own: str, shape: tuple[int, ...]) -> Fans:
    del module
    return fans_of.linear(shape, 3 if own == "in_proj_weight" else 1)


def _recurrent(module: nn.Module, own: str, shape: tuple[int, ...]) -> Fans:
    del own
    kind = next(base.__name__ for base in type(module).__mro__ if base.__name__ in GATES)
    return fans_of.recurrent(shape, kind)


_FANS: Final[tuple[tuple[Any, Callable[[Any, str, tuple[int, ...]], Fans]], ...]] = (
    (nn.Linear, lambda _m, _own, shape: fans_of.linear(shape)),
    (nn.Bilinear, lambda _m, _own, shape: fans_of.bilinear(shape)),
    (_CONVOLUTIONS, lambda m, _own, shape: fans_of.convolution(shape, groups=m.groups)),
    (
        _TRANSPOSED,
        lambda m, _own, shape: fans_of.transposed(shape, groups=m.groups, stride=m.stride),
    ),
    ((nn.Embedding, nn.EmbeddingBag), lambda _m, _own, shape: fans_of.embedding(shape)),
    (nn.MultiheadAttention, _attention),
    ((nn.RNNBase, nn.RNNCellBase), _recurrent),
)


def bare(weight: Weight, *, inputs_first: bool) -> Weight:
    """A bare matrix, of which a traced batch told how it is used.

    Args:
        weight: of role ``"unknown"``, two axes or more.
        inputs_first: whether its second last axis is the input: ``x @ w``.
    """
    shape = tuple(weight.parameter.shape)
    rows, columns = shape[-2], shape[-1]
    fans = fans_of.linear((columns, rows) if inputs_first else (rows, columns))
    return replace(weight, role="weight", op="matmul", fans=fans, flipped=inputs_first)
