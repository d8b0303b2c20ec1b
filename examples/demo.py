"""What `make demo` runs: the doctor on a network that learns, and on its twin that does not.

For the second one it tries remedies, and ends with the one that is proven and how to write it.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


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
    print("\nOpen the reports in a browser:")
    for script in wanted:
        print(f"  {ROOT / 'runs' / script.replace('.py', '.html')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
