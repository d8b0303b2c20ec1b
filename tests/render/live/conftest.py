"""A live server in this process, asked as a browser asks: through a socket."""

from __future__ import annotations

import http.client
import json
import threading
import time
from types import SimpleNamespace
from urllib.parse import urlencode

import numpy as np
import pytest

from gainstage.records import Event, Finding, RunInfo, Series, Site
from gainstage.render.live import server as serving
from gainstage.render.live.app import make_app
from gainstage.render.live.guard import Keys
from gainstage.render.live.shelf import Shelf
from gainstage.sketch import Histogram
from gainstage.store import Writer, save_findings

HINTS = ("Canvas2D: Multiple readback", "[.WebGL-")
"""Where Chromium tells plotly how pictures in three dimensions could be drawn faster."""


def write(path, steps=40, *, names=("layers.0", "layers.2"), script="train.py", finish=True):
    """A small run: for each name the five kinds of a linear stage, and a falling loss."""
    info = RunInfo(path.stem, 1.0e9, script)
    writer = Writer(path, info, compact_every=16)
    sites = [Site(0, "run", "run", "", "", 0)]
    for order, name in enumerate(names):
        for kind in ("output", "output_grad", "weight", "grad", "update"):
            full = name if kind.startswith("output") else f"{name}.weight"
            sites.append(Site(len(sites), full, kind, name, "Linear", order, (4, 4)))
    series = [Series(0, 0, "loss")] + [Series(i, i, "rms") for i in range(1, len(sites))]
    writer.add(sites, series)
    for step in range(steps):
        values = np.full(len(series), 0.5, dtype=np.float32)
        values[0] = 2.0 / (1 + step)
        writer.add_histogram(1, step, Histogram.of(np.linspace(-1, 1, 20, dtype=np.float32)))
        writer.write_frame(step, values, t=step * 0.1)
    writer.add_event(Event(3, "lr-changed"))
    if finish:
        writer.finish(RunInfo(path.stem, 1.0e9, script, status="finished", seconds=4.0))
        writer.close()
    return writer


ROW = {"quantity": "loss", "published": 2.0, "measured": 2.1, "low": 1.5, "high": 2.5,
       "kind": "D", "asked": True, "inside": True}  # fmt: skip


def keep(place, name="demo", quantity="loss"):
    """Results of an experiment, and a landscape with a way across it."""
    place.mkdir(parents=True)
    told = {"experiment": name, "options": {"lr": 0.1}, "quick": False, "seconds": 2.0}
    told["rows"] = [{**ROW, "quantity": quantity}, {**ROW, "inside": False, "high": float("inf")}]
    (place / "results.json").write_text(json.dumps(told))
    x = np.linspace(-2, 2, 9)
    np.savez(
        place / f"{quantity[:40].replace('/', '')}.npz", x=x, y=x, names=[quantity], note="",
        axes=["w", quantity], values=np.add.outer(x**2, x**2)[None], rows=9,
        path=np.linspace([-2, -2], [0, 0], 12),
    )  # fmt: skip


@pytest.fixture(scope="session")
def keep_experiment():
    return keep


@pytest.fixture(scope="session")
def write_run():
    return write


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Two runs, one with a finding, and a file that is no run."""
    place = tmp_path_factory.mktemp("live") / "runs"
    place.mkdir()
    write(place / "2026-01-01-aaaa.gs")
    write(place / "2026-01-02-bbbb.gs", names=("layers.0", "head"), script="other.py")
    found = Finding("dead-units", "error", 0.9, "layers.0", 2, "All units are zero.", rank=1)
    save_findings(place / "2026-01-02-bbbb.gs", (found,))
    (place / "2026-01-03-cccc.gs").write_text("not a run at all " * 100)
    return place


def start(folder):
    """Serve a folder from a thread: port, keys, ask(), shelf, stop()."""
    renewed = []
    listener = serving._listener(0)
    port = listener.getsockname()[1]
    keys, shelf = Keys(renewed.append), Shelf(folder)
    guard = make_app(shelf, keys, port)
    server = serving._Server(guard)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    cookie = f"{guard.cookie_name}={keys.cookie}"

    def stop():
        server.should_exit = True
        thread.join(20)
        listener.close()
        assert not thread.is_alive()

    def ask(target, *, method="GET", headers=None, body=None, let_in=True, host=None):
        """Status, headers and body of an answer to a request line that is sent as it is."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", f"127.0.0.1:{port}" if host is None else host)
        given = ({"Cookie": cookie} if let_in else {}) | (headers or {})
        for name, value in given.items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return SimpleNamespace(status=answer.status, headers=answer.headers, body=text)

    def told(path, **question):
        answer = ask(f"{path}?{urlencode(question)}")
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    return SimpleNamespace(
        port=port, keys=keys, shelf=shelf, renewed=renewed, cookie=cookie, guard=guard,
        ask=ask, told=told, stop=stop, url=f"http://127.0.0.1:{port}/", server=server,
    )  # fmt: skip


@pytest.fixture(scope="session")
def start_server():
    return start


@pytest.fixture(scope="session")
def live(folder):
    """The server of that folder."""
    server = start(folder)
    yield server
    server.stop()


@pytest.fixture
def visit(browser, live):
    """Opens the page of a server at a fragment; at the end nothing may have gone wrong."""
    troubles, contexts = [], []

    def watch(page, server, expected):
        def heard(message):
            hint = message.type == "warning" and message.text.startswith(HINTS)
            if not hint and not (expected and "Failed to load resource" in message.text):
                troubles.append(f"console {message.type}: {message.text}")

        page.on("console", heard)
        page.on("pageerror", lambda e: troubles.append(f"error: {e}"))
        page.on("dialog", lambda d: (troubles.append(f"dialog: {d.message}"), d.dismiss()))
        page.on("request", lambda r: None if _ours(r.url, server) else troubles.append(r.url[:200]))

    def visiting(fragment="", *, server=live, width=1280, scheme="light", failing=False):
        context = browser.new_context(
            color_scheme=scheme, viewport={"width": width, "height": 900}, accept_downloads=True
        )
        contexts.append(context)
        name, value = server.cookie.split("=", 1)
        context.add_cookies([{"name": name, "value": value, "url": server.url}])
        page = context.new_page()
        watch(page, server, failing)
        page.goto(server.url + "#" + fragment)
        if not failing:
            page.wait_for_selector("html[data-ready]", timeout=60_000)
        return page

    yield visiting
    for context in contexts:
        context.close()
    assert troubles == []


def _ours(url, server):
    return url.startswith((server.url, "data:", "blob:"))
