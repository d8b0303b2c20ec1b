"""From a script to a verdict: observe it in a child process, judge, try remedies, tell."""

from gainstage.doctor.child import Observation as Observation
from gainstage.doctor.child import observe as observe
from gainstage.doctor.hangup import exit_on_hangup as exit_on_hangup
from gainstage.doctor.treatment import Effort as Effort
from gainstage.doctor.treatment import Treatment as Treatment
from gainstage.doctor.verdict import Verdict as Verdict
from gainstage.doctor.verdict import verdict as verdict
from gainstage.doctor.workplace import Workplace as Workplace
