"""The live page on a long run of a deep network: 1,000 sites, 100,000 steps."""

from __future__ import annotations

import contextlib
import http.client
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import numpy as np

from gainstage.bench import playing
from gainstage.bench.bench import BENCHES, Line, Outcome, Settings
from gainstage.bench.longrun import write_long_run

SITES: Final = 1_000
STEPS: Final = 100_000
_ROUNDS: Final = 7
_CHROMIUM: Final = ("chromium", "google-chrome", "chromium-browser")
_FLAGS: Final = ("--headless=new", "--no-sandbox", "--disable-gpu")
_HOST: Final = "127.0.0.1"

_PROMISES: Final = {
    "server: started": 1.0,
    "page: opened, levels and loss drawn": 1.0,
    "page: zoomed, heat map redrawn": 0.2,
    **playing.PROMISES,
}
"""Seconds."""

_ZOOM: Final = (40_000, 50_000)

_SETTLED: Final = 3.0
"""Seconds after which nobody disturbs a page that opens."""

_MARKS: Final = """
["loss", "levels"].map((name) => performance.getEntriesByName("gainstage:" + name)[0])
  .map((mark) => (mark ? mark.startTime : 0))
"""

_DRAG: Final = """
([panel, first, last]) => new Promise((done) => {
  const chart = document.querySelector(panel + " .chart");
  const began = performance.now();
  const look = () => {
    const xs = chart.data.find((trace) => trace.x && trace.x.length).x;
    if (xs[0] >= first - 600 && xs[xs.length - 1] <= last + 600) done(performance.now() - began);
    else requestAnimationFrame(look);
  };
  Plotly.relayout(chart, { "xaxis.range[0]": first, "xaxis.range[1]": last });
  look();
})
"""


@BENCHES.register("page")
def page(settings: Settings) -> Outcome:
    """How long the live page takes to open and to zoom, and what the server needs for it."""
    del settings
    return measure(SITES, STEPS)


def measure(sites: int, steps: int) -> Outcome:
    """Open and zoom the page of a run of that many sites and steps."""
    with tempfile.TemporaryDirectory() as folder:
        run = write_long_run(Path(folder) / "long.gs", sites, steps)
        lines = [Line("size of the run file", run.stat().st_size / 1e6, "MB")]
        with _serving(folder) as server:
            cookie = _let_in(server)
            lines += [
                Line("server: started", server.ready, "s"),
                *_answers(server, cookie, run.stem),
                *playing.answers(server.port, cookie),
                *_browser(server, cookie, run.stem),
                Line("server: most memory", _memory(server.process.pid), "MB"),
            ]
    return Outcome([_judged(line) for line in lines], data={"sites": sites, "steps": steps})


def _judged(line: Line) -> Line:
    promise = _PROMISES.get(line.name)
    if promise is None or line.value is None:
        return line
    return replace(line, ratio=line.value / promise, reach=("<=", 1.0))


def _memory(pid: int) -> float | None:
    """Largest resident size of a process in MB, where the system tells it."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return None
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) / 1e3 if found else None


@dataclass(slots=True)
class _Server:
    process: subprocess.Popen[str]
    port: int
    ready: float
    line: str

    def token(self) -> str:
        """A token that opens a browser: the first, then that which the last one has renewed."""
        lines = chain([self.line], self.process.stdout or ())
        found = next(found for line in lines if (found := re.search(r"token=(\S+)", line)))
        self.line = ""
        return found[1]


@contextlib.contextmanager
def _serving(folder: str) -> Iterator[_Server]:
    command = [sys.executable, "-u", "-m", "gainstage", "ui", folder, "--port", "0", "--no-browser"]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            line = process.stdout.readline() if process.stdout else ""
            ready = time.perf_counter() - began
            (port,) = re.findall(r":(\d+)/\?token=", line)
            yield _Server(process, int(port), ready, line)
        finally:
            process.terminate()


def _let_in(server: _Server) -> str:
    connection = http.client.HTTPConnection(_HOST, server.port)
    connection.request("GET", f"/?token={server.token()}")
    cookie = str(connection.getresponse().headers["set-cookie"]).split(";")[0]
    connection.close()
    return cookie


def _answers(server: _Server, cookie: str, run: str) -> list[Line]:
    """Medians of the server's answers, without a browser."""
    connection = http.client.HTTPConnection(_HOST, server.port)
    first, last = _ZOOM
    span = f"&start={first}&stop={last}"
    asked = {
        "server: opening": "/api/run?",
        "server: levels": "/api/levels?",
        "server: levels, zoomed": f"/api/levels?{span}&",
        "server: heat map": "/api/heatmap?",
        "server: heat map, zoomed": f"/api/heatmap?{span}&",
        "server: update to data, zoomed": f"/api/updates?{span}&",
        "server: histograms": "/api/histograms?",
    }
    lines = []
    for name, path in asked.items():
        seconds = []
        for _ in range(_ROUNDS):
            began = time.perf_counter()
            connection.request("GET", f"{path}run={quote(run)}", headers={"Cookie": cookie})
            connection.getresponse().read()
            seconds.append(time.perf_counter() - began)
        lines.append(Line(name, float(np.median(seconds)), "s"))
    connection.close()
    return lines


