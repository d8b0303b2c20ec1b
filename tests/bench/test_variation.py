"""Varied scripts: what is changed, and what is left as it is."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from gainstage.bench.variation import vary

DEV = Path(__file__).parents[1] / "corpus" / "dev"
SCRIPT = '''"""A script."""
from __future__ import annotations
import torch
torch.manual_seed(3)
parser.add_argument("--lr", type=float, default=0.3)
lr: float = 3e-2
batch_size = 60
def net(width=64): ...
for part in order.split(30): pick = torch.randint(0, len(x), (90,))
x = torch.randn(64, 10)
scheduler = StepLR(sgd, step_size=10)
betas = {"lr": rate, "momentum": 0.9}
'''


def numbers(source):
    tree = ast.parse(source)
    return [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)]


def changed(number):
    before, after = SCRIPT.splitlines(), vary(SCRIPT, number).splitlines()
    assert len(after) == len(before) + 1
    return {old: new for old, new in zip(before[2:], after[3:], strict=True) if old != new}


@pytest.mark.parametrize("number", range(1, 9))
def test_named_literals_are_changed_by_one_factor_each_and_nothing_else(number):
    found = changed(number)
    assert set(found) == set(SCRIPT.splitlines()[4:9])
    rate = 0.3 if "0.45" in found[SCRIPT.splitlines()[4]] else None
    assert ("0.045" in found["lr: float = 3e-2"]) == (rate is not None)
    assert found["batch_size = 60"] in {"batch_size = 40", "batch_size = 90"}
    assert found["def net(width=64): ..."] in {"def net(width=32): ...", "def net(width=128): ..."}


def test_a_number_names_its_variant_and_numbers_differ():
    assert vary(SCRIPT, 1) == vary(SCRIPT, 1)
    assert len({vary(SCRIPT, n) for n in range(1, 9)}) == 8


def test_docstring_and_future_imports_stay_first_and_the_seed_is_shifted(tmp_path):
    source = (
        '"""Text."""\nfrom __future__ import annotations\nimport torch\n'
        "torch.manual_seed(3)\nprint(torch.initial_seed())\n"
    )
    path = tmp_path / "varied.py"
    path.write_text(vary(source, 2))
    told = subprocess.run([sys.executable, path], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["2003"]


@pytest.mark.parametrize("path", sorted(DEV.glob("*.py")), ids=lambda p: p.stem)
def test_every_script_stays_a_script(path):
    source = path.read_text()
    varied = vary(source, 1)
    assert varied != source
    assert len(numbers(varied)) >= len(numbers(source))
