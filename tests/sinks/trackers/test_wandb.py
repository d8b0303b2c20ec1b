"""What W&B keeps offline, read from its own file, is what was measured."""

from __future__ import annotations

import json
import time

import pytest

import gainstage as gs
from gainstage.sinks.tracker import buckets
from gainstage.sinks.trackers.wandb import MOST_BUCKETS

wandb = pytest.importorskip("wandb", reason="the extra `wandb` is not installed")

pytestmark = pytest.mark.filterwarnings("ignore")  # wandb's own


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    for name in ("WANDB_SILENT", "WANDB_DISABLE_GIT", "WANDB_DISABLE_CODE"):
        monkeypatch.setenv(name, "true")
    for name in ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("WANDB_MODE", raising=False)


BLOCK = 32768
HEADER = 7


def records(data):
    """The records of a file in LevelDB's log format, which wandb's own core reads and writes.

    A record's parts have a header each (checksum, length, and 1 for the only part, 2 for the first,
    3 for one in the middle, 4 for the last); no header stands across the edge of a block.
    """
    assert data[:4] == b":W&B"
    at, held = HEADER, b""
    while at + HEADER <= len(data):
        if BLOCK - at % BLOCK < HEADER:
            at += BLOCK - at % BLOCK
            continue
        length, part = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        held += data[at + HEADER : at + HEADER + length]
        at += HEADER + length
        if part in (1, 4):
            yield held
            held = b""


def whole(path):
    """The records of a run that is finished: wandb writes the last of them when it has returned."""
    from wandb.proto.wandb_internal_pb2 import Record

    for _ in range(300):
        found = [Record.FromString(data) for data in records(path.read_bytes())]
        if found and found[-1].WhichOneof("record_type") == "exit":
            return found
        time.sleep(0.1)
    msg = f"{path} was never finished"
    raise AssertionError(msg)


def read(folder):
    """The rows of the offline files under a folder, by run: [(step, {name: value})]."""
    runs = {}
    for path in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
        rows, name = [], ""
        for record in whole(path):
            if record.WhichOneof("record_type") == "run":
                name = record.run.display_name
            if record.WhichOneof("record_type") == "history":
                row = {}
                for item in record.history.item:
                    *parts, last = [item.key] if item.key else item.nested_key
                    place = row
                    for part in parts:
                        place = place.setdefault(part, {})
                    place[last] = json.loads(item.value_json)
                rows.append((record.history.step.num, row))
        runs[name] = rows
    return runs


@pytest.fixture
def both(trained, catch, tmp_path):
    caught = catch()
    run = trained(tmp_path / "runs", [gs.sinks.WandB(tmp_path), caught], faint=True)
    return read(tmp_path)[run.path.stem], caught


def test_every_scalar_is_ours(both):
    rows, caught = both
    for name in caught.names:
        found = {step: row[name] for step, row in rows if name in row}
        ours = caught.series(name)
        assert list(found) == list(ours), name
        assert [float(x) for x in found.values()] == list(ours.values()), name


def test_every_histogram_is_ours(both):
    rows, caught = both
    names = {name for reading in caught for name in reading.histograms}
    for name in names:
        found = {step: row[name] for step, row in rows if name in row}
        ours = caught.shapes(name)
        assert list(found) == list(ours)
        for step, value in found.items():
            edges, counts = buckets(ours[step], MOST_BUCKETS)
            assert value["_type"] == "histogram"
            assert value["values"] == counts.tolist()
            assert value["bins"] == pytest.approx(edges.tolist(), rel=1e-12)


def test_findings_are_a_table(both):
    rows, caught = both
    (table,) = [row["findings"] for _, row in rows if "findings" in row]
    assert table["_type"] == "table-file"
    assert table["nrows"] == len(caught[-2].findings)


def test_the_programs_own_run_is_left_alone(trained, tmp_path):
    theirs = wandb.init(project="mine", mode="offline", dir=tmp_path, name="mine")
    theirs.log({"own": 1.0}, step=0)
    run = trained(tmp_path / "runs", [gs.sinks.WandB(tmp_path)])
    assert wandb.run is theirs
    theirs.log({"own": 2.0}, step=1)
    theirs.finish()
    runs = read(tmp_path)
    assert [(step, row["own"]) for step, row in runs["mine"] if "own" in row] == [
        (0, 1.0),
        (1, 2.0),
    ]
    assert len(runs[run.path.stem]) == 20
