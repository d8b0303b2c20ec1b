"""The process that computes: begun when asked, begun anew, ended with its server."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gainstage.render.live.worker import ComputationError, Worker

ECHO = """
import os, sys, time
for line in sys.stdin:
    word = line.strip()
    if word == "die":
        os._exit(3)
    if word == "kill":
        os.kill(os.getpid(), 9)
    if word == "sleep":
        time.sleep(60)
    if word == "half":
        sys.stdout.write("half of an ans"); sys.stdout.flush(); os._exit(1)
    print(word, os.getpid(), flush=True)
"""


def gone(pid):
    """Whether a process has ended, within some seconds."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text("ascii")
        except OSError:
            return True
        if stat.rpartition(")")[2].split()[0] == "Z":  # dead, and its parent has not looked yet
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def worker():
    with Worker(patience=20, start=60, program=ECHO) as made:
        yield made


def test_it_is_begun_by_the_first_question_and_kept(worker):
    assert worker.pid is None
    first = worker.ask(b"one")
    assert first == f"one {worker.pid}".encode()
    assert worker.ask(b"two") == f"two {worker.pid}".encode()
    assert not gone_now(worker.pid)


def gone_now(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize(
    ("word", "told"),
    [(b"die", "exit code 3"), (b"kill", "killed by signal 9"), (b"half", "exit code 1")],
)
def test_when_it_dies_that_is_told_and_the_next_question_begins_another(worker, word, told):
    worker.ask(b"one")
    before = worker.pid
    with pytest.raises(ComputationError, match=rf"has ended \({told}\).*begins anew"):
        worker.ask(word)
    assert gone(before)
    assert worker.ask(b"two").startswith(b"two ")
    assert worker.pid != before


def test_one_that_dies_while_nobody_asks_is_not_noticed(worker):
    worker.ask(b"one")
    before = worker.pid
    os.kill(before, 9)
    assert gone(before)
    assert worker.ask(b"two") == f"two {worker.pid}".encode()


def test_what_takes_too_long_is_ended():
    with Worker(patience=0.3, start=60, program=ECHO) as worker:
        worker.ask(b"one")
        before = worker.pid
        with pytest.raises(ComputationError, match=r"longer than 0\.3 s and was ended"):
            worker.ask(b"sleep")
        assert gone(before)
        assert worker.ask(b"two").startswith(b"two ")


def test_what_takes_too_long_to_begin_is_ended():
    with (
        Worker(patience=60, start=0.2, program="import time; time.sleep(60)") as worker,
        pytest.raises(ComputationError, match=r"longer than 0\.2 s"),
    ):
        worker.ask(b"one")


def test_when_nobody_asks_it_is_ended_and_begun_again_when_somebody_does():
    with Worker(patience=20, start=60, idle=0.5, program=ECHO) as worker:
        worker.ask(b"one")
        pid = worker.pid
        worker.ask(b"two")
        assert worker.pid == pid
        assert gone(pid)
        assert worker.ask(b"three").startswith(b"three ")


def test_it_is_ended_with_its_owner_even_in_the_middle(worker):
    worker.ask(b"one")
    pid, errors = worker.pid, []

    def ask():
        with pytest.raises(ComputationError, match="server is ending") as caught:
            worker.ask(b"sleep")
        errors.append(caught.value)

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.2)
    worker.close()
    thread.join(20)
    assert len(errors) == 1
    assert gone(pid)
    worker.close()  # may be called again
    with pytest.raises(ComputationError, match="server is ending"):
        worker.ask(b"two")


def test_it_does_not_outlive_a_server_that_is_killed():
    code = (
        "import sys, time\n"
        "from gainstage.render.live.worker import Worker\n"
        "worker = Worker(program=sys.argv[1])\n"
        "worker.ask(b'one')\n"
        "print(worker.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, ECHO], stdout=subprocess.PIPE, text=True
    ) as server:
        pid = int(server.stdout.readline())
        server.kill()
        server.wait()
    assert gone(pid)


def test_questions_of_several_threads_do_not_mix(worker):
    answers = {}

    def ask(word):
        answers[word] = worker.ask(word.encode())

    threads = [threading.Thread(target=ask, args=(f"w{i}",)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert all(answers[word].split()[0] == word.encode() for word in answers)
    assert len(answers) == 12


def test_nothing_is_imported_from_the_folder_of_the_user(tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("raise SystemExit('the wrong torch')")
    monkeypatch.chdir(tmp_path)
    with Worker() as worker:
        assert worker.ask(b'{"what":"terrain","surface":"saddle"}').startswith(b'{"name":"saddle"')
