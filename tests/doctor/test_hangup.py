"""A closed terminal: an ordinary exit, unless it was asked to be ignored."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gainstage.doctor.hangup import HANGUP, exit_on_hangup, is_heard

CODE = """\
import signal, sys
from gainstage.doctor import Workplace
from gainstage.doctor.hangup import exit_on_hangup
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever these tests were begun under
with exit_on_hangup(), Workplace("train.py") as made:
    print(made.input.parent, flush=True)
    signal.pause()
"""


@pytest.mark.skipif(HANGUP is None, reason="Windows has none")
def test_a_closed_terminal_leaves_no_copies_behind(tmp_path):
    (tmp_path / "train.py").touch()
    child = subprocess.Popen(
        [sys.executable, "-c", CODE], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    with child:
        folder = Path(child.stdout.readline().strip())
        assert folder.exists()
        child.send_signal(HANGUP)
        assert child.wait(60) == 128 + HANGUP
    assert not folder.exists()


@pytest.mark.skipif(HANGUP is None, reason="Windows has none")
def test_it_is_heard_in_the_block_alone_and_never_under_nohup():
    begun_under = signal.signal(HANGUP, signal.SIG_DFL)
    before = signal.getsignal(HANGUP)
    with pytest.raises(SystemExit) as left, exit_on_hangup():
        signal.raise_signal(HANGUP)
    assert left.value.code == 128 + HANGUP
    assert signal.getsignal(HANGUP) is before
    signal.signal(HANGUP, signal.SIG_IGN)
    try:
        assert not is_heard()
        with exit_on_hangup():
            signal.raise_signal(HANGUP)
    finally:
        signal.signal(HANGUP, begun_under)
