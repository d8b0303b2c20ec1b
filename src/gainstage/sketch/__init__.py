"""Numbers about one tensor: exact moments and a log-linear histogram on the float's own bits.

This package's root is free of torch; :mod:`gainstage.sketch.tensors` measures torch tensors.
"""

from gainstage.sketch.histogram import Histogram as Histogram
from gainstage.sketch.summary import Summary as Summary
