"""Make the pictures of the documentation, and the film of the README: `make docs`."""

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import figures
from film import film
from playwright.sync_api import Browser, Page, sync_playwright
from slim import slim

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
IMAGES = DOCS / "img"
CHROMIUM = ["/usr/bin/chromium", "/usr/bin/google-chrome"]
PLAYED = {
    "playground": "#play=descent&surface=rosenbrock&lr=0.0008&momentum=0.95&points=200",
    "playground-stack": "#play=stack&activation=tanh&depth=24&scheme=xavier_normal",
}
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


def main() -> None:
    """Draw the figures; film and photograph the page."""
    figures.main()
    pictures()


def pictures() -> None:
    """Film the demo; photograph its report, and the live page with an experiment."""
    gainstage = Path(sys.executable).with_name("gainstage")
    with tempfile.TemporaryDirectory() as folder, browser() as chromium:
        report = film(chromium, IMAGES / "demo.gif", folder)
        photograph(chromium, report.as_uri(), IMAGES / "report.png", 1180)
        healthy = [gainstage, "run", "--dir", folder, "examples/tanh_learns.py"]
        subprocess.run(healthy, cwd=ROOT, check=False)  # noqa: S603
        lab = [gainstage, "lab", "run", "surfaces", "--quick", "--dir", f"{folder}/lab"]
        subprocess.run(lab, cwd=ROOT, check=False)  # noqa: S603
        photograph_live(chromium, folder)
    with tempfile.TemporaryDirectory() as folder:
        photograph_playground(folder, IMAGES)


def photograph(
    chromium: Browser,
    address: str,
    picture: Path,
    height: int,
    ready: Callable[[Page], object] | None = None,
) -> None:
    """Save the top of a page; narrow and twice as fine, for pictures are shown small."""
    view = chromium.new_page(viewport={"width": 1000, "height": height}, device_scale_factor=1.5)
    view.goto(address)
    if ready is not None:
        ready(view)
    view.wait_for_timeout(2000)
    view.screenshot(path=picture)
    view.close()
    slim(picture)
    print(picture)


def photograph_live(chromium: Browser, folder: str) -> None:
    """Save the comparison of the two runs of a folder, and its experiment, by `gainstage ui`."""
    command = [sys.executable, "-u", "-m", "gainstage", "ui", folder, "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603

        def compare(view: Page) -> None:
            for box in view.locator("#runs input[type=checkbox]").all()[:2]:
                box.check()
            view.get_by_text("Compare these two").click()
            view.wait_for_selector("#pairs .main-svg")

        def experiment(view: Page) -> None:
            view.locator("#experiments a.name").click()
            view.locator("[data-slot=pathological-curvature]").scroll_into_view_if_needed()
            view.wait_for_selector(".contourlayer")
            view.evaluate("window.scrollTo(0, 0)")

        address = server.stdout.readline().split()[-1]
        photograph(chromium, address, IMAGES / "compare.png", 1100, compare)
        server.stdout.readline()  # what ends it
        address = server.stdout.readline().split()[-1]  # for another browser
        photograph(chromium, address, IMAGES / "experiment.png", 1180, experiment)
        server.terminate()


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
