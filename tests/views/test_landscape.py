"""Landscapes that the lab kept, as plain data; hostile archives are refused."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
import torch

import gainstage as gs
from gainstage.errors import RunFileError
from gainstage.landscape import LossMap
from gainstage.views import landscape
from gainstage.views.landscape import read_landscape


def archive(file, **arrays):
    x = np.linspace(-1, 1, 5)
    usual = {
        "x": x, "y": x[:3], "values": np.arange(15.0).reshape(1, 3, 5), "names": ["loss"],
        "axes": ["a", "b"], "note": "", "rows": 3,
    }  # fmt: skip
    np.savez(file, **{k: v for k, v in {**usual, **arrays}.items() if v is not None})
    return file


def test_a_map_of_losses_comes_back_with_its_trajectory(tmp_path):
    axis = torch.linspace(-1, 1, 5)
    values = (axis[None, :] + 10 * axis[:, None])[None]
    way = torch.tensor([[0.0, 0.0], [0.25, 0.5], [5.0, 0.0]])
    LossMap(axis, axis, ("MSE",), values, ("w", "b"), way, "of the batch", 5).save(
        tmp_path / "a.npz"
    )
    found = read_landscape(tmp_path / "a.npz")
    assert (found.axes, found.names, found.note, found.complete) == (
        ("w", "b"), ("MSE",), "of the batch", True,
    )  # fmt: skip
    assert found.values[0][0] == pytest.approx([-11, -10.5, -10, -9.5, -9])
    (course,) = found.courses
    assert course.heights == (0.0, 5.25, None)  # between points, and beside the map


def test_a_race_comes_back_with_all_ways(tmp_path):
    optimizers = {"SGD": lambda p: gs.optim.SGD(p, lr=0.1), "Adam": gs.optim.Adam}
    race = gs.landscape.race("saddle", optimizers, [(1.0, 0.1), (0.5, 0.2)], steps=20)
    race.save(tmp_path / "race.npz", size=11)
    found = read_landscape(tmp_path / "race.npz")
    assert found.names == ("saddle",)
    assert [course.name for course in found.courses] == ["SGD", "SGD", "Adam", "Adam"]
    assert found.courses[2].x == pytest.approx(race.trajectories[1, 0, :, 0].tolist(), rel=1e-4)
    assert found.courses[3].heights == pytest.approx(race.values[1, 1].tolist(), rel=1e-4)


def test_what_is_not_finite_is_none(tmp_path):
    values = np.full((1, 3, 5), np.nan)
    values[0, 0, 0] = np.inf
    values[0, 0, 1] = 2.0
    found = read_landscape(archive(tmp_path / "a.npz", values=values, rows=1))
    assert found.values[0][0] == (None, 2.0, None, None, None)
    assert not found.complete


def test_a_large_map_and_a_long_way_are_thinned_to_their_ends(tmp_path):
    axis = np.linspace(0, 1, 500)
    values = np.add.outer(axis, axis)[None]
    way = np.linspace([0, 0], [1, 1], 5000)
    found = read_landscape(archive(tmp_path / "a.npz", x=axis, y=axis, values=values, path=way))
    assert len(found.x) <= 122
    assert (found.x[0], found.x[-1]) == (0.0, 1.0)
    assert found.values[0][-1][-1] == 2.0
    (course,) = found.courses
    assert len(course.x) <= 601
    assert (course.x[-1], course.every) == (1.0, 9)


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"x": None}, "it has no 'x'"),
        ({"values": np.zeros((3, 5))}, "does not fit axes"),
        ({"values": np.zeros((1, 5, 3))}, "does not fit axes"),
        ({"names": ["a", "b"]}, "names do not fit"),
        ({"axes": ["a"]}, "names do not fit"),
        ({"path": np.zeros((4, 3))}, "none on a plane"),
        ({"path": np.zeros(4)}, "none on a plane"),
        ({"x": np.array(["a"] * 5)}, "could not convert"),
        ({"x": np.array([{}] * 5, dtype=object)}, "Object arrays"),
        ({"x": np.zeros(0), "values": np.zeros((1, 3, 0))}, "empty"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_in_a_sentence(tmp_path, arrays, told):
    path = archive(tmp_path / "a.npz", **arrays)
    with pytest.raises(RunFileError, match=r"^The landscape 'a.npz' cannot be read: ") as error:
        read_landscape(path)
    assert told in str(error.value)


def test_what_is_no_archive_is_refused(tmp_path):
    for text in (b"", b"not an archive", archive(tmp_path / "whole.npz").read_bytes()[:300]):
        (tmp_path / "a.npz").write_bytes(text)
        with pytest.raises(RunFileError, match="cannot be read"):
            read_landscape(tmp_path / "a.npz")
    with pytest.raises(RunFileError, match="cannot be read"):
        read_landscape(tmp_path / "missing.npz")


def test_an_array_that_says_it_is_huge_takes_no_room(tmp_path):
    header = io.BytesIO()
    said = {"descr": "<f8", "fortran_order": False, "shape": (10**13,)}
    np.lib.format.write_array_header_1_0(header, said)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.writestr("x.npy", header.getvalue())
    with pytest.raises(RunFileError, match=r"'x\.npy' is cut"):
        read_landscape(tmp_path / "a.npz")


def test_too_large_or_too_many_arrays_are_not_read(tmp_path, monkeypatch):
    path = archive(tmp_path / "a.npz", **{f"a{i}": np.zeros(1) for i in range(40)})
    with pytest.raises(RunFileError, match="47 arrays"):
        read_landscape(path)
    monkeypatch.setattr(landscape, "LARGEST", 130)
    with pytest.raises(RunFileError, match="bytes"):
        read_landscape(archive(tmp_path / "b.npz"))
