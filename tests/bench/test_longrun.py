from __future__ import annotations

import numpy as np

from gainstage.bench.longrun import KINDS, write_long_run
from gainstage.store import StoredRecording


def test_a_long_run_has_what_was_asked_for(tmp_path):
    run = StoredRecording(write_long_run(tmp_path / "long.gs", sites=20, steps=600))
    assert len(run.steps) == 600
    assert [len(run.of_kind(kind)) for kind in KINDS] == [4] * 5
    loss = run.run_values("loss")
    assert loss[0] > loss[-1] > 0
    assert all(np.isfinite(run.values(site, "rms")).all() for site in run.sites[1:])
    assert run.histogram(run.sites[1]).total == 2 * 4096
    assert run.info.status == "finished"
