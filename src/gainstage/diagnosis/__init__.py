"""From a recording to findings: rules judge, the engine puts causes above their symptoms."""

from gainstage.diagnosis.engine import diagnose as diagnose
from gainstage.diagnosis.rule import RULES as RULES
from gainstage.diagnosis.rule import Rule as Rule
