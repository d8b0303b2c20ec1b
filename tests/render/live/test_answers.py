"""What the server tells is what the views say."""

from __future__ import annotations

import contextlib
import json
import sqlite3

import msgspec
import pytest

from gainstage.errors import RunFileError
from gainstage.render.live.answers import Answers, Query, asked, encode
from gainstage.render.live.shelf import Shelf
from gainstage.store import StoredRecording
from gainstage.views import VIEWS

RUN = "2026-01-01-aaaa"


@pytest.fixture(scope="module")
def answers(folder):
    return Answers(Shelf(folder))


@pytest.fixture(scope="module")
def whole(folder):
    return StoredRecording(folder / f"{RUN}.gs")


def plain(told):
    return json.loads(json.dumps(msgspec.to_builtins(told, str_keys=True)))


def test_a_whole_run_is_told_as_in_a_report(live, whole):
    opening = live.told("/api/run", run=RUN)
    assert opening["loss"] == plain(VIEWS["loss"](whole))
    assert live.told("/api/levels", run=RUN) == plain(VIEWS["levels"](whole))
    assert opening["run"]["steps"] == 40
    assert opening["run"]["status"] == "finished"
    for name in ("updates", "parameters", "batchnorm"):
        assert live.told(f"/api/{name}", run=RUN) == plain(VIEWS[name](whole))
    history = live.told("/api/history", run=RUN, only="output", site="layers.0")
    assert history["histories"] == plain(VIEWS["history"](whole))["histories"]
    assert len(history["histories"][0]["ridges"]) > 10
    maps = plain(VIEWS["heatmap"](whole))
    for key, _ in maps["choices"]:
        told = live.told("/api/heatmap", run=RUN, only=key)
        assert told["maps"] == [one for one in maps["maps"] if one["key"] == key]
    groups = plain(VIEWS["histograms"](whole))["groups"]
    assert live.told("/api/histograms", run=RUN, only="output")["groups"] == groups


def test_a_run_that_trains_tells_how_long_it_has(tmp_path, write_run):
    writer = write_run(tmp_path / "a.gs", steps=11, finish=False)
    answers = Answers(Shelf(tmp_path))
    assert answers.opening(Query("a"))["run"]["seconds"] == 1.0
    assert answers.comparison(Query("a", other="a")).seconds == (1.0, 1.0)
    assert answers.runs()["runs"][0].seconds == 1.0
    writer.close()


def test_some_steps_and_some_sites(live):
    told = live.told("/api/updates", run=RUN, start=10, stop=19, match="layers.2*")
    assert told["steps"] == list(range(10, 20))
    assert [pace["name"] for pace in told["paces"]] == ["layers.2.weight"]
    opening = live.told("/api/run", run=RUN, start=10, stop=19)
    assert opening["loss"]["steps"] == list(range(10, 20))
    assert opening["run"]["steps"] == 40
    history = live.told("/api/history", run=RUN, start=10, stop=19, only="output", site="layers.0")
    assert history["histories"][0]["first"] == list(range(10, 20))
    levels = live.told("/api/levels", run=RUN, start=10, stop=19)
    assert (levels["start"], levels["stop"]) == (10, 19)


def test_an_unknown_map_is_the_first_there_is(live):
    told = live.told("/api/heatmap", run=RUN, only="nothing")
    assert [one["key"] for one in told["maps"]] == [told["choices"][0][0]]


def test_steps_that_are_not_there_are_an_empty_page(live):
    opening = live.told("/api/run", run=RUN, start=500, stop=600)
    assert opening["loss"]["steps"] == []
    assert live.told("/api/updates", run=RUN, start=500)["steps"] == []
    live.told("/api/heatmap", run=RUN, start=30, stop=20)
    live.told("/api/histograms", run=RUN, start=500, stop=600)


def test_the_verdict_has_cards_with_their_manuals(live, folder):
    from gainstage.diagnosis import diagnose

    told = live.told("/api/findings", run=RUN)
    found = diagnose(StoredRecording(folder / f"{RUN}.gs"))
    assert [card["code"] for card in told["cards"]] == [f.code for f in found]
    assert all(card["manual"] for card in told["cards"])
    assert told["told"] == ""


def test_a_long_run_is_judged_by_its_start_and_says_so(folder, monkeypatch):
    monkeypatch.setattr("gainstage.render.live.answers.JUDGED_CELLS", 110)
    told = Answers(Shelf(folder)).findings(Query(RUN))
    assert told["told"] == "Judged by the first 10 of 40 steps."


def test_a_verdict_is_kept_as_long_as_nothing_is_written(answers, monkeypatch):
    first = answers.findings(Query(RUN))
    monkeypatch.setattr("gainstage.render.live.answers.diagnose", lambda _: pytest.fail("again"))
    assert answers.findings(Query(RUN)) is first


def test_two_runs_beside_each_other(live):
    told = live.told("/api/compare", run=RUN, other="2026-01-02-bbbb")
    assert told["names"] == [RUN, "2026-01-02-bbbb"]
    assert set(told["difference"]) == {0.0}
    assert {stage["name"] for stage in told["stages"]} == {"layers.0", "layers.2", "head"}
    assert live.told("/api/compare", run=RUN, other=RUN)["only"] == [0, 0]


def test_runs_are_listed(live, folder):
    told = live.told("/api/runs")
    assert told["folder"] == str(folder)
    broken = [run for run in told["runs"] if run["name"] == "2026-01-03-cccc"]
    assert broken[0]["status"] == "unreadable"
    findings = {run["name"]: run["findings"] for run in told["runs"]}
    assert findings["2026-01-02-bbbb"] == ["error"]


def test_the_ranks_of_a_training_are_one_run(tmp_path, write_run):
    for rank in range(2):
        write_run(tmp_path / "many" / f"rank{rank}.gs", steps=6)
    answers = Answers(Shelf(tmp_path))
    assert [run.name for run in answers.runs()["runs"]] == ["many"]
    assert answers.opening(Query("many"))["run"]["steps"] == 6
    assert len(answers.view("levels", Query("many")).stages) == 2
    assert answers.view("heatmap", Query("many", 1, 3)).first == (1, 2, 3)
    assert "cards" in answers.findings(Query("many"))


@pytest.mark.parametrize("make", ["truncated", "foreign", "empty"])
def test_a_file_of_another_kind_is_refused_in_a_sentence(tmp_path, write_run, make):
    path = tmp_path / "a.gs"
    if make == "truncated":
        write_run(path)
        path.write_bytes(path.read_bytes()[:9000])
    elif make == "foreign":
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE meta (key, json)")
    else:
        path.touch()
    answers = Answers(Shelf(tmp_path))
    assert answers.runs()["runs"][0].status == "unreadable"
    with pytest.raises(RunFileError, match=r"^The (run )?file .*a\.gs"):
        answers.opening(Query("a"))
    with pytest.raises(RunFileError):
        answers.findings(Query("a"))


def test_a_question_is_read_from_text():
    query = asked({"run": "a", "start": "3"})
    assert (query.run, query.start, query.stop) == ("a", 3, None)


def test_text_that_no_utf8_can_hold_is_escaped():
    assert json.loads(encode({"a": "\ud800"})) == {"a": "\ud800"}
    assert encode({"a": float("nan")}) == b'{"a":null}'
