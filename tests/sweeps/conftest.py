"""The work of other processes as a module that they can import, whatever their folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tasks():
    """The module ``tasks``, handed over by value: workers need no path to it."""
    import cloudpickle

    folder = str(Path(__file__).parent)
    sys.path.insert(0, folder)
    try:
        import tasks as found
    finally:
        sys.path.remove(folder)
    cloudpickle.register_pickle_by_value(found)
    yield found
    cloudpickle.unregister_pickle_by_value(found)
