from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import msgspec
import numpy as np
import pytest

from gainstage.views import VIEWS
from gainstage.views.view import columns, decibels, median, number, numbers

NAMES = [
    "batchnorm", "findings", "heatmap", "histograms", "history", "levels", "loss", "parameters",
    "updates",
]  # fmt: skip
RECORDINGS = ["vanishing", "hostile", "handmade", "empty", "blocks"]


def _recording(recordings, name):
    made = getattr(recordings, name)()
    return made[0] if isinstance(made, tuple) else made


def test_all_views_are_found():
    assert list(VIEWS) == NAMES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("which", RECORDINGS)
def test_a_view_is_frozen_plain_data_without_nan(recordings, name, which):
    data = VIEWS[name](_recording(recordings, which))
    assert dataclasses.is_dataclass(data)
    assert data.__dataclass_params__.frozen
    plain = msgspec.to_builtins(data, str_keys=True)
    json.dumps(plain, allow_nan=False)
    if which != "hostile":  # a lone surrogate is no UTF-8; the report escapes it
        assert msgspec.json.decode(msgspec.json.encode(data)) == json.loads(json.dumps(plain))


def test_views_and_renderers_leave_torch_out():
    code = (
        "import sys, gainstage.views, gainstage.render.text, gainstage.render.report; "
        "list(gainstage.views.VIEWS); gainstage.render.report.plotly_source(); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_numbers_hold_none_for_what_is_not_finite():
    assert number(float("inf")) is None
    assert numbers([np.nan, -np.inf, 1.23456789]) == (None, None, 1.23457)


def test_median_is_a_level_that_occurred():
    assert median(np.array([-np.inf, -20.0, np.nan, -10.0, -30.0])) == -30.0
    assert np.isnan(median(np.array([np.nan])))


def test_decibels_of_what_is_no_level():
    assert np.isnan(decibels(np.array([np.nan, np.inf]))).all()
    assert np.isneginf(decibels(np.array([0.0]))).all()


def test_columns_cover_every_step_once():
    gathered = columns(np.arange(0, 700, 7), 30)
    assert len(gathered.first) == 30
    assert gathered.first[0] == 0
    assert gathered.last[-1] == 693
    assert all(b - a == 7 for a, b in zip(gathered.last, gathered.first[1:], strict=False))


def test_columns_reduce_what_is_finite():
    gathered = columns(np.arange(4), 2)
    values = np.array([1.0, 3.0, np.nan, np.nan])
    assert gathered.reduce(values, "mean").tolist()[0] == 2.0
    assert gathered.reduce(values, "min").tolist()[0] == 1.0
    assert gathered.reduce(values, "max").tolist()[0] == 3.0
    assert np.isnan(gathered.reduce(values, "mean")[1])
    assert gathered.any(values > 2).tolist() == [True, False]


def test_columns_of_nothing():
    gathered = columns(np.arange(0), 5)
    assert gathered.first == ()
    assert len(gathered.reduce(np.empty(0), "max")) == 0
    assert len(gathered.any(np.empty(0, dtype=bool))) == 0
