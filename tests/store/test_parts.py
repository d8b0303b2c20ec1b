"""Ranks' files, of which not all may be open at once."""

from gainstage.records import RunInfo, Series, Site
from gainstage.store import Writer, parts
from gainstage.store.parts import Parts

RUN = Site(0, "run", "run", "", "", 0)


def write_ranks(folder, number):
    for rank in range(number):
        info = RunInfo("a", 1.0e9, rank=rank, world=number)
        with Writer(folder / f"rank{rank}.gs", info) as writer:
            writer.add([RUN], [Series(0, 0, "loss")])
            writer.write_frame(0, [float(rank)], t=0.0)
            writer.finish(info)


def held(found):
    """Ranks whose files are open."""
    return [rank for rank, part in found._all.items() if part._source._kept is not None]


def losses(found):
    return [part.values(part.sites[0], "loss").tolist() for part in found.values()]


def test_no_more_files_are_open_than_allowed(tmp_path):
    write_ranks(tmp_path, 7)
    found = Parts(tmp_path, most=3)
    assert found.refresh() == {}
    assert len(held(found)) <= 3
    for _ in range(2):
        assert losses(found) == [[float(rank)] for rank in range(7)]
        assert held(found) == [4, 5, 6]
    with found.held():
        assert len(held(found)) <= 3
    found.hold()
    assert len(held(found)) <= 3
    found.close()
    assert held(found) == []


def test_all_are_kept_open_where_that_is_allowed(tmp_path):
    write_ranks(tmp_path, 3)
    found = Parts(tmp_path)
    found.refresh()
    found.hold()
    losses(found)
    assert held(found) == [0, 1, 2]
    found.close()
    assert held(found) == []


def test_one_that_cannot_be_read_does_not_hide_the_others(tmp_path):
    write_ranks(tmp_path, 2)
    (tmp_path / "rank2.gs").write_text("no run" * 200)
    found = Parts(tmp_path, most=1)
    (why,) = found.refresh().values()
    assert "rank2.gs" in why
    assert list(found) == [0, 1]


def test_without_a_limit_of_the_system_there_is_one_of_ours(monkeypatch):
    monkeypatch.setattr(parts, "resource", None)
    assert parts.most_open() == 256


def test_names_that_all_ranks_share_are_kept_once(tmp_path):
    write_ranks(tmp_path, 3)
    found = Parts(tmp_path)
    for _ in range(2):
        found.refresh()
        assert len({id(part.sites) for part in found.values()}) == 1
    assert losses(found) == [[0.0], [1.0], [2.0]]
