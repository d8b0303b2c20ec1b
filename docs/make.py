"""Make the pictures of the documentation: `make docs`."""

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import figures
from playwright.sync_api import Browser, sync_playwright
from slim import slim

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
CHROMIUM = ["/usr/bin/chromium", "/usr/bin/google-chrome"]
PLAYED = {
    "playground": "#play=descent&surface=rosenbrock&lr=0.0008&momentum=0.95&points=200",
    "playground-stack": "#play=stack&activation=tanh&depth=24&scheme=xavier_normal",
}
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


def main() -> None:
    """Draw the figures; photograph the demo's report, and the live page beside its twin."""
    figures.main()
    gainstage = Path(sys.executable).with_name("gainstage")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.html"
        command = [gainstage, "doctor", "--dir", folder, "--report", report]
        subprocess.run([*command, "examples/tanh_stuck.py"], cwd=ROOT, check=False)  # noqa: S603
        photograph(report, DOCS / "img" / "report.png")
        healthy = [gainstage, "run", "--dir", folder, "examples/tanh_learns.py"]
        subprocess.run(healthy, cwd=ROOT, check=False)  # noqa: S603
        photograph_live(folder, DOCS / "img" / "compare.png")
        photograph_playground(folder, DOCS / "img")


def photograph(page: Path, picture: Path) -> None:
    """Save the top of a page, down to the end of the level diagram."""
    with browser() as chromium:
        view = chromium.new_page(viewport={"width": 1280, "height": 1560})
        view.goto(page.as_uri())
        view.wait_for_timeout(2000)
        view.screenshot(path=picture)
    slim(picture)
    print(picture)


def photograph_live(folder: str, picture: Path) -> None:
    """Save the comparison of the two runs of a folder, as `gainstage ui` shows it."""
    with served(folder) as address, browser() as chromium:
        view = chromium.new_page(viewport={"width": 1280, "height": 1100})
        view.goto(address)
        for box in view.locator("#runs input[type=checkbox]").all()[:2]:
            box.check()
        view.get_by_text("Compare these two").click()
        view.wait_for_selector("#pairs .main-svg")
        view.screenshot(path=picture)
    slim(picture)
    print(picture)


def photograph_playground(folder: str, pictures: Path) -> None:
    """Save an optimiser on a surface, and a stack of layers, as the playground shows them."""
    with served(folder) as address, browser() as chromium:
        view = chromium.new_page(viewport={"width": 1280, "height": 1000})
        view.goto(address)
        view.wait_for_selector("#runs")
        for name, chosen in PLAYED.items():
            view.goto(view.url.partition("#")[0] + chosen)
            view.wait_for_selector("#value .main-svg, #histograms .main-svg", timeout=120_000)
            view.wait_for_timeout(1500)
            view.screenshot(path=pictures / f"{name}.png")
            slim(pictures / f"{name}.png")
            print(pictures / f"{name}.png")


@contextlib.contextmanager
def served(folder: str) -> Iterator[str]:
    """`gainstage ui` over a folder, and its address."""
    command = [sys.executable, "-u", "-m", "gainstage", "ui", folder, "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603
        try:
            yield server.stdout.readline().split()[-1]
        finally:
            server.terminate()


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """The system's Chromium."""
    path = next(path for path in CHROMIUM if Path(path).exists())
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield started
        started.close()


if __name__ == "__main__":
    main()
