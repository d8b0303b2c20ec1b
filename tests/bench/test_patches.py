"""Fixes applied to copies: what applies, what learns, and that the script stays as it is."""

import numpy as np
import pytest

from gainstage.bench.patches import learns, patched
from gainstage.records import RunInfo, Series, Site
from gainstage.store import Writer

DIFF = """\
--- a/some/where/train.py
+++ b/some/where/train.py
@@ -1,2 +1,2 @@
-lr = 5.0
+lr = 0.5
 train(lr)
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "train.py"
    path.write_text("lr = 5.0\ntrain(lr)\n")
    return path


def told(folder, name, last, **more):
    """A verdict on a run whose loss goes from 2, which is chance, to somewhere."""
    path = folder / f"{name}.gs"
    info = RunInfo(id=name, started=0.0, status="finished")
    with Writer(path, info) as writer:
        writer.add(
            [Site(0, "run", "run", "", "", 0)], [Series(0, 0, "loss"), Series(1, 0, "chance_loss")]
        )
        for step in range(40):
            loss = 2.0 if step < 5 else last
            writer.write_frame(step, np.array([loss, 2.0]), t=float(step))
        writer.finish(info)
    return {"run": str(path), "steps": 40, **more}


def remedies(*given):
    return [{"verified": verified, "diff": diff, "score_before": [0.1]} for verified, diff in given]


def test_a_diff_is_applied_to_a_copy(tmp_path, script):
    copy = patched(script, DIFF, tmp_path / "copies")
    assert copy == tmp_path / "copies" / "some" / "where" / "train.py"
    assert copy.read_text() == "lr = 0.5\ntrain(lr)\n"
    assert script.read_text() == "lr = 5.0\ntrain(lr)\n"
    assert patched(script, DIFF.replace("-lr = 5.0", "-lr = 6.0"), tmp_path / "copies") is None


@pytest.mark.parametrize(("last", "better"), [(0.2, True), (1.9, False), (1.79, False)])
def test_what_is_patched_must_learn_better_than_before(tmp_path, script, last, better):
    verdict = told(tmp_path, "before", 1.8, remedies=remedies((True, ""), (True, DIFF)))
    seen = []

    def examine(copy):
        seen.append(copy.read_text())
        return told(tmp_path, "after", last)

    assert learns(script, verdict, tmp_path / "copies", examine) is better
    assert seen == ["lr = 0.5\ntrain(lr)\n"]


def test_a_patched_script_that_never_trains_does_not_learn(tmp_path, script):
    verdict = told(tmp_path, "before", 1.8, remedies=remedies((True, DIFF)))
    assert learns(script, verdict, tmp_path / "copies", lambda _: {"steps": 0}) is False
    verdict["remedies"] = remedies((True, DIFF.replace("5.0", "7.0")))
    assert learns(script, verdict, tmp_path / "copies", lambda _: pytest.fail("it ran")) is False


@pytest.mark.parametrize("given", [(), ((False, DIFF),), ((True, ""),)])
def test_without_a_verified_diff_there_is_nothing_to_run(tmp_path, script, given):
    verdict = {"remedies": remedies(*given)}
    assert learns(script, verdict, tmp_path, lambda _: pytest.fail("it ran")) is None
