"""`gainstage report`."""

import shutil


def test_the_report_goes_beside_the_run_unless_told_otherwise(cli, runs, tmp_path):
    run = tmp_path / "2026-01-01-aaaa.gs"
    shutil.copy(runs / run.name, run)
    told = cli("report", run)
    assert told.exit_code == 0
    assert told.stdout == f"{run.with_suffix('.html')}\n"
    assert run.with_suffix(".html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    other = tmp_path / "other.html"
    assert cli("report", "aaaa", "--dir", tmp_path, "-o", other).stdout == f"{other}\n"
    assert other.exists()
