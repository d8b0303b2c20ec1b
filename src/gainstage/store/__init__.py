"""The run store: one SQLite file a run, written step by step and read while it is written.

A training with several processes has a folder of such files, one a rank.
Free of torch. :mod:`gainstage.store.schema` describes the file.
"""

from gainstage.store.amend import save_findings as save_findings
from gainstage.store.amend import save_remedies as save_remedies
from gainstage.store.compaction import Overview as Overview
from gainstage.store.excerpt import Excerpt as Excerpt
from gainstage.store.excerpt import matching as matching
from gainstage.store.library import RunSummary as RunSummary
from gainstage.store.library import find_run as find_run
from gainstage.store.library import list_runs as list_runs
from gainstage.store.library import new_run_path as new_run_path
from gainstage.store.library import open_recording as open_recording
from gainstage.store.library import run_files as run_files
from gainstage.store.maps import load_map as load_map
from gainstage.store.maps import map_names as map_names
from gainstage.store.maps import save_map as save_map
from gainstage.store.merged import MergedRecording as MergedRecording
from gainstage.store.merging import merge_run as merge_run
from gainstage.store.ranks import Rank as Rank
from gainstage.store.ranks import new_rank_path as new_rank_path
from gainstage.store.ranks import rank_files as rank_files
from gainstage.store.ranks import rank_in as rank_in
from gainstage.store.ranks import run_name as run_name
from gainstage.store.reader import StoredRecording as StoredRecording
from gainstage.store.writer import Writer as Writer
