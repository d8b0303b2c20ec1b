"""Calls that are no modules: functional activations, products with bare tensors, losses."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from contextlib import ExitStack
from types import FunctionType
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from typing_extensions import Self, override

from gainstage.probe import fastpaths, rectifiers
from gainstage.probe.criterion import LOSSES
from gainstage.probe.handwritten import CUTS, PARTS
from gainstage.probe.listeners import Listener
from gainstage.probe.rectifiers import Rectifiers
from gainstage.torch_private import has_function_modes, remove_function_mode

Function = Callable[..., Any]

ACTIVATIONS: Final[dict[Function, str]] = {
    function: name
    for name, functions in {
        "relu": (F.relu, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_),
        "relu6": (F.relu6,),
        "tanh": (F.tanh, torch.tanh, torch.tanh_, Tensor.tanh, Tensor.tanh_),
        "sigmoid": (F.sigmoid, torch.sigmoid, torch.sigmoid_, Tensor.sigmoid, Tensor.sigmoid_),
        "gelu": (F.gelu,),
        "silu": (F.silu,),
        "elu": (F.elu, F.elu_),
        "selu": (F.selu, torch.selu),
        "leaky_relu": (F.leaky_relu, F.leaky_relu_),
        "softplus": (F.softplus,),
        "mish": (F.mish,),
        "hardswish": (F.hardswish,),
        "prelu": (F.prelu, torch.prelu),
    }.items()
    for function in functions
}
CLAMPS: Final[frozenset[Function]] = frozenset(
    {torch.clamp, torch.clamp_min, Tensor.clamp, Tensor.clamp_min, Tensor.clamp_}
)
"""``x.clamp(min=0)`` is a rectifier by hand."""

PRODUCTS: Final[dict[Function, str]] = {
    function: name
    for name, functions in {
        "matmul": (
            torch.matmul,
            torch.mm,
            torch.bmm,
            Tensor.matmul,
            Tensor.mm,
            Tensor.bmm,
            Tensor.__matmul__,
            Tensor.__rmatmul__,
            torch.einsum,
            torch.tensordot,
            torch.inner,
            torch.mv,
            torch.addmm,
            torch.addmv,
            torch.baddbmm,
            Tensor.inner,
            Tensor.mv,
            Tensor.addmm,
            Tensor.addmv,
            Tensor.baddbmm,
        ),
        "linear": (F.linear,),
        "conv": (
            F.conv1d,
            F.conv2d,
            F.conv3d,
            F.conv_transpose1d,
            F.conv_transpose2d,
            F.conv_transpose3d,
        ),
        "embedding": (F.embedding, Tensor.__getitem__),
    }.items()
    for function in functions
}
RESHAPES: Final[frozenset[Function]] = frozenset(
    {
        torch.t,
        torch.transpose,
        torch.permute,
        torch.reshape,
        torch.mul,
        torch.div,
        Tensor.t,
        Tensor.transpose,
        Tensor.permute,
        Tensor.reshape,
        Tensor.view,
        Tensor.mul,
        Tensor.div,
        Tensor.__mul__,
        Tensor.__rmul__,
        Tensor.__truediv__,
        Tensor.T.__get__,  # type: ignore[attr-defined]
        Tensor.mT.__get__,  # type: ignore[attr-defined]
    }
)
"""What may stand between a parameter and the product that uses it."""

NORMS: Final[dict[Function, str]] = {
    F.layer_norm: "layer_norm",
    F.batch_norm: "batch_norm",
    F.group_norm: "group_norm",
    F.scaled_dot_product_attention: "attention",
}


class FunctionTap(TorchFunctionMode):
    """Sees every torch function called on this thread while active, and reports a few kinds."""

    def __init__(self, listener: Listener) -> None:
        super().__init__()
        self._listener = listener
        self.guard = listener.guard
        self._written = listener.criterion.written
        self._derived: dict[int, tuple[weakref.ref[Tensor], weakref.ref[Tensor]]] = {}
        self._rectifiers = Rectifiers()
        self._thread = 0
        self._left = False
        self._patches = ExitStack()

    @override
    def __enter__(self) -> Self:
        self._thread = threading.get_ident()
        for patch in fastpaths.PATCHES:
            self._patches.enter_context(patch.heard_by(self))
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    @override
    def __exit__(self, *error: object) -> None:
        """Leave this thread's modes, wherever among them: others may end after us."""
        self._left = True
        self._patches.close()
        if threading.get_ident() != self._thread:  # its modes are out of reach
            return
        if not remove_function_mode(self) and has_function_modes():
            # taken off by one that ended before us, whose place is ours now
            super().__exit__(*error)  # type: ignore[no-untyped-call]

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the function, then report it."""
        del types
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if (
            isinstance(result, Tensor)
            and not torch.compiler.is_compiling()
            and torch.is_grad_enabled()
        ):
            if type(func) is FunctionType and hasattr(func, "__wrapped__"):  # a change of a trial
                func = func.__wrapped__
            try:
                handler = _HANDLERS.get(func)
                part = self._written.looking and func in PARTS
            except Exception:  # noqa: BLE001 - a callable without a hash is none of ours
                return result
            if part and not self._left and (result.requires_grad or func in CUTS):
                self.guard.call("loss", self._written.saw, func, args, kwargs, result)
            if handler is not None and not self._left:
                tap = "loss" if func in LOSSES else "function"
                self.guard.call(tap, self._report, handler, func, args, kwargs, result)
        return result

    def _report(
        self, handler: Callable[..., None], func: Any, args: Any, kwargs: Any, result: Tensor
    ) -> None:
        # an activation may be all that a user's module is
        if func in LOSSES or func in _ACTIVATE or not self._listener.inside_module():
            handler(self, func, args, kwargs, result)

    def _loss(self, func: Any, args: Any, kwargs: Any, result: Tensor) -> None:
        self._listener.loss_output(func, args, kwargs, result)

    def _activation(self, func: Any, args: Any, kwargs: Any, result: Tensor) -> None:
        del args, kwargs
        self._listener.function_output(_OUTPUTS[func], result)

    def _clamp(self, func: Any, args: Any, kwargs: Any, result: Tensor) -> None:
        del func
        low = args[1] if len(args) > 1 else kwargs.get("min")
        high = args[2] if len(args) > 2 else kwargs.get("max")
        if isinstance(low, (int, float)) and low == 0 and high is None:
            self._listener.function_output("relu", result)

    def _compare(self, func: Any, args: Any, kwargs: Any, result: Tensor) -> None:
        del func, kwargs
        self._rectifiers.compared(args, result)

    def _cast(self, func: Any, args: Any, kwargs: Any, result: Tensor) -> None:
        del func, kwargs
        self._rectifiers.cast(args, result)

    def _choose(self, func: Any, args: Any, kwargs: Any, result: Tensor) -> None:
        del kwargs
        if result.requires_grad and self._rectifiers.is_rectified(func, args):
            self._listener.function_output("relu", result)

    def _multiply(self, func: Any, args: Any, kwargs: Any, result: Tensor) -> None:
        self._choose(func, args, kwargs, result)
        self._derive(args, result)

    def _product(self, func: Any, args: Any, kwargs: Any, result: Tensor) -> None:
        parameter = self._parameter(args, kwargs)
        if parameter is not None:
            self._listener.product_output(PRODUCTS[func], parameter, result, args)

    def _reshape(self, func: Any, args: Any, kwargs: Any, result: Tensor) -> None:
        del func, kwargs
        self._derive(args, result)

    def _derive(self, args: Any, result: Tensor) -> None:
        # an activation that was scaled by a parameter has more elements than that
        found = (p for p in map(self._origin, args) if p is not None)
        origin = max(found, key=Tensor.numel, default=None)
        if origin is not None and result.numel() <= origin.numel():
            if len(self._derived) > 4096:
                self._derived.clear()
            self._derived[id(result)] = (weakref.ref(result), weakref.ref(origin))

    def _parameter(self, args: Any, kwargs: Any) -> Tensor | None:
        flat = [a for arg in args for a in (arg if isinstance(arg, (list, tuple)) else (arg,))]
        found = [p for a in (*flat, *kwargs.values()) if (p := self._origin(a)) is not None]
        itself = [p for p in found if any(p is a for a in (*flat, *kwargs.values()))]
        # torch.addmm is given the bias first
        return max(itself or found, key=Tensor.dim, default=None)

    def _origin(self, value: Any) -> Tensor | None:
        """The leaf parameter that a tensor is, or was reshaped from."""
        if not isinstance(value, Tensor) or not value.requires_grad:
            return None
        if value.is_leaf:
            return value
        derived = self._derived.get(id(value))
        if derived is None or derived[0]() is not value:
            return None
        return derived[1]()


_OUTPUTS: Final = {**ACTIVATIONS, **NORMS}
_ACTIVATE: Final = frozenset(ACTIVATIONS) | CLAMPS | rectifiers.ALL
_HANDLERS: Final[dict[Function, Callable[..., None]]] = {
    **dict.fromkeys(_OUTPUTS, FunctionTap._activation),  # noqa: SLF001 - our own
    **dict.fromkeys(CLAMPS, FunctionTap._clamp),  # noqa: SLF001
    **dict.fromkeys(PRODUCTS, FunctionTap._product),  # noqa: SLF001
    **dict.fromkeys(RESHAPES, FunctionTap._reshape),  # noqa: SLF001
    **dict.fromkeys(rectifiers.COMPARISONS, FunctionTap._compare),  # noqa: SLF001
    **dict.fromkeys(rectifiers.CASTS, FunctionTap._cast),  # noqa: SLF001
    **dict.fromkeys(rectifiers.CHOICES | rectifiers.MAXIMA, FunctionTap._choose),  # noqa: SLF001
    **dict.fromkeys(rectifiers.PRODUCTS, FunctionTap._multiply),  # noqa: SLF001
    **dict.fromkeys(LOSSES, FunctionTap._loss),  # noqa: SLF001
}
