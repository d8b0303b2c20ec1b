"""What a script reads is kept; what it leaves is left."""

import os
import pty
import subprocess
import sys

import pytest

CODE = "import sys; from gainstage.probe.stdin import keep_input; keep_input('{kept}'); {then}"


def ran(tmp_path, then, **options):
    kept = tmp_path / "kept"
    code = CODE.format(kept=kept, then=then)
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
        **options,
    )
    return done.stdout, kept.read_bytes() if kept.exists() else None


@pytest.mark.parametrize(
    "then",
    [
        "print(input(), sys.stdin.read(), end='')",
        "print(*sys.stdin, sep='', end='')",
        "sys.stdout.write(sys.stdin.buffer.read().decode())",
    ],
)
def test_what_is_read_is_kept_however_it_is_read(tmp_path, then):
    given = "one\ntwo é\n".encode()
    told, kept = ran(tmp_path, then, input=given)
    assert told.split() == given.split()
    assert kept == given


def test_a_script_that_reads_nothing_leaves_all_for_the_next(tmp_path):
    (tmp_path / "lines").write_text("one\ntwo\n")
    with (tmp_path / "lines").open("rb") as lines:
        _, kept = ran(tmp_path, "print()", stdin=lines)
        assert kept is None
        assert lines.read() == b"one\ntwo\n"


def test_the_stream_is_the_one_that_python_has(tmp_path):
    then = "print(sys.stdin.fileno(), sys.stdin.isatty(), sys.stdin.encoding, sys.stdin.name)"
    told, _ = ran(tmp_path, then, input=b"")
    assert told.split() == [b"0", b"False", b"utf-8", b"<stdin>"]


def test_without_a_standard_input_nothing_is_done(tmp_path):
    told, kept = ran(tmp_path, "print(sys.stdin)", preexec_fn=lambda: os.close(0))
    assert (told, kept) == (b"None\n", None)


def test_answers_at_a_terminal_are_kept(tmp_path):
    ours, theirs = pty.openpty()
    os.write(ours, b"yes\n")
    told, kept = ran(tmp_path, "print(input('sure? '), sys.stdin.isatty())", stdin=theirs)
    os.close(ours)
    os.close(theirs)
    assert told == b"sure? yes True\n"
    assert kept == b"yes\n"
