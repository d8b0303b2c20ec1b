"""Benchmarks: ratios measured side by side in one run, interleaved, medians."""

from gainstage.bench.bench import BENCHES as BENCHES
from gainstage.bench.bench import Grid as Grid
from gainstage.bench.bench import Line as Line
from gainstage.bench.bench import Outcome as Outcome
from gainstage.bench.bench import Settings as Settings
