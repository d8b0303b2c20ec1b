"""The child process of a trial: the script under observation, with changes injected.

As :mod:`gainstage.probe.launch`, whose options it shares; these are read beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

import msgspec

from gainstage.interventions.intervention import Change, applied
from gainstage.probe import launch


class Request(msgspec.Struct, frozen=True):
    """What the parent asks for beside the options of the launch.

    Attributes:
        changes: the interventions, applied in that order.
        seed: number of the trial's seed; 0 is the script's own.
    """

    changes: tuple[Change, ...] = ()
    seed: int = 0


def main(argv: Sequence[str]) -> NoReturn:
    """Run the target with its changes and leave with its own exit code.

    Args:
        argv: the options and the request as one JSON object, then the target and its arguments.
    """
    request = msgspec.json.decode(argv[0], type=Request)

    @contextmanager
    def changed() -> Iterator[None]:
        from gainstage.interventions.seeds import shifted  # noqa: PLC0415 - needs torch

        with shifted(request.seed), applied(request.changes):
            yield

    launch.main(argv, changed)
