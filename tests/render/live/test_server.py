"""`gainstage ui` from outside: where it listens, what it prints, how it ends."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gainstage.errors import UsageError
from gainstage.render.live import server as serving


def start(folder, *options):
    code = (
        "import sys; from gainstage.cli import main; import atexit; "
        "atexit.register(lambda: print('heavy', "
        "[m for m in ('torch', 'numba', 'pandas', 'matplotlib') if m in sys.modules])); main()"
    )
    return subprocess.Popen(
        [sys.executable, "-u", "-c", code, "ui", str(folder), "--no-browser", *options],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def listening(port):
    """The addresses that are listened on at a port, as the kernel writes them."""
    tables = [Path(f"/proc/net/{name}").read_text("ascii") for name in ("tcp", "tcp6")]
    rows = [row.split() for table in tables for row in table.splitlines()[1:]]
    return [row[1] for row in rows if row[1].endswith(f":{port}") and row[3] == "0A"]


def test_it_listens_on_this_machine_alone_and_ends_with_ctrl_c_without_torch(folder):
    process = start(folder, "--port", "0")
    try:
        line = process.stdout.readline()
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)/\?token=[\w-]{43}$", line)[1])
        assert f"Runs in '{folder}'" in line
        assert "Only this machine can reach it" in process.stdout.readline()
        hexed = f"{port:04X}"
        assert listening(hexed) == [f"0100007F:{hexed}"]
    finally:
        process.send_signal(signal.SIGINT)
        told, _ = process.communicate(timeout=30)
    assert "Traceback" not in told
    assert told.rstrip().endswith("heavy []")
    assert process.returncode == 0


def test_a_port_in_use_is_told(folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"Port {port} cannot be .*in use.*--port 0"):
            serving.serve(folder, port=port, browser=False)


def test_the_usual_port_gives_way_to_another(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr(serving, "PORT", taken.getsockname()[1])
        listener = serving._listener(None)
        assert listener.getsockname()[0] == "127.0.0.1"
        assert listener.getsockname()[1] != serving.PORT
        listener.close()


def test_a_server_that_comes_first_by_a_hair_has_the_port(monkeypatch):
    class Late(socket.socket):
        """A socket on whose port another server begins to listen as soon as it is bound."""

        def bind(self, address):
            super().bind(address)
            if address[1] == port:
                taken.listen()

    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        monkeypatch.setattr(serving, "PORT", port)
        monkeypatch.setattr(socket, "socket", Late)
        with pytest.raises(UsageError, match=rf"Port {port} cannot be .*in use"):
            serving._listener(port)
        listener = serving._listener(None)
        assert listener.getsockname()[1] != port
        listener.close()
