"""The playground in a real browser: what it shows is what the library computes."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest

import gainstage as gs

WAY = "play=descent&surface=saddle&optimizer=SGD"
CURVE = "document.querySelector('#value .chart').data[0].y"
STACK = "play=stack&depth=5&width=16"


def test_its_style_is_for_it_alone():
    from gainstage.render.static_files import static_text

    style = re.sub(r"/\*.*?\*/", "", static_text("playground.css"), flags=re.DOTALL)
    rules = re.findall(r"([^{}]+)\{[^{}]*\}", style)
    parts = [part.strip() for rule in rules for part in rule.split(",")]
    assert len(parts) > 40
    assert {part for part in parts if not part.startswith(".playground ")} == {":root"}


def outcome(page):
    return page.inner_text(".outcome")


def curve(page):
    """The values that the chart below the map shows."""
    return page.evaluate(CURVE)


def slide(page, name, value):
    """Move a slider to a place between 0 and 1, as a hand does."""
    page.get_by_label(name, exact=True).locator("input[type=range]").evaluate(
        "(node, share) => { node.value = Math.round(share * node.max);"
        " node.dispatchEvent(new Event('input', { bubbles: true })); }",
        value,
    )


def field(page, name):
    return page.get_by_label(f"{name}, exactly", exact=True)


def corner(page, across, down):
    """The pixel at these shares of the map."""
    box = page.locator("svg.course").bounding_box()
    left, right, top, bottom = 46, 12, 8, 40  # its margins
    x = box["x"] + left + across * (box["width"] - left - right)
    return x, box["y"] + top + down * (box["height"] - top - bottom)


def race(surface, optimizer, start, steps=100, **settings):
    make = getattr(gs.optim, optimizer)
    found = gs.landscape.race(surface, {"one": lambda p: make(p, **settings)}, start, steps)
    return found.values[0, 0].numpy()


def test_the_list_of_runs_leads_to_it_and_back(visit):
    page = visit()
    page.get_by_role("link", name="Playground").click()
    page.wait_for_selector("#value .main-svg", timeout=90_000)
    assert page.title() == "Gainstage · playground"
    page.get_by_role("button", name="Initialisation").click()
    page.wait_for_selector("#stack .main-svg")
    assert "play=stack" in page.url
    page.go_back()
    page.wait_for_selector("#value .main-svg")
    page.get_by_role("link", name="All runs").click()
    page.wait_for_selector("#runs tbody tr")


def test_values_change_as_a_slider_moves_and_equal_the_librarys(visit, until):
    page = visit(WAY + "&x=1&y=0.1&lr=0.1")
    page.wait_for_selector("#value .main-svg")
    expected = race("saddle", "SGD", (1, 0.1), lr=0.1)
    assert np.array_equal(np.float32(curve(page)), expected)  # to the last bit
    assert "Arrived: from step" in outcome(page)
    for place in (0.2, 0.5, 0.68):
        slide(page, "lr", place)
        lr = float(field(page, "lr").input_value())
        until(page, f"Number(new URLSearchParams(location.hash.slice(1)).get('lr')) === {lr}")
        expected = race("saddle", "SGD", (1, 0.1), lr=lr)
        until(page, f"Math.abs({CURVE}[5] - ({expected[5]})) <= 1e-6 * Math.abs({CURVE}[5])")
        assert np.array_equal(np.float32(curve(page)), expected)


def test_what_an_optimiser_does_not_have_is_not_there(visit):
    page = visit(WAY)
    page.wait_for_selector("#value .main-svg")
    names = "[...document.querySelectorAll('#desk .knob-name')].map((one) => one.textContent)"
    assert page.evaluate(names) == [
        "Surface", "Optimiser", "lr", "momentum", "dampening", "nesterov", "weight decay", "steps",
    ]  # fmt: skip
    page.get_by_label("Optimiser").select_option("AdamW")
    shown = page.evaluate(names)
    assert {"beta1", "beta2", "eps", "weight decay"} < set(shown)
    assert not {"momentum", "dampening", "nesterov"} & set(shown)
    page.get_by_label("Surface").select_option("line-fit-huber")
    page.wait_for_selector("#desk .knob-name >> text=delta")
    page.get_by_label("Surface").select_option("line-fit-l1")
    assert "delta" not in page.evaluate(names)


def test_settings_of_every_kind_reach_the_library(visit, until):
    page = visit("play=descent&surface=himmelblau&optimizer=Adam&x=-3.5&y=3.5&lr=0.2&points=60")
    page.wait_for_selector("#value .main-svg")
    slide(page, "beta1", 0.15)
    field(page, "eps").fill("0.01")
    field(page, "eps").press("Enter")
    page.get_by_label("amsgrad").check()
    until(page, "location.hash.includes('amsgrad=yes') && location.hash.includes('eps=0.01')")
    beta1 = float(field(page, "beta1").input_value())
    assert 0 < beta1 < 0.9
    expected = race(
        "himmelblau", "Adam", (-3.5, 3.5), 60, lr=0.2, betas=(beta1, 0.999), eps=0.01, amsgrad=True
    )
    same = f"(value, i) => Math.abs({CURVE}[i] - value) <= 1e-6 * Math.abs(value)"
    until(page, f"{[float(value) for value in expected]}.every({same})")
    assert np.array_equal(np.float32(curve(page)), expected)


def test_a_click_on_the_map_moves_the_start_and_so_do_the_arrows(visit, until):
    page = visit(WAY + "&lr=0.05")
    page.wait_for_selector("#terrain .main-svg")
    page.mouse.click(*corner(page, 0.75, 0.25))
    until(page, "location.hash.includes('x=') && location.hash.includes('y=')")
    at = [float(re.search(rf"[#&]{key}=([-\d.]+)", page.url)[1]) for key in "xy"]
    assert at == pytest.approx([1.0, 1.0], abs=0.02)  # of -2 to 2
    first = race("saddle", "SGD", at, 2, lr=0.05)[0]
    until(page, f"Math.abs({CURVE}[0] - ({first})) < 1e-5")
    page.locator("svg.course").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowDown")
    until(page, f"location.hash.includes('x={at[0] - 0.1:g}')")
    until(page, f"location.hash.includes('y={at[1] - 0.02:g}')")


TOUCH = """
([kind, x, y]) => {
  const node = document.querySelector("svg.course");
  const told = { pointerType: "touch", bubbles: true, clientX: x, clientY: y, button: 0 };
  node.dispatchEvent(new PointerEvent(kind, told));
}
"""


def test_a_finger_that_taps_moves_the_start_and_one_that_scrolls_does_not(visit, until):
    page = visit(WAY + "&lr=0.05", width=390)
    page.wait_for_selector("#terrain .main-svg")
    page.wait_for_selector("svg.course .start")
    x, y = corner(page, 0.5, 0.5)
    page.evaluate(TOUCH, ["pointerdown", x, y])
    page.evaluate(TOUCH, ["pointercancel", x, y + 40])
    page.evaluate(TOUCH, ["pointerdown", x, y])
    page.evaluate(TOUCH, ["pointerup", x, y + 40])
    page.wait_for_timeout(400)
    assert "x=" not in page.url
    page.evaluate(TOUCH, ["pointerdown", x, y])
    page.evaluate(TOUCH, ["pointerup", x + 1, y])
    until(page, "location.hash.includes('x=')")


def test_a_loss_and_its_map_follow_the_knee_together(visit, until):
    page = visit("play=descent&surface=line-fit-huber&optimizer=SGD&lr=0.1&x=-3&y=6")
    page.wait_for_selector("#value .main-svg")
    for place in (0.2, 0.3, 0.4, 0.9, 0.1):
        slide(page, "delta", place)  # faster than it is answered
    delta = float(field(page, "delta").input_value())
    surface = gs.landscape.line_fit("huber", delta)
    expected = race(surface, "SGD", (-3, 6), lr=0.1)
    until(page, f"Math.abs({CURVE}[9] - ({expected[9]})) < 1e-6")
    values = surface.map(121)[2]
    page.mouse.move(*corner(page, 0.0, 0.0))  # upper left: the readout tells the map's value there
    page.mouse.move(*corner(page, 0.002, 0.002))
    told = page.inner_text(".readout").rpartition(": ")[2]
    assert float(told) == pytest.approx(float(values[-1, 0]), rel=1e-3)
    assert np.array_equal(np.float32(curve(page)), expected)


def test_the_start_can_be_dragged(visit, until):
    page = visit(WAY + "&lr=0.05&x=-1&y=1")
    page.wait_for_selector("#terrain .main-svg")
    box = page.locator("svg.course .start").bounding_box()
    page.mouse.move(box["x"] + 7, box["y"] + 7)
    page.mouse.down()
    for i in range(12):
        page.mouse.move(box["x"] + 7 + 8 * i, box["y"] + 7 + 3 * i)
    page.mouse.up()
    until(page, "Number(new URLSearchParams(location.hash.slice(1)).get('x')) > -0.9")


def test_the_address_restores_what_one_saw(visit, until):
    first = visit(
        "play=descent&surface=rosenbrock&optimizer=RMSprop&lr=0.02&alpha=0.5&centered=yes&x=-1&y=2&points=250&theme=dark"
    )
    first.wait_for_selector("#value .main-svg")
    shown = curve(first)
    assert len(shown) == 250
    second = visit(first.url.partition("#")[2])
    second.wait_for_selector("#value .main-svg")
    assert curve(second) == shown
    assert second.get_by_label("centered").is_checked()
    assert field(second, "alpha").input_value() == "0.5"
    second.get_by_role("link", name="Reset").click()
    until(second, "!location.hash.includes('alpha')")
    until(second, "document.querySelector('#value .chart')?.data?.[0].y.length === 100")


def test_an_address_that_somebody_edited_stays_within_the_bounds(visit):
    page = visit(
        "play=descent&surface=nowhere&optimizer=<b>x</b>&lr=1e9&points=-5&x=1e99&y=nan&momentum=2"
    )
    page.wait_for_selector("#value .main-svg")
    assert field(page, "lr").input_value() == "10"
    assert len(curve(page)) == 2
    assert page.locator("#gainstage b").count() == 0
    page = visit("play=stack&depth=1000&width=-3&scheme=zz&activation=<i>&gain=1e9&seed=x")
    page.wait_for_selector("#stack .main-svg")
    assert field(page, "depth").input_value() == "32"
    assert field(page, "width").input_value() == "4"


def test_divergence_is_said_and_drawn_as_far_as_it_goes(visit):
    page = visit("play=descent&surface=rosenbrock&lr=1&x=-1.4&y=2.4")
    page.wait_for_selector("#value .main-svg")
    assert "Diverged: after" in outcome(page)
    assert "smaller rate" in outcome(page)
    assert page.locator(".outcome.error").count() == 1


def test_what_the_library_refuses_is_told_in_place(visit, until):
    page = visit(WAY + "&nesterov=yes&momentum=0.5")
    page.wait_for_selector("#value .main-svg")
    field(page, "momentum").fill("0")
    field(page, "momentum").press("Enter")
    until(page, "document.querySelector('.outcome').textContent.includes('Nesterov')")
    assert "needs a momentum and no dampening" in outcome(page)
    page.get_by_label("nesterov").uncheck()
    until(page, "!document.querySelector('.outcome').textContent.includes('Nesterov')")


def stack_levels(page, trace):
    return page.evaluate(f"document.querySelector('#stack .chart').data[{trace}].y")


def test_levels_are_those_of_the_library_and_follow_the_sliders(visit, until):
    from gainstage.playground.stack import inputs_of, model_of
    from gainstage.quantities import level_db
    from gainstage.questions import Stack

    page = visit(STACK + "&activation=tanh&scheme=xavier_normal&seed=3")
    page.wait_for_selector("#stack .main-svg")
    for gain in (None, 2.5):
        question = Stack("tanh", "xavier_normal", depth=5, width=16, gain=gain, seed=3)
        if gain is not None:
            field(page, "gain").fill(str(gain))
            field(page, "gain").press("Enter")
            until(page, f"document.querySelector('.code').textContent.includes('gain={gain}')")
        expected = gs.predict(model_of(question)[0], inputs_of(question))
        layers = [stage for stage in expected.stages if stage.op == "linear"]
        page.wait_for_timeout(300)
        for trace, told in ((2, "predicted_rms"), (3, "rms"), (4, "predicted_grad"), (5, "grad")):
            levels = [level_db(getattr(stage, told)) for stage in layers]
            assert stack_levels(page, trace) == pytest.approx(levels, abs=1e-3)
    slide(page, "depth", 0.5)
    until(page, "document.querySelector('#stack .chart').data[3].y.length === 17")
    page.get_by_text("Back to what this scheme has").click()
    until(page, "!location.hash.includes('gain')")
    page.get_by_label("Scheme").select_option("orthogonal")
    until(page, "document.querySelector('.derive').textContent === 'Derived from the activation'")
    asked = float(gs.gain("tanh"))
    until(
        page,
        f"document.querySelector('#stack .outcome + .note').textContent.includes('{asked:.4g}')",
    )


def test_a_scheme_shows_its_own_options(visit):
    page = visit(STACK)
    page.wait_for_selector("#stack .main-svg")
    names = "[...document.querySelectorAll('#desk .knob-name')].map((one) => one.textContent)"
    assert page.evaluate(names) == [
        "depth", "width", "Activation", "Scheme", "gain", "mode", "seed",
    ]  # fmt: skip
    page.get_by_label("Scheme").select_option("normal")
    assert page.evaluate(names) == ["depth", "width", "Activation", "Scheme", "std", "seed"]


def test_histograms_of_the_stack_can_be_chosen(visit, until):
    page = visit(STACK)
    page.wait_for_selector("#histograms .main-svg")
    ridges = "document.querySelector('#histograms .chart').data.length"
    assert page.evaluate(ridges) == 2 * 9
    page.get_by_label("Values").select_option("weight")
    until(page, f"{ridges} === 2 * 5")


def test_a_signal_that_explodes_is_told(visit):
    page = visit("play=stack&scheme=normal&std=10&depth=32")
    page.wait_for_selector("#stack .main-svg")
    assert "grows" in outcome(page)
    assert "no finite number" in outcome(page)


def test_pictures_and_data_are_downloaded(visit):
    for fragment, panel in ((WAY, "terrain"), (STACK, "stack")):
        page = visit(fragment)
        page.wait_for_selector(f"#{panel} .main-svg")
        with page.expect_download() as got:
            page.locator(f"#{panel} .save", has_text="CSV").click()
        rows = list(csv.reader(io.StringIO(Path(got.value.path()).read_text(encoding="utf-8"))))
        assert got.value.suggested_filename.startswith("playground-")
        assert len(rows) > 5
        with page.expect_download() as got:
            page.locator(f"#{panel} .save", has_text="PNG").click()
        assert Path(got.value.path()).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("width", [390, 1024, 1440])
@pytest.mark.parametrize("fragment", [WAY, STACK])
def test_it_fits_every_width(visit, fragment, width):
    page = visit(fragment, width=width)
    page.wait_for_selector("#value .main-svg, #stack .main-svg")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_a_server_it_says_so(visit, folder, start_server, until):
    server = start_server(folder)
    page = visit(WAY, server=server, failing=True)
    page.wait_for_selector("#value .main-svg", timeout=90_000)
    server.stop()
    slide(page, "lr", 0.5)
    until(page, "document.querySelector('.outcome').textContent.includes('does not answer')")
    assert page.get_by_role("button", name="Try again").count() == 1


def test_a_playground_that_cannot_begin_is_told(visit, folder, start_server, monkeypatch):
    from gainstage.render.live import app, worker

    broken = worker.Worker(program="raise SystemExit(7)")
    monkeypatch.setattr(app, "Worker", lambda: broken)
    server = start_server(folder)
    try:
        page = visit(WAY, server=server, failing=True)
        page.wait_for_selector(".failed")
        assert "exit code 7" in page.inner_text(".failed")
        broken._program = worker._LAUNCH
        page.get_by_text("Try again").click()
        page.wait_for_selector("#value .main-svg", timeout=90_000)
        page.context.close()
    finally:
        server.stop()
