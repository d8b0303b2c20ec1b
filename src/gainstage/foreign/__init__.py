"""Runs that other tools have kept, as run files: for the views that their numbers allow."""

from gainstage.foreign.importing import Imported as Imported
from gainstage.foreign.importing import import_runs as import_runs
