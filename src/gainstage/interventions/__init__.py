"""Changes injected into a running script, so that a remedy can be tried before it is written.

One file each in ``changes``, found by name. Nothing here imports torch before the script does.
"""

from gainstage.interventions.intervention import INTERVENTIONS as INTERVENTIONS
from gainstage.interventions.intervention import Change as Change
from gainstage.interventions.intervention import applied as applied
