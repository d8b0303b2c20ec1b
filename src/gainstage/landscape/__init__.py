"""Surfaces to descend, races of optimisers on them, and maps of a model's own loss."""

from gainstage.landscape.curvature import Curvature as Curvature
from gainstage.landscape.curvature import curvature as curvature
from gainstage.landscape.curvature import sharpness as sharpness
from gainstage.landscape.directions import Trajectory as Trajectory
from gainstage.landscape.directions import between as between
from gainstage.landscape.directions import principal_directions as principal_directions
from gainstage.landscape.directions import project as project
from gainstage.landscape.directions import random_directions as random_directions
from gainstage.landscape.figures import animate as animate
from gainstage.landscape.figures import figure_3d as figure_3d
from gainstage.landscape.figures import figure_losses as figure_losses
from gainstage.landscape.figures import figure_map as figure_map
from gainstage.landscape.linefit import line_fit as line_fit
from gainstage.landscape.lossmap import LossMap as LossMap
from gainstage.landscape.maps import line as line
from gainstage.landscape.maps import loss_map as loss_map
from gainstage.landscape.maps import plane as plane
from gainstage.landscape.race import Race as Race
from gainstage.landscape.race import race as race
from gainstage.landscape.surface import SURFACES as SURFACES
from gainstage.landscape.surface import Surface as Surface
from gainstage.landscape.surface import surface as surface
