"""Gainstage: see, explain and fix the scales of a neural network in training.

Importing this loads neither torch nor plotly; each name loads what it needs when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gainstage import init as init
    from gainstage import landscape as landscape
    from gainstage import optim as optim
    from gainstage import plot as plot
    from gainstage import sinks as sinks
    from gainstage.diagnosis import diagnose as diagnose
    from gainstage.errors import GainstageError as GainstageError
    from gainstage.init.gains import gain as gain
    from gainstage.init.prediction import Prediction as Prediction
    from gainstage.init.prediction import predict as predict
    from gainstage.probe.profile import Profile as Profile
    from gainstage.probe.profile import profile as profile
    from gainstage.probe.watch import Watch as Watch
    from gainstage.probe.watch import watch as watch
    from gainstage.recording import Recording as Recording
    from gainstage.records import Finding as Finding
    from gainstage.records import Site as Site
    from gainstage.run import Diagnosis as Diagnosis
    from gainstage.run import Run as Run
    from gainstage.run import open as open  # noqa: A004 - as in tarfile, gzip and PIL
    from gainstage.sweeps import Sweep as Sweep
    from gainstage.sweeps import sweep as sweep

__version__ = "0.1.0"

_HOMES = {
    "Diagnosis": "gainstage.run",
    "Finding": "gainstage.records",
    "GainstageError": "gainstage.errors",
    "Prediction": "gainstage.init.prediction",
    "Profile": "gainstage.probe.profile",
    "Recording": "gainstage.recording",
    "Run": "gainstage.run",
    "Site": "gainstage.records",
    "Sweep": "gainstage.sweeps",
    "Watch": "gainstage.probe.watch",
    "diagnose": "gainstage.diagnosis",
    "gain": "gainstage.init.gains",
    "init": "gainstage",
    "landscape": "gainstage",
    "open": "gainstage.run",
    "optim": "gainstage",
    "plot": "gainstage",
    "predict": "gainstage.init.prediction",
    "profile": "gainstage.probe.profile",
    "sinks": "gainstage",
    "sweep": "gainstage.sweeps",
    "watch": "gainstage.probe.watch",
}

__all__ = [*_HOMES]  # noqa: PLE0604 - the table above is the one list of names


def __getattr__(name: str) -> Any:
    """Load a public name from its home on first use (PEP 562)."""
    if name not in _HOMES:
        msg = f"module 'gainstage' has no attribute {name!r}"
        raise AttributeError(msg)
    home = _HOMES[name]
    if home == __name__:  # a subpackage
        return importlib.import_module(f"{home}.{name}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, for completion."""
    return sorted([*_HOMES, *(name for name in globals() if name.startswith("__"))])
