"""The errors that Gainstage raises at its borders.

Every message is a full sentence that says what failed, because of what, and what to do.
"""

from __future__ import annotations


class GainstageError(Exception):
    """Base class: catch this to catch everything that Gainstage raises on purpose."""


class RunFileError(GainstageError):
    """A run file is missing, damaged, or of another kind or version."""


class ScriptError(GainstageError):
    """A user's script could not be run under observation."""


class UnknownNameError(GainstageError, KeyError):
    """A name that no registry knows; the message lists what was meant or what there is."""

    def __str__(self) -> str:
        return str(self.args[0])


class MissingExtraError(GainstageError, ImportError):
    """An optional dependency is not installed; the message holds the pip command."""


class UsageError(GainstageError, ValueError):
    """An argument makes no sense; the message says which, and what would."""


class DataError(GainstageError):
    """A file of data is not to be had, or is not what its publisher had."""
