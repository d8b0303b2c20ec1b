"""Initialisation: gains, schemes, prediction of levels, calibration, audit."""

from gainstage.init.applying import Initialisation as Initialisation
from gainstage.init.applying import apply_ as apply_
from gainstage.init.auditing import Audit as Audit
from gainstage.init.auditing import audit as audit
from gainstage.init.calibration import Calibration as Calibration
from gainstage.init.calibration import calibrate_ as calibrate_
from gainstage.init.calibration import stage_levels as stage_levels
from gainstage.init.coordinates import CoordinateCheck as CoordinateCheck
from gainstage.init.coordinates import coordinate_check as coordinate_check
from gainstage.init.gains import Gain as Gain
from gainstage.init.gains import VarianceMap as VarianceMap
from gainstage.init.gains import gain as gain
from gainstage.init.prediction import Prediction as Prediction
from gainstage.init.prediction import predict as predict
from gainstage.theory.gains import GAINS as GAINS
from gainstage.theory.schemes import SCHEMES as SCHEMES
