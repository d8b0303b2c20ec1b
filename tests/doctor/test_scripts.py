"""Scripts as people have them: arguments, standard input, workers, checkpoints, packages."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from gainstage.store import StoredRecording

COMMAND = Path(sys.executable).with_name("gainstage")
LIMIT = 300
"""Seconds after which a child that hangs is ended."""

TRAIN = """\
import argparse, os, sys, time
import torch
from torch import nn
from {home}helper import Samples, network

def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.5)
    parser.add_argument("--out")
    parser.add_argument("flags", nargs="*")
    args = parser.parse_args()
    assert sys.stdin.readline() == "first line\\n"
    assert input("second? ") == "second line"
    assert open("data/table.txt").read() == open("../above.txt").read() == "1"
    assert not os.path.exists(f"{{args.out}}/model.pt"), "a trial resumes from another one"
    os.makedirs(args.out)  # refuses if it is there
    torch.manual_seed(0)
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr)
    for epoch in range(5):
        for x, y in torch.utils.data.DataLoader(Samples(), 64, num_workers=1):
            loss = nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        torch.save(model.state_dict(), f"{{args.out}}/model.pt")
        open("log.txt", "a").write("epoch\\n")
    with open(os.environ["TRACE"], "a") as trace:
        trace.write(" ".join(sys.argv[1:]) + "\\n")
    if "slow" in args.flags and os.getcwd() != os.environ["HERE"]:
        print("waiting", file=open(os.environ["TRACE"], "a"), flush=True)
        time.sleep(600)

if __name__ == "__main__":
    main()
"""
HELPER = """\
import torch
from torch import nn

class Samples(torch.utils.data.Dataset):
    def __init__(self):
        self.x = torch.randn(256, 8, generator=torch.Generator().manual_seed(0))
    def __len__(self):
        return 256
    def __getitem__(self, i):
        return self.x[i], (self.x[i, 0] > 0).long()

def network():
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
"""
ARGS = ("--lr", "60", "--out", "out")


def project(folder, home=""):
    """A project whose script trains much too fast, in a package or not."""
    here = folder / "project"
    place = here / home.rpartition("package.")[1].rstrip(".")
    (here / "data").mkdir(parents=True)
    place.mkdir(exist_ok=True)
    (folder / "above.txt").write_text("1")
    (here / "data" / "table.txt").write_text("1")
    (place / "train.py").write_text(TRAIN.format(home=home))
    (place / "helper.py").write_text(HELPER)
    return here


def start(here, *target, args=ARGS, **options):
    trace = here.parent / "trace"
    command = [COMMAND, "doctor", "--jobs", "2", "--trials", "2", "--dir", here.parent / "runs"]
    command += ["--json", here.parent / "verdict.json", "--write-patch", here.parent / "fix.diff"]
    return subprocess.Popen(
        [str(part) for part in (*command, *target, *args)],
        cwd=here,
        env={**os.environ, "TRACE": str(trace), "HERE": str(here), "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell's background job ignores the interrupt, and children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        **options,
    )


def ended(process, here):
    out, err = process.communicate(timeout=LIMIT)
    told = json.loads((here.parent / "verdict.json").read_text())
    return SimpleNamespace(code=process.returncode, out=out, err=err, told=told)


def trials(here):
    """The arguments of each run that got to its end."""
    return (here.parent / "trace").read_text().splitlines()


@pytest.mark.parametrize(
    ("home", "target"),
    [("", ["train.py"]), pytest.param("package.", ["-m", "package.train"], marks=pytest.mark.slow)],
)
def test_a_script_with_all_that_scripts_have_is_observed_and_treated(tmp_path, home, target):
    here = project(tmp_path, home)
    with start(here, *target) as process:
        process.stdin.write("first line\nsecond line\n")
        seen = ended(process, here)
    assert (seen.code, seen.err) == (1, "")
    remedy, _ = seen.told["remedies"]
    assert remedy["verified"], remedy
    assert remedy["seeds"] == 2
    assert trials(here) == [" ".join(ARGS)] * 7
    # the run that was observed wrote where it should, and trials nowhere
    assert (here / "log.txt").read_text() == "epoch\n" * 5
    assert {path.name for path in here.iterdir()} >= {"data", "log.txt", "out"}
    assert {path.name for path in (here / "out").iterdir()} == {"model.pt"}
    assert "Each works in a copy of the working directory" in seen.out
    # the rate that counts is not in the file
    assert remedy["diff"] == ""
    assert remedy["where"].endswith("train.py:19")
    assert "60 -> 0.6" in remedy["change"]
    assert "no verified fix as a diff" in seen.out


def test_an_interrupt_during_trials_keeps_what_is_known(tmp_path):
    here = project(tmp_path)
    with start(here, "train.py", args=(*ARGS, "slow")) as process:
        process.stdin.write("first line\nsecond line\n")
        process.stdin.flush()
        assert any("Trying 2: learning rate" in line for line in process.stdout)
        while "waiting" not in (here.parent / "trace").read_text():
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        seen = ended(process, here)
    told = "The trials were interrupted after 0 runs"
    assert (seen.code, seen.err) == (2, "")
    assert told in seen.out
    assert seen.told["problem"].startswith(told)
    assert seen.told["findings"][0]["code"] in {"learning-rate-too-high", "non-finite"}
    assert seen.told["remedies"] == []
    (run,) = (tmp_path / "runs").glob("*.gs")
    assert [f.code for f in StoredRecording(run).findings] == [
        finding["code"] for finding in seen.told["findings"]
    ]
    assert run.with_suffix(".html").stat().st_size > 1_000_000
