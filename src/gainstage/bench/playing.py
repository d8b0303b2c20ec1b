"""How fast the playground of a live server answers, and how soon its page shows the answer."""

from __future__ import annotations

import http.client
import json
import time
from typing import Any, Final

import numpy as np

from gainstage.bench.bench import Line

PROMISES: Final = {
    "playground: trajectory of 100 steps": 0.1,
    "playground: trajectory, the longest": 0.1,
    "playground: levels of 10 layers of 128": 0.3,
    "playground: levels, the largest network": 0.3,
    "page: slider moved, trajectory drawn": 0.1,
    "page: slider moved, levels drawn": 0.3,
}
"""Seconds, after the first request."""

_HOST: Final = "127.0.0.1"
_ROUNDS: Final = 15

_DESCENT: Final[dict[str, Any]] = {
    "what": "descent", "surface": "rosenbrock", "optimizer": "Adam", "start": [-1.4, 2.4],
}  # fmt: skip
_STACK: Final[dict[str, Any]] = {
    "what": "stack", "activation": "tanh", "scheme": "xavier_normal"
}  # fmt: skip

_ASKED: Final[dict[str, dict[str, Any]]] = {
    "playground: trajectory of 100 steps": _DESCENT,
    "playground: trajectory, the longest": {**_DESCENT, "steps": 300},
    "playground: levels of 10 layers of 128": _STACK,
    "playground: levels, the largest network": {**_STACK, "depth": 32, "width": 256},
}

_SLIDE: Final = """
([panel, name, places]) => new Promise(async (done) => {
  const slider = document.querySelector(`[aria-label="${name}"] input[type=range]`);
  const chart = document.querySelector(panel + " .chart");
  const times = [];
  for (const place of places) {
    await new Promise((next) => setTimeout(next, 400));
    const before = JSON.stringify(chart.data.map((trace) => trace.y));
    const began = performance.now();
    slider.value = Math.round(place * slider.max);
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    await new Promise((next) => {
      const look = () => (JSON.stringify(chart.data.map((trace) => trace.y)) === before ? requestAnimationFrame(look) : next());
      look();
    });
    times.push(performance.now() - began);
  }
  done(times);
})
"""  # noqa: E501 - a script, as it is sent


def answers(port: int, cookie: str) -> list[Line]:
    """The first answer of the server at a port, then medians of both benches."""
    connection = http.client.HTTPConnection(_HOST, port)
    first = _seconds(connection, port, cookie, {"what": "catalogue"})
    lines = [Line("playground: first answer, torch is loaded", first, "s")]
    for name, question in _ASKED.items():
        seconds = [_seconds(connection, port, cookie, question) for _ in range(_ROUNDS)]
        lines.append(Line(name, float(np.median(seconds)), "s"))
    connection.close()
    return lines


def _seconds(
    connection: http.client.HTTPConnection, port: int, cookie: str, question: dict[str, Any]
) -> float:
    own = {
        "Cookie": cookie,
        "Origin": f"http://{_HOST}:{port}",
        "Content-Type": "application/json",
    }
    body = json.dumps({"page": "bench", "question": question})
    began = time.perf_counter()
    connection.request("POST", "/api/playground", body, own)
    answer = connection.getresponse()
    told = json.loads(answer.read())
    seconds = time.perf_counter() - began
    if answer.status != 200 or "refused" in told:
        msg = f"The playground answered {answer.status}: {told}"
        raise RuntimeError(msg)
    return seconds


def drawn(tab: Any, url: str) -> list[Line]:
    """Medians from a slider's move until its chart shows the answer, in a browser's tab.

    Args:
        tab: of playwright, let in.
        url: of the server.
    """
    benches = (
        ("trajectory", "#play=descent&surface=saddle&optimizer=Adam", "#value", "lr"),
        ("levels", "#play=stack&activation=tanh", "#stack", "gain"),
    )
    places = [0.3 + 0.4 * share for share in np.linspace(0, 1, _ROUNDS)]
    lines = []
    for what, fragment, panel, knob in benches:
        tab.goto(url + fragment)
        tab.wait_for_selector(f"{panel} .main-svg")
        times = tab.evaluate(_SLIDE, [panel, knob, places])
        name = f"page: slider moved, {what} drawn"
        lines.append(Line(name, float(np.median(times)) / 1e3, "s"))
    return lines
