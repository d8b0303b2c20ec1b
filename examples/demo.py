"""What `make demo` runs: the doctor on a network that does not learn, and on its healthy twin."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


def main() -> int:
    """Run the doctor on both scripts; succeed if it tells the sick from the healthy."""
    gainstage = Path(sys.executable).with_name("gainstage")
    wanted = {"tanh_stuck.py": 1, "tanh_learns.py": 0}
    (ROOT / "runs").mkdir(exist_ok=True)
    got = {}
    for script in wanted:
        print(f"\n$ gainstage doctor examples/{script}\n", flush=True)
        report = f"runs/{Path(script).stem}.html"
        command = [gainstage, "doctor", "--report", report, f"examples/{script}"]
        got[script] = subprocess.run(command, cwd=ROOT, check=False).returncode  # noqa: S603
    if got != wanted:
        print(f"\nThe doctor should have answered {wanted}, but answered {got}.")
        return 1
    print("\nOpen the reports in a browser:")
    for script in wanted:
        print(f"  {ROOT / 'runs' / script.replace('.py', '.html')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
