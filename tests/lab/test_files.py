"""Files: found, checked, downloaded once, and what is said if none of that works."""

import hashlib
from pathlib import Path

import pooch
import pytest

from gainstage.errors import DataError, MissingExtraError, UnknownNameError
from gainstage.lab import files
from gainstage.lab.files import FILES, Source, find_file


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A publisher that is a folder: its file, and where downloads go."""
    there, cache = tmp_path / "publisher.txt", tmp_path / "cache"
    there.write_bytes(b"data")
    served = Source("https://example.test/one.txt", hashlib.sha256(b"data").hexdigest())
    monkeypatch.setitem(FILES, "one.txt", served)
    monkeypatch.setattr(pooch, "os_cache", lambda _: cache)
    monkeypatch.delenv(files.VARIABLE, raising=False)
    calls = []

    def download(url, output_file, _):
        calls.append(url)
        if not there.exists():
            msg = "the network is down"
            raise ConnectionError(msg)
        Path(output_file).write_bytes(there.read_bytes())

    monkeypatch.setattr(pooch.core, "choose_downloader", lambda *_, **__: download)
    return there, cache, calls


def test_a_file_is_downloaded_once(source):
    _, cache, calls = source
    for _ in range(2):
        assert find_file("one.txt") == cache / "one.txt"
    assert calls == ["https://example.test/one.txt"]


def test_the_variable_names_a_folder_that_needs_no_network(source, tmp_path, monkeypatch):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "one.txt").write_bytes(b"data")
    monkeypatch.setenv(files.VARIABLE, str(folder))
    assert find_file("one.txt") == folder / "one.txt"
    assert not source[2]


def test_a_damaged_file_of_ones_own_is_named(source, tmp_path, monkeypatch):
    del source
    (tmp_path / "one.txt").write_bytes(b"date")
    monkeypatch.setenv(files.VARIABLE, str(tmp_path))
    with pytest.raises(DataError, match=r"is damaged: its SHA-256 is .* Replace it by http"):
        find_file("one.txt")


def test_a_damaged_download_is_removed_and_tried_again(source):
    there, cache, calls = source
    there.write_bytes(b"date")
    with pytest.raises(DataError, match=r"one.txt could not be downloaded: what came is damaged"):
        find_file("one.txt")
    assert len(calls) == 2
    assert not (cache / "one.txt").exists()
    there.write_bytes(b"data")
    assert find_file("one.txt").read_bytes() == b"data"


def test_a_damaged_cache_is_replaced(source):
    calls = source[2]
    find_file("one.txt").write_bytes(b"date")
    assert find_file("one.txt").read_bytes() == b"data"
    assert len(calls) == 2


def test_without_a_network_the_address_and_the_place_are_told(source, tmp_path, monkeypatch):
    source[0].unlink()
    with pytest.raises(DataError, match=r"could not .*: the network is down.*cache/one"):
        find_file("one.txt")
    monkeypatch.setenv(files.VARIABLE, str(tmp_path / "mine"))
    with pytest.raises(DataError, match=r"put it at .*mine/one.txt, or set GAINSTAGE_DATA"):
        find_file("one.txt")


def test_an_unknown_file_is_refused():
    with pytest.raises(UnknownNameError, match=r"no file 'two.txt'. There are: fashion"):
        find_file("two.txt")


def test_without_pooch_the_extra_is_named(source, monkeypatch):
    del source
    monkeypatch.setitem(__import__("sys").modules, "pooch", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'gainstage\[lab\]'"):
        find_file("one.txt")


@pytest.mark.parametrize("name", [name for name in FILES if name != "one.txt"])
def test_every_source_is_whole(name):
    source = FILES[name]
    assert len(source.sha256) == 64
    assert source.url.endswith(name.rpartition("/")[2])
