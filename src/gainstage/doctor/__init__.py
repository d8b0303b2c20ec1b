"""From a script to a verdict: observe it in a child process, judge, tell."""

from gainstage.doctor.child import Observation as Observation
from gainstage.doctor.child import observe as observe
from gainstage.doctor.verdict import Verdict as Verdict
from gainstage.doctor.verdict import verdict as verdict
