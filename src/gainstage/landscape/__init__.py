"""Surfaces to descend, races of optimisers on them, and maps of a model's own loss."""

from gainstage.landscape.figures import animate as animate
from gainstage.landscape.figures import figure_3d as figure_3d
from gainstage.landscape.figures import figure_map as figure_map
from gainstage.landscape.race import Race as Race
from gainstage.landscape.race import race as race
from gainstage.landscape.surface import SURFACES as SURFACES
from gainstage.landscape.surface import Surface as Surface
from gainstage.landscape.surface import surface as surface
