"""Run the corpus: each script as it stands and, for a sick one, with its repair applied.

usage: python tests/corpus/check.py [--write] [--emit=DIR] [dev/s01_digits_mlp.py ...]

`cases.json` holds, for every script, how to read its result (`expr`, evaluated over the script's
globals, or `regex`, last match on stdout) and, for sick ones, the repair as text replacements.
`--write` stores the measured numbers in expected.json. `--emit=DIR` only writes the repaired
scripts to DIR, without running anything. CORPUS_SEED_SHIFT=100 in the environment is added to every
torch.manual_seed, to see that a case does not hang on one seed.
"""

import contextlib
import io
import json
import os
import re
import runpy
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


def child(path, how):
    out = io.StringIO()
    sys.argv = [path]
    shift = int(os.environ.get("CORPUS_SEED_SHIFT", "0"))
    if shift:
        import torch

        original = torch.manual_seed
        torch.manual_seed = lambda seed: original(seed + shift)
    start = time.time()
    value, error = None, ""
    try:
        with contextlib.redirect_stdout(out):
            scope = runpy.run_path(path, run_name="__main__")
        if "expr" in how:
            value = float(eval(how["expr"], scope))
        else:
            value = float(re.findall(how["regex"], out.getvalue())[-1])
    except BaseException as exc:  # noqa: BLE001
        error = f"{type(exc).__name__}: {exc}"
    tail = out.getvalue().strip().splitlines()[-3:]
    print(json.dumps([value, round(time.time() - start, 1), error, tail]))


def run(path, how):
    env = dict(os.environ, OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    cmd = [sys.executable, __file__, "--child", str(path), json.dumps(how)]
    done = subprocess.run(cmd, env=env, capture_output=True, text=True)
    if not done.stdout.strip():
        return None, 0.0, done.stderr[-300:], []
    return json.loads(done.stdout.strip().splitlines()[-1])


def repaired(path, patch):
    source = path.read_text()
    for old, new in patch:
        if source.count(old) != 1:
            raise SystemExit(f"{path.name}: repair matches {source.count(old)} times: {old!r}")
        source = source.replace(old, new)
    return source


def main():
    args = sys.argv[1:]
    write = "--write" in args
    emit = [Path(a.split("=", 1)[1]) for a in args if a.startswith("--emit=")]
    only = [a for a in args if not a.startswith("--")]
    cases = json.loads((HERE / "cases.json").read_text())
    expected_path = HERE / "expected.json"
    for name, case in cases.items():
        if only and not any(o in name for o in only):
            continue
        path = HERE / name
        source = repaired(path, case["patch"]) if "patch" in case else None
        if emit:
            if source:
                target = emit[0] / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(source)
            continue
        value, seconds, error, _ = run(path, case)
        line = f"{name:34} {case['what']:22} {number(value)} ({seconds}s) {error}"
        fixed = None
        if source:
            with tempfile.NamedTemporaryFile("w", suffix=".py") as handle:
                handle.write(source)
                handle.flush()
                fixed, fixed_seconds, error, _ = run(handle.name, case)
            line += f" -> {number(fixed)} ({fixed_seconds}s) {error}"
        print(line, flush=True)
        if write:
            table = json.loads(expected_path.read_text())
            entry = table[name]
            if entry["healthy"]:
                entry["metric"] = f"{case['what']} {number(value)}"
            else:
                entry["sick_metric"] = f"{case['what']} {number(value)}"
                entry["fixed_metric"] = f"{case['what']} {number(fixed)}"
            entry["seconds"] = seconds
            expected_path.write_text(json.dumps(table, indent=1) + "\n")


def number(value):
    return "failed" if value is None else f"{value:.4g}"


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] == "--child":
        child(sys.argv[2], json.loads(sys.argv[3]))
    else:
        main()
