"""``gainstage range``."""

from __future__ import annotations

SCRIPT = """\
import torch
w = torch.nn.Linear(8, 8, bias=False)
optimizer = torch.optim.SGD(w.parameters(), lr=1e-4)
for step in range(500):
    target = torch.randn(8, 8) + (0 if {random} else 5 * torch.eye(8))
    loss = (w(torch.eye(8)) - target).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
OPTIONS = ("--steps", "60", "--low", "0.01", "--high", "1000", "--seeds", "2", "--jobs", "2")


def test_a_band_or_no_signal(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(SCRIPT.format(random=False))
    done = cli("range", *OPTIONS, "train.py")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("rates ")
    (tmp_path / "train.py").write_text(SCRIPT.format(random=True))
    done = cli("range", *OPTIONS, "train.py")
    assert done.exit_code == 1, done.output
    assert done.stdout.startswith("no signal: ")
