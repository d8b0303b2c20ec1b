"""Which steps are looked at more closely than others."""

from __future__ import annotations

from typing import Final

HISTOGRAMS_ALWAYS: Final = 16
HISTOGRAMS_OFTEN: Final = 1024
HISTOGRAMS_EVERY: Final = (16, 64)
"""Histograms are kept of the first steps, then of every 16th, and from step 1,024 on of every
64th: shapes change slowly, and a histogram costs more to keep than all other numbers of a site
together."""

LOOKS_ALWAYS: Final = 16
LOOKS_EVERY: Final = 64
"""What changes slowly, or is known after a few steps, is looked at in the first steps, then now
and then."""

WAIT: Final = 0.25
"""Seconds that a step may wait to be written. To write each by itself would cost fast trainings
more than to measure them."""


def has_histograms(step: int) -> bool:
    """Whether this is a step of which histograms are kept.

    Example:
        >>> [step for step in range(60) if has_histograms(step)][-4:]
        [15, 16, 32, 48]
    """
    return step < HISTOGRAMS_ALWAYS or step % HISTOGRAMS_EVERY[step >= HISTOGRAMS_OFTEN] == 0


def looks_closer(step: int) -> bool:
    """Whether this is a step of which data, units and samples are looked at as well."""
    return step < LOOKS_ALWAYS or step % LOOKS_EVERY == 0
