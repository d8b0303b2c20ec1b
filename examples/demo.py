"""What `make demo` runs: the doctor on a network that learns, and on its twin that does not.

For the second one it tries remedies, and ends with the one that is proven and how to write it.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


NEXT = """
What to do next, here in this folder:

  Put the proven fix into a copy of the sick script, and ask again:
    patch -p1 -o runs/tanh_mended.py examples/tanh_stuck.py runs/tanh_stuck.diff
    {command} doctor runs/tanh_mended.py

  Open the reports in a browser:
    {runs}/tanh_stuck.html
    {runs}/tanh_learns.html

  Or look at all runs in one page:
    {command} ui
"""


def main() -> int:
    """Run the doctor on both; succeed if it tells them apart and has a fix for the sick one."""
    gainstage = Path(sys.executable).with_name("gainstage")
    wanted = {"tanh_learns.py": 0, "tanh_stuck.py": 1}
    (ROOT / "runs").mkdir(exist_ok=True)
    patch = ROOT / "runs" / "tanh_stuck.diff"
    patch.unlink(missing_ok=True)
    got = {}
    for script in wanted:
        print(f"\n$ gainstage doctor examples/{script}\n", flush=True)
        report = f"runs/{Path(script).stem}.html"
        command = [gainstage, "doctor", "--report", report, "--write-patch", patch]
        command.append(f"examples/{script}")
        got[script] = subprocess.run(command, cwd=ROOT, check=False).returncode  # noqa: S603
    if got != wanted:
        print(f"\nThe doctor should have answered {wanted}, but answered {got}.")
        return 1
    if not patch.exists():
        print("\nThe doctor should have found a fix, but proved none.")
        return 1
    print(NEXT.format(command=shown(gainstage), runs=ROOT / "runs"))
    return 0


def shown(command: Path) -> str:
    """A command as it is typed in this folder."""
    return str(command.relative_to(ROOT) if command.is_relative_to(ROOT) else command)


if __name__ == "__main__":
    sys.exit(main())