def _browser(server: _Server, cookie: str, run: str) -> list[Line]:
    """Medians of what a user waits for, in Chromium; nothing without it."""
    found: Any = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - for tests and this alone
    except ImportError:
        return []
    if found is None:
        return []
    with sync_playwright() as playwright:
        opened = [_opened(playwright, found, server, run) for _ in range(_ROUNDS)]
        browser = playwright.chromium.launch(executable_path=found, args=list(_FLAGS))
        zoomed = [_zoomed(browser, server, cookie, run) for _ in range(_ROUNDS)]
        context = browser.new_context()
        name, value = cookie.split("=", 1)
        url = f"http://{_HOST}:{server.port}/"
        context.add_cookies([{"name": name, "value": value, "url": url}])
        lines = playing.drawn(context.new_page(), url)
        browser.close()
    return [
        *lines,
        Line("page: opened, levels and loss drawn", float(np.median(opened)), "s"),
        Line("page: zoomed, heat map redrawn", float(np.median(zoomed)), "s"),
    ]


def _opened(playwright: Any, chromium: str, server: _Server, run: str) -> float:
    """Seconds from the navigation until levels and loss are drawn, in a browser that has started.

    Nothing is attached to it meanwhile, as with a user: a browser that is inspected parses plotly's
    five megabytes four times over. The page's own marks are read afterwards.
    """
    url = f"http://{_HOST}:{server.port}/?token={server.token()}#run={quote(run)}"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        flags = [*_FLAGS, "--no-first-run", "--disable-background-networking"]
        flags += ["--remote-debugging-port=0", f"--user-data-dir={profile}"]
        command = [chromium, *flags, "about:blank"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603
            try:
                lines = iter(process.stderr) if process.stderr else iter(())
                address = next(line for line in lines if "DevTools listening on" in line)
                time.sleep(_SETTLED)
                _open_tab(address, url)
                time.sleep(_SETTLED)
                browser = playwright.chromium.connect_over_cdp(address.split()[-1])
                tabs = browser.contexts[0].pages
                page = next(tab for tab in tabs if str(server.port) in tab.url)
                while not all(marks := page.evaluate(_MARKS)):
                    page.wait_for_timeout(500)
                browser.close()
            finally:
                process.terminate()
    return float(max(marks)) / 1e3


def _open_tab(address: str, url: str) -> None:
    """A new tab, by a question that attaches nothing to it."""
    (port,) = re.findall(r"127\.0\.0\.1:(\d+)/", address)
    connection = http.client.HTTPConnection(_HOST, int(port))
    connection.request("PUT", f"/json/new?{quote(url, safe='')}")
    connection.getresponse().read()
    connection.close()


def _zoomed(browser: Any, server: _Server, cookie: str, run: str) -> float:
    """Seconds from a choice of steps in the heat map until it shows them."""
    name, value = cookie.split("=", 1)
    url = f"http://{_HOST}:{server.port}/"
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.add_cookies([{"name": name, "value": value, "url": url}])
    tab = context.new_page()
    tab.goto(f"{url}#run={quote(run)}")
    tab.wait_for_selector("#levels .level-row")
    tab.locator("[data-slot=heatmap]").scroll_into_view_if_needed()
    tab.wait_for_selector("#heatmap .heatmaplayer image")
    tab.wait_for_timeout(1500)
    seconds = tab.evaluate(_DRAG, ["#heatmap", *_ZOOM]) / 1e3
    context.close()
    return float(seconds)
