"""The report in a real browser, from file://, offline: nothing fails, nothing is fetched."""

from __future__ import annotations

import pytest

from gainstage.render.report import framed_html, report_html, write_report

CHARTS = ["loss", "heatmap", "updates", "histograms", "history"]


@pytest.fixture
def opened(browser, scrolled, tmp_path):
    """Opens a report and returns the page; at the end nothing may have gone wrong in any."""
    troubles: list[str] = []
    contexts = []

    def watch(page):
        page.on("console", lambda m: troubles.append(f"console {m.type}: {m.text}"))
        page.on("pageerror", lambda e: troubles.append(f"error: {e}"))
        page.on("dialog", lambda d: (troubles.append(f"dialog: {d.message}"), d.dismiss()))
        page.on("request", lambda r: None if _local(r.url) else troubles.append(r.url[:200]))

    def opening(recording, findings=(), manuals=None, *, width=1280, scheme="light", remedies=()):
        target = tmp_path / f"{len(contexts)}.html"
        path = write_report(recording, findings, manuals, target, remedies)
        context = browser.new_context(
            offline=True, color_scheme=scheme, viewport={"width": width, "height": 900}
        )
        contexts.append(context)
        page = context.new_page()
        watch(page)
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]", timeout=60_000)
        scrolled(page)
        return page

    yield opening
    for context in contexts:
        context.close()
    assert troubles == []


def _local(url):
    return url.startswith(("file:", "data:", "blob:"))


def test_findings_and_charts_are_there(opened, recordings, vanishing):
    page = opened(vanishing, recordings.VANISHING_FINDINGS, recordings.MANUALS)
    assert page.title() == "Gainstage · train_digits.py"
    assert "4 findings" in page.inner_text("#verdict")
    codes = page.locator(".card h3").all_inner_texts()
    assert codes == [
        "poor-initialization", "vanishing-gradient", "loss-not-decreasing", "unnormalized-input",
    ]  # fmt: skip
    nested = page.locator(".card[data-code=poor-initialization] .consequences .card")
    assert nested.count() == 2
    assert page.locator(".level-row:not(.level-head)").count() == 11
    for name in CHARTS:
        assert page.locator(f"#{name} .main-svg").count() > 0, name
    assert page.locator("#loss .scatterlayer path.js-line").count() >= 2
    assert page.locator("#heatmap .heatmaplayer image").count() >= 1


def test_the_step_is_chosen_with_the_slider(opened, recordings):
    page = opened(recordings.handmade())
    row = page.locator("#stage-0 .num").nth(1)
    assert "−100.0" in row.inner_text()
    page.locator("#levels input[type=range]").fill("3")
    page.locator("#levels button[data-value=step]").click()
    assert page.inner_text("#levels output") == "step 30"
    assert "silent" in row.inner_text()
    page.locator("#levels button[data-value=median]").click()
    assert "−100.0" in row.inner_text()


def test_every_quantity_and_ridge_can_be_chosen(opened, vanishing):
    page = opened(vanishing)
    for panel in ("heatmap", "histograms"):
        select = page.locator(f"#{panel} select")
        for i in range(select.locator("option").count()):
            select.select_option(index=i)
            assert page.locator(f"#{panel} .main-svg").count() > 0
    page.locator("#loss button[data-value=log]").click()
    page.emulate_media(color_scheme="dark")
    page.emulate_media(media="print")


def test_a_site_leads_to_its_stage(opened, recordings, vanishing):
    page = opened(vanishing, recordings.VANISHING_FINDINGS)
    page.locator(".card[data-code=vanishing-gradient] button.site").first.click()
    assert page.locator("#stage-0.called").count() == 1


ROWS = ".level-row:not(.level-head)"


def test_many_stages_are_folded_by_module_and_a_click_unfolds_one(opened, recordings):
    page = opened(recordings.blocks())
    rows = page.locator(ROWS)
    assert rows.count() == 12 + 1
    first = page.get_by_role("button", name="blocks.0.layers", exact=True)
    level, gain = rows.nth(1).locator(".num").first.locator("b, i").all_inner_texts()
    assert (level, gain) == ("−16.0", "")  # nothing is known of the input, so not of the gain
    assert rows.nth(2).locator(".num").first.locator("i").inner_text() == "−16.0"
    first.click()
    assert first.get_attribute("aria-expanded") == "true"
    assert rows.count() == 13 + 8
    assert page.locator("#stage-0").count() == 1
    assert "fold=" in page.url
    first.focus()
    page.keyboard.press("Enter")  # a keyboard does it too, and keeps its place
    assert rows.count() == 13
    assert first.evaluate("node => node === document.activeElement")
    page.get_by_text("Unfold all 96 rows").first.click()
    assert rows.count() == 96 + 1 + 12
    assert page.locator(f"{ROWS}.module .num.hot").count() > 0


def test_the_heat_map_is_folded_as_the_levels_are(opened, recordings, until):
    page = opened(recordings.blocks())
    shown = "document.querySelector('#heatmap .chart').data[0].y.length"
    assert page.evaluate(shown) == 12
    cell = "document.querySelector('#heatmap .chart').data[0].z[0][0]"
    assert page.evaluate(cell) == pytest.approx(-9.0)  # the mean of -2 to -16
    page.get_by_role("button", name="blocks.3.layers", exact=True).click()
    until(page, f"{shown} === 11 + 8")
    page.locator("#heatmap").scroll_into_view_if_needed()
    box = page.locator("#heatmap .bglayer").first.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 4)
    until(page, f"{shown} === 10 + 16")


