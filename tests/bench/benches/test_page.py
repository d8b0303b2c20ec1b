"""`gainstage bench page` on a run that is short enough for a test."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from gainstage.bench import playing
from gainstage.bench.benches import page


def test_a_page_is_opened_and_zoomed(monkeypatch):
    monkeypatch.setattr(page, "_ROUNDS", 1)
    monkeypatch.setattr(playing, "_ROUNDS", 2)
    monkeypatch.setattr(page, "_ZOOM", (100, 200))
    with ThreadPoolExecutor(1) as pool:  # playwright wants a thread without another one's loop
        outcome = pool.submit(page.measure, 20, 400).result()
    lines = {line.name: line for line in outcome.lines}
    assert set(page._PROMISES) <= set(lines)
    assert all(line.value > 0 for line in outcome.lines)
    assert {name for name, line in lines.items() if line.reach} == set(page._PROMISES)
    assert outcome.data == {"sites": 20, "steps": 400}
