"""Make the film of the README: the terminal, the verdict, the page. `make docs` does so too."""

import contextlib
import io
import os
import pty
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
SIZE = (960, 600)
SHOWN = (880, 550)
COLOURS = (32, 160)
"""Of the terminal, and of the page."""
WIDE = 80
ROWS = 27
LARGEST = 2_000_000
LAST_OF_TERMINAL = 1600
"""Milliseconds for the terminal's last picture."""
PANELS = {"#remedies": 1800, "#loss": 1200, "#levels": 2200, "#heatmap": 1800}
"""Where the page is looked at, and for how many milliseconds."""

TERMINAL = """<!DOCTYPE html><meta charset="utf-8"><style>
body {{ margin: 0; height: 600px; background: #14171a; color: #e6e3dc; overflow: hidden;
        display: flex; flex-direction: column; justify-content: {}; }}
pre {{ margin: 0; padding: 20px 26px; width: 82ch; font: 17px/20px "DejaVu Sans Mono", monospace;
       white-space: pre-wrap; overflow-wrap: anywhere; }}
</style><pre>{}</pre>"""

THEME = TerminalTheme(
    (20, 23, 26),
    (230, 227, 220),
    [(20, 23, 26), (255, 110, 90), (90, 205, 150), (235, 185, 80), (110, 170, 245), (215, 150, 215),
     (90, 195, 220), (230, 227, 220)],
)  # fmt: skip

Shot = tuple[Image.Image, int]
"""A picture, and for how many milliseconds it is shown."""


def film(browser: Browser, path: Path, folder: str) -> Path:
    """Run the doctor on the demo's sick script, and show what a user sees: 20 seconds.

    Returns:
        The report that it wrote into the folder.
    """
    gainstage = Path(sys.executable).with_name("gainstage")
    report = Path(folder) / "report.html"
    options = ["--dir", folder, "--report", report]
    told = watched([gainstage, "doctor", *options, "examples/tanh_stuck.py"])
    lines = told.replace(f"{folder}/", "runs/").splitlines()
    command = "gainstage doctor examples/tanh_stuck.py"
    page = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]})
    shots = [*typed(page, command), *scrolled(page, command, lines), *looked(page, report)]
    page.close()
    pictures = [picture.resize(SHOWN, Image.Resampling.LANCZOS) for picture, _ in shots]
    pauses = [pause for _, pause in shots]
    turn = 1 + pauses.index(LAST_OF_TERMINAL)
    palette = palette_of(pictures[:turn], pictures[turn:])
    flat = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    first, *rest = flat
    first.save(path, save_all=True, append_images=rest, duration=pauses, loop=0, optimize=True)
    size = path.stat().st_size
    print(path, f"{sum(pauses) / 1000:.1f} s, {size / 1e6:.2f} MB")
    if size > LARGEST:
        sys.exit(f"The film must stay under {LARGEST / 1e6:g} MB.")
    return report


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
        pause = 700 if end == len(command) else 90
        shots.append((terminal(page, [f"$ {command[:end]}█"]), pause))
    return shots


def scrolled(page: Page, command: str, lines: list[str]) -> list[Shot]:
    """The answer, as it comes: what the script prints, the verdict, the remedies."""
    whole = [f"$ {command}", *lines]
    stops = [1 + i for i, line in enumerate(lines) if not line.strip()]
    stops = [stop for stop in stops if stop > 2] + [len(whole)]
    shots = []
    for before, stop in zip([0, *stops], stops, strict=False):
        picture = terminal(page, whole[max(0, stop - ROWS) : stop])
        shots.append((picture, min(1000, 200 + 40 * (stop - before))))
    picture, _ = shots[-1]
    return [*shots[:-1], (picture, LAST_OF_TERMINAL)]


def terminal(page: Page, lines: list[str]) -> Image.Image:
    """Lines with colours as a picture of a terminal."""
    console = Console(record=True, width=WIDE + 400, file=io.StringIO(), legacy_windows=False)
    for line in lines:
        console.print(Text.from_ansi(line), soft_wrap=True, highlight=False)
    coloured = console.export_html(theme=THEME, inline_styles=True, code_format="{code}")
    page.set_content(TERMINAL.format("flex-end" if len(lines) >= ROWS else "flex-start", coloured))
    return shot(page)


def looked(page: Page, report: Path) -> list[Shot]:
    """The report: its top, the remedy, the levels, the heat map."""
    page.goto(report.as_uri())
    page.wait_for_selector("html[data-ready]")
    page.wait_for_timeout(800)
    shots = [(shot(page), 2000)]
    for panel, pause in PANELS.items():
        page.locator(panel).evaluate("node => window.scrollTo(0, node.offsetTop - 56)")
        page.wait_for_timeout(900)
        shots.append((shot(page), pause))
    return shots


def shot(page: Page) -> Image.Image:
    """What a page looks like now."""
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def palette_of(terminal: list[Image.Image], page: list[Image.Image]) -> Image.Image:
    """Colours that serve them all, the page's own not outvoted by the terminal's ground."""
    colours: list[int] = []
    for pictures, count in zip((terminal, page), COLOURS, strict=True):
        few = pictures[:: max(1, len(pictures) // 6)]
        sheet = Image.new("RGB", (SHOWN[0], SHOWN[1] * len(few)))
        for i, picture in enumerate(few):
            sheet.paste(picture, (0, SHOWN[1] * i))
        found = sheet.quantize(count, method=Image.Quantize.MEDIANCUT).getpalette() or []
        colours += found[: 3 * count]
    palette = Image.new("P", (1, 1))
    palette.putpalette(colours)
    return palette