def test_a_search_finds_within_folded_modules(opened, recordings, until):
    page = opened(recordings.blocks())
    page.keyboard.press("/")
    page.keyboard.type("7.layers.3")
    until(page, f"document.querySelectorAll('{ROWS}').length === 1")
    until(page, "document.querySelector('#heatmap .chart').data[0].y.length === 1")
    assert page.locator(f"{ROWS} .name").inner_text() == "blocks.7.layers.3"


def test_a_finding_unfolds_what_holds_its_site(opened, recordings):
    from gainstage.records import Finding

    site = "blocks.11.layers.5.weight"
    found = Finding("dead-units", "error", 0.9, site, 0, "Look.", rank=1)
    page = opened(recordings.blocks(), (found,))
    page.locator(".card button.site").click()
    assert page.locator("#stage-93.called .name").inner_text() == "blocks.11.layers.5"


def test_batch_norms_that_lag_are_told(opened, recordings):
    page = opened(recordings.blocks())
    assert "1 of 12 still disagree" in page.inner_text("#batchnorm .note")
    assert page.locator("#batchnorm .scatterlayer .trace").count() == 12
    assert page.evaluate("document.querySelector('#batchnorm .chart').data[0].y[0]") == 8


def test_without_a_batch_norm_there_is_no_panel_of_it(opened, vanishing):
    page = opened(vanishing)
    assert page.locator("[data-slot=batchnorm]").is_hidden()


def test_the_site_of_the_histograms_over_time_is_chosen(opened, vanishing, until):
    page = opened(vanishing)
    select = page.locator("#history select")
    assert select.locator("option").first.inner_text() == "layers.0"
    label = "document.querySelector('#history .chart').data[1].text[0]"
    assert page.evaluate(label).startswith("0 to 59")
    select.select_option("layers.4")
    until(page, "location.hash.includes('site=layers.4')")
    page.locator("#histograms select").select_option("weight")
    page.locator("#history").scroll_into_view_if_needed()
    until(page, "document.querySelector('#history select').value === 'layers.0.weight'")


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_hostile_names_stay_text(opened, recordings, width, scheme):
    hostile, findings, manuals = recordings.hostile()
    page = opened(hostile, findings, manuals, width=width, scheme=scheme)
    assert page.locator(".card").count() == len(findings)
    assert page.locator("#gainstage img, #gainstage script").count() == 0
    text = page.inner_text("#gainstage")
    assert "<script>alert(1)</script>" in text
    assert not set("\u202e\u2066\x1b") & set(text)
    assert "\u200b" not in page.inner_text("#findings")  # plotly sets it around raised exponents
    page.locator("#heatmap select").select_option(index=1)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [390, 1280])
def test_remedies_stand_under_the_findings(opened, recordings, vanishing, width):
    page = opened(
        vanishing, recordings.VANISHING_FINDINGS, remedies=recordings.REMEDIES, width=width
    )
    cards = page.locator("#remedies .card")
    assert cards.locator(".severity").all_inner_texts() == ["Verified", "Not verified"]
    text = cards.first.inner_text()
    assert "+optimizer = SGD(lr=0.05)" in text
    assert "diverged" in cards.nth(1).inner_text()
    assert page.locator("#remedies img").count() == 0
    assert page.locator("#remedies .trial-chart").count() == 1
    assert page.locator("#remedies .scatterlayer .trace").count() == 3
    assert page.locator("#remedies .legendtext").all_text_contents() == [
        "unchanged",
        "control",
        "with it",
    ]
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_notebook_shows_the_report_in_a_frame(browser, vanishing, recordings):
    context = browser.new_context(offline=True)
    page = context.new_page()
    troubles = []
    page.on("pageerror", lambda e: troubles.append(f"error: {e}"))
    page.on("console", lambda m: troubles.append(f"console {m.type}: {m.text}"))
    framed = framed_html(report_html(vanishing, recordings.VANISHING_FINDINGS))
    page.set_content(f"<p id=outside>notebook</p>{framed}")
    inside = page.frame_locator("iframe")
    inside.locator(".level-row").first.wait_for()
    inside.locator("[data-slot=loss]").scroll_into_view_if_needed()
    inside.locator("#loss .main-svg").first.wait_for()
    inside.locator("#loss button[data-value=log]").click()
    assert "4 findings" in inside.locator("#verdict").inner_text()
    reach = "(() => { try { return parent.document.title; } catch { return 'refused'; } })()"
    assert page.frames[1].evaluate(reach) == "refused"
    context.close()
    assert troubles == []


@pytest.mark.parametrize("chosen", ["", "#theme=dark"])
def test_paper_is_white(opened, vanishing, chosen):
    page = opened(vanishing, scheme="dark")
    page.goto(page.url + chosen)
    page.wait_for_selector("#loss .main-svg")
    colour = "Plotly && document.querySelector('#loss .chart').layout.font.color"
    dark = page.evaluate(colour)
    page.emulate_media(media="print")
    page.wait_for_timeout(300)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(29, 32, 36)"
    assert page.evaluate(colour) != dark


def test_charts_fit_the_paper_while_it_is_printed(opened, vanishing):
    page = opened(vanishing, width=1440)
    width = "document.querySelector('#loss .main-svg').getBoundingClientRect().width"
    wide = page.evaluate(width)
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(width) < 700 < wide
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(width) == wide


def test_empty_states(opened, recordings):
    page = opened(recordings.empty())
    assert "No verdict" in page.inner_text("#verdict")
    assert page.locator(".empty").count() == 7


def test_healthy_is_calm(opened, recordings):
    page = opened(recordings.handmade(), ())
    assert "Healthy" in page.inner_text("#verdict")
    assert page.locator(".calm").count() == 1
    assert page.locator(".card").count() == 0
