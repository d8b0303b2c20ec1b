"""The recordings that tests of views, renderers and figures share."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest


def _load():
    path = Path(__file__).parent / "views" / "recordings.py"
    spec = importlib.util.spec_from_file_location("gainstage_test_recordings", path)
    if spec.name not in sys.modules:
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    return sys.modules[spec.name]


@pytest.fixture(scope="session")
def recordings():
    """The module of recordings that all tests of views and renderers share."""
    return _load()


@pytest.fixture(scope="session")
def vanishing(recordings):
    return recordings.vanishing(60)
