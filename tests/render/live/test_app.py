"""What is at which address: no path and no name of a client's is ever part of one."""

from __future__ import annotations

import json

import pytest

from gainstage.render.static_files import MODULES

RUN = "2026-01-01-aaaa"


def test_the_page_and_its_files(live):
    page = live.ask("/")
    assert page.headers["content-type"].startswith("text/html")
    assert b"<script>" not in page.body  # no inline script
    assert b"{{" not in page.body
    for name in (*MODULES, "page.css", "plotly.js"):
        answer = live.ask(f"/static/{name}")
        assert answer.status == 200
        kind = "text/css" if name.endswith(".css") else "text/javascript"
        assert answer.headers["content-type"].startswith(kind)


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py", "/static/%2e%2e/app.py", "/static/%252e%252e/app.py",
        "/static/..%2fapp.py", "/static/..\\app.py", "/static/..%5capp.py", "/static/page.css%00",
        "/static/page.css;x", "/static//page.css", "/static/./page.css", "/static/PAGE.CSS",
        "/static/", "/static", "/static//etc/passwd", "//etc/passwd", "/etc/passwd",
        "/static/\\\\host\\share", "/static/C:\\x", "/static/report.html", "/static/live.html",
        "/static/locked.html", "/static/page.css/", "/static/%70age.css%2f", "/api", "/api/",
        "/api/runs/", "/api/run/2026-01-01-aaaa", "/../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd",
        "/static/../../../../../../etc/passwd", "/.git/config", "/runs/2026-01-01-aaaa.gs",
    ],
)  # fmt: skip
def test_nothing_else_is_there(live, path):
    answer = live.ask(path)
    assert answer.status in {400, 404, 307} or answer.status == 200, path
    assert answer.status != 200 or answer.body == live.ask("/static/page.css").body
    for secret in (b"root:", b"import ", b"SQLite format"):
        assert secret not in answer.body or answer.headers["content-type"].startswith("text/css")


@pytest.mark.parametrize(
    "name",
    [
        "../2026-01-01-aaaa", "..%2f2026-01-01-aaaa", "./2026-01-01-aaaa", "/etc/passwd",
        "2026-01-01-aaaa.gs", "2026-01-01-aaaa/", "2026-01-01-aaaa\\", "2026-01-01-aaaa;x",
        "2026-01-01-aaaa%00", "2026-01-01-AAAA", "2026-01-01", "latest", "*", "\\\\host\\share",
        "file:///etc/passwd", "../runs-secret/2026-01-01-dddd", "2026-01-01-dddd", "linked",
        "C:\\Windows", "~", "$HOME", "<script>alert(1)</script>", "x" * 300,
    ],
)  # fmt: skip
def test_a_run_is_a_name_that_was_found_and_never_a_path(live, folder, write_run, name):
    secret = folder.parent / "runs-secret"  # a folder whose name begins like ours
    if not secret.exists():
        secret.mkdir()
        write_run(secret / "2026-01-01-dddd.gs")
        (folder / "linked.gs").symlink_to(secret / "2026-01-01-dddd.gs")
        (folder / "linked-folder").symlink_to(secret)
    from urllib.parse import quote

    for path in ("run", "findings", "heatmap", "histograms", "updates", "events"):
        answer = live.ask(f"/api/{path}?run={quote(name, safe='')}")
        assert answer.status == 404, path
        assert answer.headers["content-type"].startswith("application/json")
        assert "There is no run called" in json.loads(answer.body)["error"]
    answer = live.ask(f"/api/compare?run={RUN}&other={quote(name, safe='')}")
    assert answer.status == 404


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("", "run"),
        ("run=", "run"),
        (f"run={RUN}&start=-1", "start"),
        (f"run={RUN}&start=one", "start"),
        (f"run={RUN}&stop=1e400", "stop"),
        (f"run={RUN}&stop=" + "9" * 400, "stop"),
        (f"run={RUN}&match=" + "x" * 201, "match"),
        (f"run={RUN}&only=" + "x" * 41, "only"),
        (f"run={RUN}&path=/etc/passwd", "path"),
        ("run=" + "x" * 301, "run"),
    ],
)
def test_a_question_that_makes_no_sense_is_told_so(live, query, told):
    answer = live.ask(f"/api/heatmap?{query}")
    assert answer.status == 400
    error = json.loads(answer.body)["error"]
    assert error.startswith("The address makes no sense: ")
    assert told in error


def test_a_file_that_is_no_run_is_an_error_in_a_sentence(live):
    answer = live.ask("/api/run?run=2026-01-03-cccc")
    assert answer.status == 404
    assert "cannot be read" in json.loads(answer.body)["error"]


def test_a_mistake_of_ours_is_told_in_the_page_and_in_the_terminal(live, monkeypatch, caplog):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("gainstage.render.live.answers.Answers.runs", broken)
    answer = live.ask("/api/runs")
    assert answer.status == 500
    assert answer.headers["content-type"].startswith("application/json")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    error = json.loads(answer.body)["error"]
    assert error.startswith("Gainstage failed at this: ZeroDivisionError")
    assert "The live page failed at /api/runs" in caplog.text
    assert "in broken" in caplog.text  # where
    assert live.ask("/api/run?run=" + RUN).status == 200


def test_a_body_is_never_read(live):
    answer = live.ask("/api/runs", body=b"x" * 1_000_000)
    assert answer.status == 200
