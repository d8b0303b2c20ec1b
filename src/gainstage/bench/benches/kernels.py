"""The price of reading a tensor: exact histogram and moments against torch's own."""

from __future__ import annotations

import numpy as np
import torch

from gainstage.bench.bench import BENCHES, Line, Outcome, Settings, interleaved
from gainstage.sketch.anywhere import measure_anywhere
from gainstage.sketch.tensors import measure

SIZE = 1_000_000


@BENCHES.register("kernels")
def kernels(settings: Settings) -> Outcome:
    """Exact histogram and moments of a million float32, on one thread."""
    del settings  # the yardsticks are torch's and numpy's own
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        x = torch.randn(SIZE, generator=torch.Generator().manual_seed(0))
        array = x.numpy()
        ours = "gainstage: histogram and moments"
        read = interleaved({"torch.sum (one read)": lambda: torch.sum(x), ours: lambda: measure(x)})
        ways = interleaved(
            {
                ours: lambda: measure(x),
                "torch.histc": lambda: torch.histc(x, 100),
                "torch.var_mean": lambda: torch.var_mean(x),
            }
        )
        slow = interleaved(
            {
                "numpy.histogram": lambda: np.histogram(array, 100),
                "gainstage: plain torch ops": lambda: measure_anywhere(x),
            },
            rounds=15,
        )
    finally:
        torch.set_num_threads(threads)
    seconds = ways | slow | read
    lines = [Line(name, 1e9 * s / SIZE, "ns/element") for name, s in seconds.items()]
    over_read = read[ours] / read["torch.sum (one read)"]
    over_peers = (ways["torch.histc"] + ways["torch.var_mean"]) / ways[ours]
    judged = [
        Line("ours over one read", ratio=over_read, reach=("<=", 8.0)),
        Line("histc + var_mean over ours", ratio=over_peers, reach=(">=", 15.0)),
    ]
    return Outcome([*lines, *judged])
