"""Sweeps: a training at many learning rates, schemes and seeds; which is best, and how surely.

Free of torch. Trials run in processes of this machine, or on a Ray cluster.
"""

from gainstage.sweeps.figures import figure_range as figure_range
from gainstage.sweeps.figures import figure_sweep as figure_sweep
from gainstage.sweeps.range_test import range_test as range_test
from gainstage.sweeps.ranges import RangeTest as RangeTest
from gainstage.sweeps.results import Best as Best
from gainstage.sweeps.results import Row as Row
from gainstage.sweeps.sweeping import Sweep as Sweep
from gainstage.sweeps.sweeping import sweep as sweep
from gainstage.sweeps.trials import Trial as Trial
