"""The run store: one SQLite file a run, written step by step and read while it is written.

Free of torch. :mod:`gainstage.store.schema` describes the file.
"""

from gainstage.store.amend import save_findings as save_findings
from gainstage.store.library import RunSummary as RunSummary
from gainstage.store.library import find_run as find_run
from gainstage.store.library import list_runs as list_runs
from gainstage.store.library import new_run_path as new_run_path
from gainstage.store.reader import Overview as Overview
from gainstage.store.reader import StoredRecording as StoredRecording
from gainstage.store.writer import Writer as Writer
