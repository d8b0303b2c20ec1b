"""A recording as plain chart data; one view a file, no torch, nothing drawn."""

from gainstage.views.batchnorm import NormChart as NormChart
from gainstage.views.batchnorm import norm_chart as norm_chart
from gainstage.views.findings import FindingCards as FindingCards
from gainstage.views.findings import finding_cards as finding_cards
from gainstage.views.heatmap import HeatMaps as HeatMaps
from gainstage.views.heatmap import heat_maps as heat_maps
from gainstage.views.histograms import Ridges as Ridges
from gainstage.views.histograms import ridges as ridges
from gainstage.views.history import Histories as Histories
from gainstage.views.history import histories as histories
from gainstage.views.levels import LevelDiagram as LevelDiagram
from gainstage.views.levels import level_diagram as level_diagram
from gainstage.views.loss import LossChart as LossChart
from gainstage.views.loss import loss_chart as loss_chart
from gainstage.views.parameters import ParameterTable as ParameterTable
from gainstage.views.parameters import parameter_table as parameter_table
from gainstage.views.updates import UpdateChart as UpdateChart
from gainstage.views.updates import update_chart as update_chart
from gainstage.views.view import VIEWS as VIEWS
