"""The live page in a real browser: no error, no request to anybody else."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gainstage.records import RunInfo, Series, Site
from gainstage.store import Writer

RUN = "2026-01-01-aaaa"


def test_the_address_of_the_terminal_opens_the_page_and_is_spent(browser, folder, start_server):
    server = start_server(folder)
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(f"{server.url}?token={server.keys.token}")
        page.wait_for_selector("#runs table")
        assert page.url == server.url
        assert page.evaluate("document.cookie") == ""  # no script can read it
        page.reload()
        page.wait_for_selector("#runs table")
        other = browser.new_context().new_page()
        other.goto(f"{server.url}?token=old")
        assert "address in your terminal" in other.inner_text("h1")
        other.context.close()
    finally:
        context.close()
        server.stop()


def test_runs_are_listed_found_and_compared(visit, until):
    page = visit()
    page.wait_for_selector("#runs tbody tr")
    assert page.locator("#runs tbody tr").count() >= 3
    assert "unreadable" in page.inner_text("#runs")
    page.locator("input.find").fill("aaaa")
    assert page.locator("#runs tbody tr").count() == 1
    page.locator("input.find").fill("")
    for name in (RUN, "2026-01-02-bbbb"):
        page.get_by_label(f"Compare {name}").check()
    page.get_by_text("Compare these two").click()
    page.wait_for_selector("#losses .main-svg")
    assert page.locator("#pairs .main-svg").count() > 0
    assert "other.py" in page.inner_text("#apart")
    page.get_by_text("Swap").click()
    until(page, f"document.querySelector('.side.one h1')?.textContent === '{RUN}'")


def test_a_run_is_the_page_of_its_report(visit, scrolled, until):
    page = visit(f"run={RUN}")
    scrolled(page)
    assert page.title() == "Gainstage · train.py"
    until(page, "!document.querySelector('#verdict').textContent.includes('Judging')")
    for name in ("loss", "heatmap", "updates", "histograms"):
        assert page.locator(f"#{name} .main-svg").count() > 0, name
    assert page.locator(".level-row:not(.level-head)").count() == 2
    assert page.locator(".pulse").is_hidden()  # it has ended


def test_charts_are_drawn_when_they_are_scrolled_to(visit):
    asked = []
    page = visit(f"run={RUN}", width=390)
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(500)
    assert page.locator("#histograms .main-svg").count() == 0
    page.locator("[data-slot=histograms]").scroll_into_view_if_needed()
    page.wait_for_selector("#histograms .main-svg")
    assert any("/api/histograms" in url for url in asked)


def test_names_are_found_everywhere(visit, scrolled, until):
    page = visit(f"run={RUN}")
    scrolled(page)
    page.keyboard.press("/")
    page.keyboard.type("layers.2*")
    until(page, "location.hash.includes('find=layers.2')")
    scrolled(page)
    until(
        page,
        "[...document.querySelectorAll('.level-row:not(.level-head)')]"
        ".filter((row) => !row.hidden).length === 1",
    )
    until(page, "document.querySelector('#updates .chart').data.length === 1")
    until(page, "document.querySelector('#heatmap .chart').data[0].y.length === 1")
    page.keyboard.press("Escape")
    until(page, "!location.hash.includes('find')")


def test_steps_are_chosen_for_the_whole_page_and_stand_in_the_address(visit, scrolled, until):
    page = visit(f"run={RUN}")
    scrolled(page)
    page.evaluate(
        "Plotly.relayout(document.querySelector('#loss .chart'),"
        " {'xaxis.range[0]': 10, 'xaxis.range[1]': 20})"
    )
    until(page, "location.hash.includes('steps=10-20')")
    assert page.locator(".bar .chip").inner_text() == "Steps 10 to 20 ×"
    first = "document.querySelector('#{} .chart').data[0].x[0] === 10"
    until(page, first.format("loss"))
    scrolled(page)
    until(page, first.format("updates"))
    until(page, "document.querySelector('#levels output').textContent.includes('these')")
    again = visit(f"run={RUN}&steps=10-20&scale=log&theme=dark")
    assert again.locator(".bar .chip").inner_text() == "Steps 10 to 20 ×"
    assert again.locator("#loss button[data-value=log]").get_attribute("aria-pressed") == "true"
    assert again.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(16, 18, 20)"
    page.keyboard.press("Escape")
    until(page, "!location.hash.includes('steps')")
    until(page, "document.querySelector('#loss .chart').data[0].x[0] === 0")


def test_light_and_dark_can_be_chosen(visit, until):
    page = visit(scheme="dark")
    page.get_by_text("Light or dark").click()
    assert "theme=dark" in page.url
    page.get_by_text("Light or dark").click()
    until(page, "getComputedStyle(document.body).backgroundColor === 'rgb(243, 242, 238)'")


def test_pictures_and_data_are_downloaded(visit, scrolled):
    page = visit(f"run={RUN}")
    scrolled(page)
    for panel in ("loss", "levels", "heatmap", "updates", "histograms"):
        with page.expect_download() as got:
            page.locator(f"#{panel} .save", has_text="CSV").click()
        text = Path(got.value.path()).read_text(encoding="utf-8")
        assert got.value.suggested_filename.startswith(f"{RUN}-")
        rows = list(csv.reader(io.StringIO(text)))
        assert len(rows) > 2
        assert len({len(row) for row in rows}) == 1
    for panel in ("loss", "levels", "heatmap"):
        with page.expect_download() as got:
            page.locator(f"#{panel} .save", has_text="PNG").click()
        assert Path(got.value.path()).read_bytes().startswith(b"\x89PNG")


def test_keys_work(visit, scrolled, until):
    page = visit(f"run={RUN}")
    scrolled(page)
    page.keyboard.press("t")
    until(page, "location.hash.includes('theme=dark')")
    page.keyboard.press("j")
    until(page, "window.scrollY > 100")
    page.wait_for_timeout(600)
    page.keyboard.press("k")
    until(page, "window.scrollY < 100")
    page.keyboard.press("?")
    assert page.locator("dialog[open] kbd").count() > 4
    page.keyboard.press("Escape")
    until(page, "!document.querySelector('dialog[open]')")


def test_a_run_that_is_written_by_another_process_is_followed(visit, tmp_path, start_server, until):
    (tmp_path / "runs").mkdir()
    code = (
        "import sys, numpy as np\n"
        "from gainstage.records import RunInfo, Series, Site\n"
        "from gainstage.store import Writer\n"
        "writer = Writer(sys.argv[1], RunInfo('live', 1e9, 'live.py'))\n"
        "writer.add([Site(0, 'run', 'run', '', '', 0), Site(1, 'a', 'output', 'a', 'Linear', 0)],\n"
        "           [Series(0, 0, 'loss'), Series(1, 1, 'rms')])\n"
        "step = 0\n"
        "for line in sys.stdin:\n"
        "    for _ in range(int(line)):\n"
        "        row = np.array([1 / (1 + step), 0.5], dtype=np.float32)\n"
        "        writer.write_frame(step, row, t=float(step))\n"
        "        step += 1\n"
        "    print(step, flush=True)\n"
        "writer.finish(RunInfo('live', 1e9, 'live.py', status='finished'))\n"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "runs" / "live.gs"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip

    def train(steps):
        writer.stdin.write(f"{steps}\n")
        writer.stdin.flush()
        return int(writer.stdout.readline())

    train(5)
    server = start_server(tmp_path / "runs")
    try:
        page = visit("run=live", server=server)
        steps = "document.querySelector('.facts dd').textContent === '{}'"
        until(page, steps.format(5))
        assert "Live, step 4" in page.inner_text(".pulse")
        page.locator("#loss button[data-value=log]").click()
        train(20)
        until(page, steps.format(25))
        until(page, "document.querySelector('#loss .chart').data[0].x.length === 25")
        pressed = page.locator("#loss button[data-value=log]").get_attribute("aria-pressed")
        assert pressed == "true"  # what was chosen stays
        writer.stdin.close()
        until(page, "document.querySelector('.pulse').hidden")
        assert writer.wait(30) == 0
    finally:
        writer.kill()
        writer.wait()
        writer.stdin.close()
        writer.stdout.close()
        page.context.close()
        server.stop()


def test_a_server_that_goes_is_told(visit, folder, start_server, until):
    server = start_server(folder)
    page = visit(f"run={RUN}", server=server, failing=True)
    page.wait_for_selector("#loss .main-svg")
    server.stop()
    until(page, "document.querySelector('.pulse').textContent.startsWith('Connection lost')")


def test_empty_and_broken_are_told(visit, tmp_path, start_server):
    server = start_server(tmp_path / "nothing")
    try:
        page = visit(server=server)
        page.wait_for_selector(".blank")
        assert "gainstage run train.py" in page.inner_text(".blank")
        page.context.close()
        page = visit("run=nowhere", server=server, failing=True)
        page.wait_for_selector(".failed")
        assert "There is no run called 'nowhere' here" in page.inner_text(".failed")
        page.context.close()
    finally:
        server.stop()


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_hostile_names_stay_text(
    visit, recordings, scrolled, tmp_path, start_server, width, scheme
):
    names = [name for name in recordings.HOSTILE if "\ud800" not in name]
    for i, script in enumerate(names[:2]):
        hostile_run(tmp_path / f"<img src=x onerror=alert({i})>.gs", names, script)
    server = start_server(tmp_path)
    try:
        page = visit(server=server, width=width, scheme=scheme)
        page.wait_for_selector("#runs tbody tr")
        assert "<img src=x onerror=alert(0)>" in page.inner_text("#runs")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.locator("a.name").first.click()
        page.wait_for_selector("#levels .level-row")
        scrolled(page)
        assert page.locator("#gainstage img, #gainstage script").count() == 0
        assert not set("\u202e\u2066\x1b") & set(page.inner_text("#gainstage"))
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        with page.expect_download() as got:
            page.locator("#levels .save", has_text="CSV").click()
        assert "\n=" not in Path(got.value.path()).read_text(encoding="utf-8")
        assert "<" not in got.value.suggested_filename
        page.goto(
            server.url + "#run=<img src=x onerror=alert(0)>&with=<img src=x onerror=alert(1)>"
        )
        page.wait_for_selector("#pairs .main-svg")
        assert page.locator("#gainstage img").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.context.close()
    finally:
        server.stop()


def test_experiments_are_listed_and_shown(visit, tmp_path, start_server, until, keep_experiment):
    keep_experiment(tmp_path / "lab" / "demo")
    server = start_server(tmp_path)
    try:
        page = visit(server=server)
        page.wait_for_selector("#experiments a.name")
        assert "1 of 2 figures agree" in page.inner_text("#experiments")
        page.locator("#experiments a.name").click()
        page.wait_for_selector(".figure-row.error")
        assert page.locator(".figure-row").count() == 2
        page.locator("[data-slot=loss]").scroll_into_view_if_needed()
        page.wait_for_selector("#map-loss .contourlayer")
        points = "document.querySelector('#map-loss .chart').data[1].x.length"
        assert page.evaluate(points) == 12
        page.locator("#map-loss input[type=range]").fill("4")
        until(page, f"{points} === 5")
        page.get_by_text("Play").click()
        until(page, f"{points} === 12")
        solid = page.locator("#map-loss button[data-value=solid]")
        if solid.count():  # only where the browser draws in three dimensions
            solid.click()
            until(page, "document.querySelector('#map-loss .chart').data[0].type === 'surface'")
            page.wait_for_timeout(500)
        with page.expect_download() as got:
            page.locator("#map-loss .save", has_text="CSV").click()
        assert len(Path(got.value.path()).read_text(encoding="utf-8").splitlines()) == 82
        page.get_by_text("All runs").click()
        page.wait_for_selector("#experiments")
        page.context.close()
    finally:
        server.stop()


@pytest.mark.parametrize("width", [390, 1280])
def test_hostile_experiments_stay_text(visit, tmp_path, start_server, keep_experiment, width):
    name = "<img src=x onerror=alert(1)>"
    keep_experiment(tmp_path / "lab" / name, name, name)
    server = start_server(tmp_path)
    try:
        page = visit(server=server, width=width)
        page.locator("#experiments a.name").click()
        page.wait_for_selector(".figure-row")
        page.locator(".slot").scroll_into_view_if_needed()
        page.wait_for_selector(".contourlayer")
        assert name in page.inner_text("main")
        assert page.locator("#gainstage img").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.context.close()
    finally:
        server.stop()


def test_an_experiment_that_is_not_there_is_told(visit):
    page = visit("lab=nothing", failing=True)
    page.wait_for_selector(".failed")
    assert "There is no experiment called 'nothing'" in page.inner_text(".failed")


def hostile_run(path, names, script):
    info = RunInfo(path.stem, 1e9, script, tuple(names[2:5]), facts={names[0]: names[1]})
    kinds = ("output", "output_grad", "weight", "grad", "update")
    sites = [Site(0, "run", "run", "", "", 0)]
    sites += [
        Site(1 + i, name, kind, name, name[:40], i // len(kinds), (4, 4))
        for i, (name, kind) in enumerate((n, k) for n in [*names, "=1+1"] for k in kinds)
    ]
    with Writer(path, info) as writer:
        writer.add(sites, [Series(i, i, "rms" if i else "loss") for i in range(len(sites))])
        for step in range(3):
            writer.write_frame(step, np.full(len(sites), 0.5 + step, dtype=np.float32), t=step)
        writer.finish(info)
