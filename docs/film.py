"""Make the film of the README: the terminal, the verdict, the page. `make docs` does so too."""

import contextlib
import html
import io
import os
import pty
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page
from rich.console import Console
from rich.text import Text

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
SIZE = (960, 600)
SHOWN = (880, 550)
COLOURS = 96
WIDE = 96
ROWS = 31
LARGEST = 2_000_000

TERMINAL = """<!DOCTYPE html><meta charset="utf-8"><style>
body {{ margin: 0; background: #14171a; color: #e6e3dc; }}
pre {{ margin: 0; padding: 20px 26px; font: 15px/17.6px "DejaVu Sans Mono", monospace; }}
</style><pre>{}</pre>"""

Shot = tuple[Image.Image, int]
"""A picture, and for how many milliseconds it is shown."""


def film(browser: Browser, path: Path) -> None:
    """Run the doctor on the demo's sick script, and show what a user sees: 20 seconds."""
    gainstage = Path(sys.executable).with_name("gainstage")
    command = "gainstage doctor examples/tanh_stuck.py"
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.html"
        told = watched([str(gainstage), *command.split()[1:], "--dir", folder, "--report", report])
        lines = told.replace(f"{folder}/", "runs/").splitlines()
        page = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]})
        shots = [*typed(page, command), *scrolled(page, command, lines), *looked(page, report)]
    pictures = [picture.resize(SHOWN, Image.Resampling.LANCZOS) for picture, _ in shots]
    palette = palette_of(pictures)
    flat = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    pauses = [pause for _, pause in shots]
    flat[0].save(
        path, save_all=True, append_images=flat[1:], duration=pauses, loop=0, optimize=True
    )
    size = path.stat().st_size
    print(path, f"{sum(pauses) / 1000:.1f} s, {size / 1e6:.2f} MB")
    if size > LARGEST:
        sys.exit(f"The film must stay under {LARGEST / 1e6:g} MB.")


def watched(command: list[str | Path]) -> str:
    """What a command writes into a terminal, colours included."""
    reader, writer = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(WIDE), "LINES": "50", "TERM": "xterm-256color"}
    with subprocess.Popen(  # noqa: S603 - our own command
        command, cwd=ROOT, stdout=writer, stderr=writer, stdin=subprocess.DEVNULL, env=environment
    ):
        os.close(writer)
        told = b""
        with contextlib.suppress(OSError):  # the terminal's end
            while part := os.read(reader, 65536):
                told += part
    os.close(reader)
    return told.decode().replace("\r\n", "\n")


def typed(page: Page, command: str) -> list[Shot]:
    """The command, a few letters at a time."""
    shots = []
    for end in (*range(0, len(command), 5), len(command)):
        pause = 900 if end == len(command) else 90
        shots.append((terminal(page, [f"$ {command[:end]}█"]), pause))
    return shots


def scrolled(page: Page, command: str, lines: list[str]) -> list[Shot]:
    """The answer, as it comes: what the script prints, the verdict, the remedies."""
    whole = [f"$ {command}", *lines]
    stops = [1 + i for i, line in enumerate(lines) if not line.strip()]
    stops = [stop for stop in stops if stop > 2] + [len(whole)]
    shots = []
    for stop in stops:
        grown = stop - (stops[stops.index(stop) - 1] if stop != stops[0] else 0)
        pause = min(1500, 350 + 60 * grown)
        shots.append((terminal(page, whole[max(0, stop - ROWS) : stop]), pause))
    picture, _ = shots[-1]
    return [*shots[:-1], (picture, 2200)]


def terminal(page: Page, lines: list[str]) -> Image.Image:
    """Lines with colours as a picture of a terminal."""
    console = Console(record=True, width=WIDE + 40, file=io.StringIO(), legacy_windows=False)
    for line in lines:
        console.print(Text.from_ansi(line), soft_wrap=True, highlight=False)
    coloured = console.export_html(inline_styles=True, code_format="{code}")
    page.set_content(TERMINAL.format(coloured or html.escape("")))
    return shot(page)


def looked(page: Page, report: Path) -> list[Shot]:
    """The report: its top, the remedy, the levels, the heat map."""
    page.goto(report.as_uri())
    page.wait_for_selector("html[data-ready]")
    page.wait_for_timeout(800)
    shots = [(shot(page), 2400)]
    for panel, pause in (
        ("#remedies", 2200),
        ("#loss", 1400),
        ("#levels", 2600),
        ("#heatmap", 2200),
    ):
        page.locator(panel).evaluate("node => window.scrollTo(0, node.offsetTop - 56)")
        page.wait_for_timeout(900)
        shots.append((shot(page), pause))
    return shots


def shot(page: Page) -> Image.Image:
    """What a page looks like now."""
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def palette_of(pictures: list[Image.Image]) -> Image.Image:
    """Colours that serve them all."""
    few = [picture.resize((220, 138)) for picture in pictures[:: max(1, len(pictures) // 16)]]
    few += [pictures[-1].resize((220, 138)), pictures[-3].resize((220, 138))]
    sheet = Image.new("RGB", (220, 138 * len(few)))
    for i, picture in enumerate(few):
        sheet.paste(picture, (0, 138 * i))
    return sheet.quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE)
