"""Server-sent events: who follows a run hears of each step, and only so many may."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from gainstage.records import Event
from gainstage.render.live.shelf import Shelf, mark
from gainstage.render.live.stream import Streams


@contextlib.contextmanager
def stream(server, query):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", f"/api/events{query}", headers={"Cookie": server.cookie})
    answer = connection.getresponse()
    try:
        yield answer
    finally:
        connection.sock.close() if connection.sock else None
        answer.close()
        connection.close()


def news(answer):
    """The next event's data."""
    while True:
        line = answer.readline()
        if line.startswith(b"data: "):
            return json.loads(line[6:])
        assert line, "the stream has ended"


@pytest.fixture
def server(tmp_path, write_run, start_server):
    tmp_path.joinpath("runs").mkdir()
    writer = write_run(tmp_path / "runs" / "a.gs", steps=3, finish=False)
    server = start_server(tmp_path / "runs")
    server.writer, server.folder = writer, tmp_path / "runs"
    yield server
    writer.close()
    server.stop()


def test_each_step_is_heard_of(server):
    with stream(server, "?run=a") as answer:
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        first = news(answer)
        assert first["changed"]
        assert 0 <= first["quiet"] < 60
        assert first["mark"] == server.told("/api/run", run="a")["mark"]
        server.writer.add_event(Event(2, "tick"))
        second = news(answer)
        assert second["changed"]
        assert second["mark"] != first["mark"]


def test_a_run_that_appears_is_heard_of(server, write_run):
    with stream(server, "") as answer:
        assert news(answer) == {"changed": True}
        write_run(server.folder / "b.gs", steps=1)
        assert news(answer)["changed"]


def test_the_list_is_looked_at_in_one_go_and_beside_the_loop(tmp_path, write_run, monkeypatch):
    for name in "abc":
        write_run(tmp_path / f"{name}.gs", steps=1)
    finds, loops = [], []
    find = Shelf.find

    def counted(self):
        finds.append(threading.get_ident() in loops)
        return find(self)

    monkeypatch.setattr(Shelf, "find", counted)

    async def first(name):
        loops.append(threading.get_ident())
        events = Streams(Shelf(tmp_path))._events(name)
        told = [await anext(events) for _ in range(2)]
        await events.aclose()
        return json.loads(told[1].removeprefix("data: "))

    with ThreadPoolExecutor(1) as elsewhere:  # a browser of other tests has its loop in this one
        listed = elsewhere.submit(lambda: asyncio.run(first(None))).result()
        one = elsewhere.submit(lambda: asyncio.run(first("b"))).result()
    assert listed == {"changed": True}
    assert one["mark"] == mark(Shelf(tmp_path).signature("b"))
    assert finds == [False]


def test_a_run_and_a_folder_that_vanish_are_heard_of(server):
    with stream(server, "?run=a") as answer, stream(server, "") as listed:
        assert news(answer)["mark"]
        assert news(listed)["changed"]
        server.folder.rename(server.folder.with_name("gone"))
        assert news(answer) == {"changed": True, "mark": None, "quiet": None}
        assert news(listed)["changed"]
        assert server.told("/api/runs")["runs"] == []


def test_a_heartbeat_says_that_nothing_was_written(server, monkeypatch):
    monkeypatch.setattr("gainstage.render.live.stream._HEARTBEAT", 0.5)
    with stream(server, "?run=a") as answer:
        assert news(answer)["changed"]
        assert not news(answer)["changed"]


def test_only_so_many_may_follow_and_one_that_leaves_makes_room(server, monkeypatch):
    monkeypatch.setattr("gainstage.render.live.stream.MOST", 1)
    monkeypatch.setattr("gainstage.render.live.stream.PAUSE", 0.05)
    with stream(server, "?run=a") as answer:
        news(answer)
        refused = server.ask("/api/events?run=a")
        assert refused.status == 503
        assert refused.headers["retry-after"] == "5"
        assert b"close some" in refused.body
    for _ in range(100):
        with stream(server, "?run=a") as answer:
            if answer.status == 200:
                news(answer)
                return
    pytest.fail("the place of the one that left is still taken")
