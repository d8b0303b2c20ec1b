"""Edits to a source file: positions in any encoding, blocks that must not be left empty, diffs."""

import ast
import subprocess

import pytest

from gainstage.doctor.source import Source

TEXT = """\
name = "größe"; value = f("ü", lr=5.0)
def train():
    if value:
        clip(value)
    step()
"""


def first(source, kind, **wanted):
    return next(n for n in source.all(kind) if all(getattr(n, k) == v for k, v in wanted.items()))


def test_a_column_counts_characters_and_not_bytes():
    source = Source(TEXT, "a.py")
    node = first(source, ast.keyword, arg="lr").value
    assert source.with_edits([source.replace(node, "0.5")]) == TEXT.replace("5.0", "0.5")


def test_lines_are_added_as_deep_as_the_statement_before_which_they_stand():
    source = Source(TEXT, "a.py")
    step = source.at(ast.Expr, 5)
    changed = source.with_edits([source.before(step, "if a:\n    b()")])
    assert changed.splitlines()[4:] == ["    if a:", "        b()", "    step()"]


def test_a_statement_goes_with_its_line_or_leaves_pass_behind():
    source = Source(TEXT, "a.py")
    assert "    step()" not in source.with_edits([source.without(source.at(ast.Expr, 5))])
    alone = source.with_edits([source.without(source.at(ast.Expr, 4))])
    assert alone.splitlines()[3] == "        pass"


def test_several_edits_do_not_move_each_other():
    source = Source(TEXT, "a.py")
    number = first(source, ast.keyword, arg="lr").value
    edits = [source.replace(number, "0.05"), source.before(source.at(ast.Expr, 5), "zero()")]
    assert source.with_edits(edits) == source.with_edits(edits[::-1])
    ast.parse(source.with_edits(edits))


def test_scopes_and_statements_are_found():
    source = Source(TEXT, "a.py")
    clip = first(source, ast.Call, lineno=4)
    assert source.scope(clip).name == "train"
    assert source.scope(first(source, ast.Call, lineno=1)) is source.tree
    assert source.segment(source.statement(clip)) == "clip(value)"


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_diff_is_one_that_patch_takes(tmp_path, end):
    text = TEXT.rstrip("\n") + end
    source = Source(text, "a.py")
    edits = [source.replace(source.at(ast.Expr, 5), "step(1)")]
    (tmp_path / "a.py").write_text(text, encoding="utf-8")
    subprocess.run(
        ["git", "apply", "-"],  # noqa: S607
        input=source.diff(edits).encode(),
        cwd=tmp_path,
        check=True,
    )
    assert (tmp_path / "a.py").read_text(encoding="utf-8") == source.with_edits(edits)


def test_no_edits_are_no_diff():
    assert Source(TEXT, "a.py").diff([]) == ""


def test_what_is_no_python_or_cannot_be_read_is_none(tmp_path):
    (tmp_path / "a.py").write_text("x = (")
    assert Source.read(tmp_path / "a.py") is None
    assert Source.read(tmp_path / "b.py") is None


def test_line_breaks_stay_as_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.py").write_bytes(TEXT.replace("\n", "\r\n").encode())
    source = Source.read(tmp_path / "a.py")
    edits = [source.before(source.at(ast.Expr, 5), "if a:\n    b()")]
    subprocess.run(
        ["git", "apply", "-"],  # noqa: S607
        input=source.diff(edits).encode(),
        cwd=tmp_path,
        check=True,
    )
    changed = (tmp_path / "a.py").read_bytes()
    assert changed.decode() == source.with_edits(edits)
    assert changed.count(b"\n") == changed.count(b"\r\n") == TEXT.count("\n") + 2


def test_a_form_feed_ends_no_line():
    source = Source("a = 1\n\x0c\nb = 2\nc = 3\n", "a.py")
    edit = source.before(source.at(ast.Assign, 4), "d()")
    assert source.with_edits([edit]).endswith("b = 2\nd()\nc = 3\n")
