"""Experiments beside the runs: found by name, never by a path; what is broken is told."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def server(tmp_path_factory, start_server, keep_experiment):
    keep = keep_experiment
    home = tmp_path_factory.mktemp("lab")
    keep(home / "runs" / "lab" / "demo")
    keep(home / "runs" / "beside", "beside")
    keep(home / "runs" / "lab" / HOSTILE, HOSTILE, HOSTILE)
    (home / "runs" / "lab" / "broken").mkdir()
    (home / "runs" / "lab" / "broken" / "results.json").write_text("{")
    keep(home / "runs-secret" / "hidden")
    (home / "runs" / "lab" / "linked").symlink_to(home / "runs-secret" / "hidden")
    (home / "runs" / "lab" / "demo" / "linked.npz").symlink_to(
        home / "runs-secret" / "hidden" / "loss.npz"
    )
    started = start_server(home / "runs")
    yield started
    started.stop()


def test_experiments_are_listed_in_the_folder_and_in_its_lab(server):
    told = server.told("/api/lab")["experiments"]
    assert [one["name"] for one in told] == sorted(["beside", "broken", "demo", HOSTILE])
    demo = next(one for one in told if one["name"] == "demo")
    assert (demo["table"]["agreeing"], demo["table"]["judged"]) == (1, 2)
    assert demo["maps"] == ["loss"]
    broken = next(one for one in told if one["name"] == "broken")
    assert broken["table"] is None
    assert "cannot be read" in broken["problem"]


def test_one_experiment_and_its_landscape(server):
    assert server.told("/api/experiment", lab="demo")["table"]["figures"][1]["verdict"] == "differs"
    told = server.told("/api/landscape", lab="demo", map="loss")
    assert told["axes"] == ["w", "loss"]
    assert len(told["values"][0]) == 9


@pytest.mark.parametrize(
    "name", ["linked", "../runs-secret/hidden", "hidden", "lab/demo", "/etc", "nothing", "x" * 300]
)
def test_an_experiment_is_a_name_that_was_found(server, name):
    for path in ("experiment", "landscape"):
        answer = server.ask(f"/api/{path}?lab={quote(name, safe='')}&map=loss")
        assert answer.status == 404
        assert "There is no experiment called" in json.loads(answer.body)["error"]


@pytest.mark.parametrize("name", ["linked", "../demo/loss", "loss.npz", "", "results"])
def test_a_landscape_is_a_name_that_was_found(server, name):
    answer = server.ask(f"/api/landscape?lab=demo&map={quote(name, safe='')}")
    assert answer.status == 404
    assert "There is no landscape called" in json.loads(answer.body)["error"]


@pytest.mark.parametrize("query", ["", "lab=", "lab=demo&path=/etc", "lab=" + "x" * 301])
def test_a_question_that_makes_no_sense_is_told_so(server, query):
    answer = server.ask(f"/api/experiment?{query}")
    assert answer.status == 400
    assert json.loads(answer.body)["error"].startswith("The address makes no sense: ")


def test_a_folder_without_any_is_empty(live):
    assert live.told("/api/lab")["experiments"] == []
