"""The playground's address: who may ask, what, how much, and which question wins."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gainstage.errors import UsageError
from gainstage.questions import LONGEST
from gainstage.render.live import playground
from gainstage.render.live.playground import PATH, Playground, questioned
from gainstage.render.live.worker import ComputationError

TERRAIN = {"what": "terrain", "surface": "saddle"}
DESCENT = {"what": "descent", "surface": "saddle", "optimizer": "SGD", "start": [1, 0.1]}
JSON = {"Content-Type": "application/json"}


def asked(live, question=TERRAIN, *, page="p", headers=None, body=None, **options):
    """A question as a page of this server asks it, but for what is changed."""
    own = {"Origin": f"http://127.0.0.1:{live.port}", "Sec-Fetch-Site": "same-origin", **JSON}
    text = json.dumps({"page": page, "question": question}).encode() if body is None else body
    given = {name: value for name, value in {**own, **(headers or {})}.items() if value is not None}
    return live.ask(PATH, method="POST", headers=given, body=text, **options)


def test_a_page_of_this_server_is_answered_by_the_library(live):
    import gainstage as gs

    answer = asked(live, {**DESCENT, "settings": {"lr": 0.1}, "steps": 20})
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    race = gs.landscape.race("saddle", {"SGD": lambda p: gs.optim.SGD(p, lr=0.1)}, (1, 0.1), 20)
    told = json.loads(answer.body)["values"]
    assert told == pytest.approx(race.values[0, 0].tolist(), rel=1e-7)


def test_what_the_library_refuses_is_told_in_its_words(live):
    answer = asked(live, {**DESCENT, "surface": "sadle"})
    assert answer.status == 200
    assert json.loads(answer.body)["refused"].endswith("Did you mean 'saddle' or 'beale'?")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "post"])
def test_only_post_is_answered(live, method):
    answer = live.ask(PATH, method=method)
    assert answer.status == 405
    assert answer.headers["allow"] == "POST"
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", [PATH + "/", PATH + "/x", "/api//playground", "/api/Playground"])
def test_post_is_answered_nowhere_else(live, path):
    assert live.ask(path, method="POST", headers=JSON, body=b"{}").status == 405


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:1", "", "127.0.0.1"])
def test_a_name_that_a_stranger_points_here_is_refused(live, host):
    assert asked(live, host=host).status in {400, 421}


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://127.0.0.1:{port}.evil.example"},
        {"Origin": None},  # a form's GET, a tool, an old browser
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_another_site_cannot_ask(live, headers):
    given = {k: v and v.format(port=live.port) for k, v in headers.items()}
    assert asked(live, headers=given).status == 403


@pytest.mark.parametrize(
    "kind",
    [
        None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data",
        "text/plain; application/json", "application/jsonx",
    ],
)  # fmt: skip
def test_a_form_of_another_site_could_not_be_read(live, kind):
    """Whatever a form can send is refused; the rest needs a permission that is never given."""
    assert asked(live, headers={"Content-Type": kind}).status == 415


def test_without_the_cookie_nothing_is_computed(live):
    assert asked(live, let_in=False).status == 401
    assert asked(live, let_in=False, headers={"Cookie": "gainstage-1=x"}).status == 401
    answer = live.ask(
        f"{PATH}?token={live.keys.token}", method="POST", let_in=False, body=b"{}",
        headers={"Origin": f"http://127.0.0.1:{live.port}", **JSON},
    )  # fmt: skip
    assert answer.status == 401
    assert live.renewed == []  # the token is not spent


def test_a_long_question_is_not_read(live):
    assert asked(live, body=b"x" * (LONGEST + 1)).status == 413
    assert asked(live, body=b" " * (LONGEST - 100) + b"{}").status == 400
    own = {"Origin": f"http://127.0.0.1:{live.port}", **JSON}
    for length in ("9" * 15, "9" * 400, "-1", "1e3", "0x10", "\xb2", ""):
        answer = live.ask(PATH, method="POST", headers={**own, "Content-Length": length})
        assert answer.status in {400, 411, 413}, length


def test_a_question_says_how_long_it_is(live):
    own = {"Origin": f"http://127.0.0.1:{live.port}", **JSON}
    assert live.ask(PATH, method="POST", headers=own).status == 411
    chunked = {**own, "Transfer-Encoding": "chunked"}
    assert live.ask(PATH, method="POST", headers=chunked).status == 411


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"[]", b"null", b'"x"', b"{", b"\xff\xfe", b"NaN", b"[" * 3000,
        b'{"page":"p"}', b'{"page":"","question":{"what":"catalogue"}}',
        b'{"page":"p","question":{"what":"catalogue"},"path":"/etc/passwd"}',
        b'{"page":"p","question":{"what":"import"}}',
        b'{"page":"p","question":{"what":"terrain","surface":["saddle"]}}',
        b'{"page":"p","question":{"what":"terrain","surface":"\\ud800"}}',
        b'{"page":"p","question":{"what":"terrain","surface":"saddle","knee":1e999}}',
        b'{"page":["p"],"question":{"what":"catalogue"}}',
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_told_so(live, body):
    answer = asked(live, body=body)
    assert answer.status == 400
    assert json.loads(answer.body)["error"].startswith("The question makes no sense: ")


def test_what_lies_out_of_bounds_never_reaches_what_computes():
    body = json.dumps({"page": "p", "question": {**DESCENT, "steps": 10**9}}).encode()
    with pytest.raises(UsageError, match=r"<= 300.*steps"):
        questioned(body)


def test_hostile_names_come_back_as_text(live):
    answer = asked(live, {**TERRAIN, "surface": "<script>alert(1)</script>"})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "There is no surface named '<script>" in json.loads(answer.body)["refused"]


class Slow:
    """Computes when it is told to."""

    def __init__(self):
        self.seen, self.go = [], threading.Event()

    def ask(self, question):
        self.seen.append(json.loads(question)["surface"])
        assert self.go.wait(20)
        if self.seen[-1] == "broken":
            msg = "It has died."
            raise ComputationError(msg)
        return b"{}"


@pytest.fixture
def slow(folder, start_server, monkeypatch):
    """A server whose computations wait."""
    from gainstage.render.live import app

    worker = Slow()
    monkeypatch.setattr(app, "Playground", lambda _: Playground(worker))
    server = start_server(folder)
    yield server, worker
    worker.go.set()
    server.stop()


def together(server, questions):
    """Ask each in a thread of its own, one after the other; the answers by question."""
    answers = {}

    def ask(page, surface):
        answers[page, surface] = asked(server, {**TERRAIN, "surface": surface}, page=page)

    threads = []
    for question in questions:
        threads.append(threading.Thread(target=ask, args=question))
        threads[-1].start()
        time.sleep(0.15)
    return threads, answers


def test_of_the_questions_of_a_page_that_wait_the_newest_wins(slow):
    server, worker = slow
    threads, answers = together(
        server, [("a", "first"), ("a", "second"), ("b", "other"), ("a", "third"), ("a", "fourth")]
    )
    assert worker.seen == ["first"]  # one at a time
    worker.go.set()
    for thread in threads:
        thread.join(20)
    assert worker.seen == ["first", "other", "fourth"]
    assert {surface: answer.status for (_, surface), answer in answers.items()} == {
        "first": 200, "second": 409, "other": 200, "third": 409, "fourth": 200,
    }  # fmt: skip
    assert "newer question" in json.loads(answers["a", "second"].body)["error"]


def test_only_so_many_pages_wait(slow, monkeypatch):
    server, worker = slow
    monkeypatch.setattr(playground, "MOST_WAITING", 2)
    threads, answers = together(server, [(page, page) for page in ("a", "b", "c", "d")])
    assert answers["d", "d"].status == 503  # at once
    assert "close some" in json.loads(answers["d", "d"].body)["error"]
    worker.go.set()
    for thread in threads:
        thread.join(20)
    assert [answers[page, page].status for page in "abc"] == [200, 200, 200]


def test_a_death_is_told_and_others_go_on(slow):
    server, worker = slow
    worker.go.set()
    answer = asked(server, {**TERRAIN, "surface": "broken"})
    assert (answer.status, json.loads(answer.body)["error"]) == (503, "It has died.")
    assert asked(server).status == 200


def test_a_server_that_has_computed_has_no_torch_and_ends_with_its_process(folder):
    code = (
        "import sys, atexit; from gainstage.cli import main\n"
        "atexit.register(lambda: print('heavy', "
        "[m for m in ('torch', 'numba', 'gainstage.playground') if m in sys.modules]))\n"
        "main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", code, "ui", str(folder), "--no-browser", "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        port, token = re.search(r":(\d+)/\?token=(\S+)", process.stdout.readline()).groups()
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=120)
        connection.request("GET", f"/?token={token}")
        welcome = connection.getresponse()
        welcome.read()
        own = {
            "Origin": f"http://127.0.0.1:{port}", **JSON,
            "Cookie": welcome.headers["set-cookie"].split(";")[0],
        }  # fmt: skip
        connection.request("POST", PATH, json.dumps({"page": "p", "question": TERRAIN}), own)
        assert "heights" in json.loads(connection.getresponse().read())
        connection.close()
        threads = Path(f"/proc/{process.pid}/task").glob("*/children")
        found = [int(pid) for one in threads for pid in one.read_text("ascii").split()]
        assert found
    finally:
        process.send_signal(signal.SIGINT)
        told, _ = process.communicate(timeout=60)
    assert "Traceback" not in told
    assert told.rstrip().endswith("heavy []")
    assert process.returncode == 0
    assert not [pid for pid in found if Path(f"/proc/{pid}/cmdline").exists()]
