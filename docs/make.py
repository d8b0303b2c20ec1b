"""Make the pictures of the documentation: `make docs`."""

import subprocess
import sys
import tempfile
from pathlib import Path

import figures
from playwright.sync_api import sync_playwright

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
CHROMIUM = ["/usr/bin/chromium", "/usr/bin/google-chrome"]
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


def main() -> None:
    """Draw the figures; run the doctor on the demo's sick network and photograph its report."""
    figures.main()
    gainstage = Path(sys.executable).with_name("gainstage")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.html"
        command = [gainstage, "doctor", "--dir", folder, "--report", report]
        subprocess.run([*command, "examples/tanh_stuck.py"], cwd=ROOT, check=False)  # noqa: S603
        photograph(report, DOCS / "img" / "report.png")


def photograph(page: Path, picture: Path) -> None:
    """Save the top of a page, down to the end of the level diagram."""
    picture.parent.mkdir(exist_ok=True)
    browser_path = next(path for path in CHROMIUM if Path(path).exists())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=QUIET)
        view = browser.new_page(viewport={"width": 1280, "height": 1560})
        view.goto(page.as_uri())
        view.wait_for_timeout(2000)
        view.screenshot(path=picture)
        browser.close()
    print(picture)


if __name__ == "__main__":
    main()
