"""In a notebook runs and figures show themselves, and what is printed is text."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
LESSONS = Path(__file__).parents[2] / "examples" / "lessons.ipynb"


@pytest.fixture(scope="module")
def lessons(tmp_path_factory):
    """The cells of the example with what came of each, run as its reader would."""
    pytest.importorskip("ipykernel")
    book = nbformat.read(LESSONS, as_version=4)
    folder = tmp_path_factory.mktemp("lessons")
    settings = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(book, timeout=300, resources=settings).execute()
    return [cell for cell in book.cells if cell.cell_type == "code"]


def shown(cell):
    """What kinds of things a cell has shown, beside text that it printed."""
    return [output.data for output in cell.outputs if output.output_type != "stream"]


def printed(cell):
    return "".join(one.text for one in cell.outputs if one.output_type == "stream")


def cell_with(lessons, text):
    return next(cell for cell in lessons if text in cell.source)


def test_the_lessons_are_kept_without_what_came_of_them():
    book = nbformat.read(LESSONS, as_version=4)
    nbformat.validate(book)
    assert all(cell.outputs == [] for cell in book.cells if cell.cell_type == "code")


def test_figures_show_themselves(lessons):
    drawn = [
        cell
        for cell in lessons
        if re.search(r"^gs\.(plot|landscape)\.\w+\(", cell.source, re.MULTILINE)
    ]
    assert len(drawn) == 4
    for cell in drawn:
        (data,) = shown(cell)
        assert "image/png" in data, cell.source


def test_what_is_printed_is_text_and_shown_once(lessons):
    for cell in lessons:
        if cell.source.rstrip().endswith("diagnose())"):
            assert shown(cell) == []
            assert "vanishing-gradient" in printed(cell)
    predicted = cell_with(lessons, "print(gs.predict")
    assert shown(predicted) == []
    assert "forward  predicted" in printed(predicted)


def test_a_run_shows_its_report(lessons):
    (data,) = shown(lessons[-1])
    assert data["text/html"].startswith("<iframe sandbox=")


def test_the_lessons_say_what_is_so(lessons):
    losses = printed(cell_with(lessons, '("default", default)'))
    ends = {line.split()[0]: float(line.split()[-1]) for line in losses.splitlines()}
    assert ends["default"] > 2.2  # chance is 2.303
    assert ends["kaiming"] < 0.6
    assert ends["batchnorm"] < 0.6
    assert printed(cell_with(lessons, "lr=3.0")).startswith("Early on a step changes")


def test_marimo_shows_runs_and_figures(tmp_path):
    pytest.importorskip("marimo")
    page = tmp_path / "page.html"
    notebook = tmp_path / "marimo_run.py"  # marimo leaves a session beside it
    shutil.copyfile(Path(__file__).with_name("marimo_run.py"), notebook)
    command = [sys.executable, "-m", "marimo", "export", "html", str(notebook), "-o", str(page)]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    text = page.read_text(encoding="utf-8")
    assert "Your output is too large" not in text
    assert "iframe sandbox=" in text
    assert "data:image/png;base64" in text
    assert "healthy" in text
