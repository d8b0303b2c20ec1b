from __future__ import annotations

import json
import re
from importlib import resources

import pytest

from gainstage.errors import GainstageError
from gainstage.render.payload import payload, script_json
from gainstage.render.report import bundle, framed_html, report_html, static_text, write_report
from gainstage.render.static_files import plotly_source


def _data(page):
    found = re.search(r'<script type="application/json" id="gainstage-data">(.*?)</script>', page)
    return json.loads(found[1])


def test_the_payload_holds_every_view(recordings, vanishing):
    data = payload(vanishing, recordings.VANISHING_FINDINGS, recordings.MANUALS)
    assert set(data) == {
        "schema", "run", "findings", "remedies", "batchnorm", "heatmap", "histograms", "history",
        "levels", "loss", "parameters", "updates",
    }  # fmt: skip
    assert data["run"]["steps"] == 60
    assert data["findings"]["cards"][0]["code"] == "poor-initialization"


def test_json_cannot_leave_its_element(recordings):
    hostile, findings, manuals = recordings.hostile()
    data = payload(hostile, findings, manuals)
    text = script_json(data)
    assert text.isascii()
    assert not set("<>&") & set(text)
    assert json.loads(text) == json.loads(json.dumps(data))


def test_the_page_is_one_file_and_loads_nothing(recordings):
    hostile, findings, manuals = recordings.hostile()
    page = report_html(hostile, findings, manuals)
    ours = re.sub(r"<script>.*?</script>", "", page, count=1, flags=re.DOTALL)  # plotly itself
    assert "default-src 'none'" in ours
    assert "unsafe-eval" not in ours
    assert "script-src 'sha256-" in ours
    assert "alert(1)" in _data(page)["run"]["script"]
    assert not re.search(r"\b(src|href)=[\"']?https?:", ours)
    assert page.count("<script") == 3


def test_a_frame_in_a_notebook_reaches_nothing_around_it(recordings):
    hostile, findings, manuals = recordings.hostile()
    framed = framed_html(report_html(hostile, findings, manuals))
    assert framed.startswith('<iframe sandbox="allow-scripts allow-downloads" ')
    assert "allow-same-origin" not in framed
    assert framed.count("<") == 2  # the frame's own two tags: the report is all attribute
    assert framed == framed_html(report_html(hostile, findings, manuals))
    assert framed.count('"') == framed.split("srcdoc=")[0].count('"') + 2


@pytest.mark.parametrize("entry", ["live.js", "report.js"])
def test_each_module_is_there_once_and_has_what_others_import(entry):
    code = bundle(entry)
    modules = re.findall(r"^const (module_\w+) = \(\(\) => {", code, re.MULTILINE)
    assert len(modules) == len(set(modules)) > 10
    told = dict(zip(modules, re.findall(r"^return { (.*) };$", code, re.MULTILINE), strict=True))
    imports = re.findall(r"^const { (.*) } = (module_\w+);$", code, re.MULTILINE)
    assert len(imports) > 30
    for names, module in imports:
        assert {name.split(":")[0] for name in names.split(", ")} <= set(told[module].split(", "))
    assert not re.search(r"^(import|export) ", code, re.MULTILINE)


def test_plotly_is_as_it_is_shipped_but_for_two_brackets():
    shipped = resources.files("plotly").joinpath("package_data", "plotly.min.js")
    text = shipped.read_text(encoding="utf-8").replace("\r\n", "\n").rstrip()
    served = plotly_source().rstrip()
    assert served.count("(") + served.count(")") == text.count("(") + text.count(")") + 2
    at = next(i for i, (a, b) in enumerate(zip(text, served, strict=False)) if a != b)
    assert served[at - 1 : at + 7] == "(() => {"
    assert served[:at] + served[at + 1 : -2] + served[-1] == text


def test_our_code_parses_no_markup():
    code = bundle("report.js")
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert forbidden not in code
    assert "http" not in static_text("page.css")


def test_a_report_is_replaced_in_one_go(recordings, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    assert write_report(recordings.handmade(), (), {}, str(path)) == path
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_a_missing_folder_is_told(recordings, tmp_path):
    path = tmp_path / "nowhere" / "report.html"
    with pytest.raises(GainstageError, match=r"no folder '.*nowhere'. Create it"):
        write_report(recordings.handmade(), (), {}, path)


def test_a_path_that_is_a_folder_is_told_and_nothing_is_left(recordings, tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(GainstageError, match="cannot be written to"):
        write_report(recordings.handmade(), (), {}, tmp_path / "taken")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]
