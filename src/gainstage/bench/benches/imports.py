"""What importing Gainstage, and asking it for help, costs more than python itself."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final

import numpy as np

from gainstage.bench.bench import BENCHES, Line, Outcome, Settings

ROUNDS: Final = 15
PROMISED: Final = 0.15
"""Seconds of CPU beyond those of an empty python, whatever extras are installed."""

COMMANDS: Final = {
    "python": ("-c", "pass"),
    "import gainstage": ("-c", "import gainstage"),
    "gainstage --help": ("-m", "gainstage", "--help"),
}


@BENCHES.register("imports")
def imports(settings: Settings) -> Outcome:
    """CPU seconds of child processes, user and system, in turn; medians over the rounds.

    The ratio is what comes on top of an empty python, in units of the promised 0.15 s.
    """
    del settings  # there is nothing to choose
    spent: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for round_ in range(ROUNDS + 1):
        for name, command in COMMANDS.items():
            seconds = _seconds(command)
            if round_:  # the first one reads from the disk
                spent[name].append(seconds)
    median = {name: float(np.median(times)) for name, times in spent.items()}
    lines = [Line("python", median["python"], "s")]
    for name in list(COMMANDS)[1:]:
        over = (median[name] - median["python"]) / PROMISED
        lines.append(Line(name, median[name], "s", over, ("<=", 1.0)))
    return Outcome(lines)


def _seconds(command: tuple[str, ...]) -> float:
    before = os.times()
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    after = os.times()
    user = after.children_user - before.children_user
    return user + after.children_system - before.children_system
