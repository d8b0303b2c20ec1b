"""Everything that watching a training could leave on its objects or on torch."""

from __future__ import annotations

import signal
import sys
import threading
import warnings

import torch
from torch.nn.modules import module as modules
from torch.optim import optimizer as optimizers


def _attributes(thing):
    """Names of a thing's attributes, and what is in those that hold hooks."""
    hooks = {key: list(value or ()) for key, value in vars(thing).items() if "hook" in key}
    return type(thing), sorted(vars(thing)), hooks


def _of_parameter(parameter):
    hooks = parameter._backward_hooks, parameter._post_accumulate_grad_hooks
    return type(parameter), sorted(vars(parameter)), [dict(held or {}) for held in hooks]


def on_objects(model, *optimizers):
    """Hooks and attributes of a model's modules and parameters, and of optimisers."""
    return {
        "modules": [_attributes(module) for module in model.modules()],
        "parameters": [_of_parameter(parameter) for parameter in model.parameters()],
        "optimizers": [_attributes(optimizer) for optimizer in optimizers],
    }


def _members(cls):
    return {name: value for name, value in vars(cls).items() if callable(value)}


def _global_hooks(module):
    names = [name for name in vars(module) if name.startswith("_global_") and "hook" in name]
    return {name: repr(vars(module)[name]) for name in names}


def on_torch():
    """Functions, classes, global hooks and modes of torch, and hooks of the interpreter."""
    return {
        "functions": (torch.autograd.backward, torch.autograd.grad),
        "classes": [_members(c) for c in (torch.Tensor, torch.nn.Module, torch.optim.Optimizer)],
        "hooks": [_global_hooks(module) for module in (modules, optimizers)],
        "modes": torch._C._len_torch_function_stack(),
        "settings": (torch.is_grad_enabled(), torch.get_num_threads()),
        "interpreter": (sys.excepthook, threading.excepthook, list(sys.meta_path)),
        "signals": [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)],
        "filters": list(warnings.filters),
        "threads": threading.active_count(),
    }
