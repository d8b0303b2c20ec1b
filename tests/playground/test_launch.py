"""The process that answers: a line in, a line out."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest

from gainstage.playground import launch

TERRAIN = b'{"what":"terrain","surface":"saddle"}\n'


def test_a_line_is_answered_by_a_line():
    answers = io.BytesIO()
    launch.serve(io.BytesIO(TERRAIN + b'{"what":"terrain","surface":"sadle"}\n' + TERRAIN), answers)
    first, second, third = map(json.loads, answers.getvalue().splitlines())
    assert first == third
    assert second == {
        "refused": "There is no surface named 'sadle'. Did you mean 'saddle' or 'beale'?"
    }


def test_without_torch_one_sentence_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "gainstage.playground.answers", None)
    answers = io.BytesIO()
    launch.serve(io.BytesIO(TERRAIN + TERRAIN), answers)
    for line in answers.getvalue().splitlines():
        told = json.loads(line)["refused"]
        assert told.startswith("The playground computes with torch, and that cannot be imported")
        assert told.endswith("run `pip install torch`.")


def test_it_ends_with_its_input_and_prints_answers_alone():
    code = (
        "import gainstage.playground.answers as answers\n"
        "plain = answers.answer\n"
        "def loud(question):\n"
        "    print('something that a library prints')\n"
        "    return plain(question)\n"
        "answers.answer = loud\n"
        "from gainstage.playground.launch import main; main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=TERRAIN, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 1
    assert "heights" in json.loads(done.stdout)
    assert b"something that a library prints" in done.stderr


def test_what_is_no_question_ends_it():
    """The server has checked it: here it is a fault of ours, and is not passed over."""
    with pytest.raises(Exception, match="JSON"):
        launch.serve(io.BytesIO(b"nonsense\n"), io.BytesIO())
