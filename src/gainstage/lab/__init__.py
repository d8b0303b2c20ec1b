"""The lab: the classic experiments, reproduced on real data beside their published figures."""

from gainstage.lab.experiment import EXPERIMENTS as EXPERIMENTS
from gainstage.lab.experiment import Experiment as Experiment
from gainstage.lab.experiment import Output as Output
from gainstage.lab.experiment import Row as Row
from gainstage.lab.experiment import experiment as experiment
from gainstage.lab.runner import run as run
