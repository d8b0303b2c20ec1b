"""The peers: missing, they are named with what to run; there, they see what they should."""

from __future__ import annotations

import contextlib
import os
from types import SimpleNamespace

import pytest
import torch

from gainstage.bench import peers
from gainstage.bench.workloads import WORKLOADS, Training
from gainstage.errors import MissingExtraError

MODULES = ("wandb", "torch.utils.tensorboard", "threadpoolctl", "cockpit")


class Fake:
    """Stands for each peer's module and for what it makes; notes what is called on it."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        def note(*args, **_):
            self.calls.append((name, args))
            return contextlib.nullcontext(self)

        return note

    def named(self, name):
        return [args for called, args in self.calls if called == name]


@pytest.fixture
def training():
    return Training(WORKLOADS["MLP"])


@pytest.fixture
def batches():
    generator = torch.Generator().manual_seed(0)
    return [WORKLOADS["MLP"].batch(generator) for _ in range(2)]


@pytest.fixture
def fake(monkeypatch):
    made = Fake()
    monkeypatch.setattr(peers, "importlib", SimpleNamespace(import_module=lambda _: made))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    return made


@pytest.mark.parametrize("missing", MODULES)
def test_a_missing_peer_is_one_sentence_with_what_to_run(monkeypatch, fake, missing):
    def find(name):
        if name == missing:
            raise ModuleNotFoundError(name)
        return fake

    monkeypatch.setattr(peers.importlib, "import_module", find)
    with pytest.raises(MissingExtraError, match=r"`pip install 'gainstage\[bench\]'`\.$") as caught:
        peers.peers()
    assert caught.value.__cause__.args == (missing,)


@pytest.mark.usefixtures("fake")
def test_the_peers_have_the_names_that_people_know():
    assert list(peers.peers()) == ["wandb", "TensorBoard", "cockpit"]


def test_wandb_reports_no_errors_of_ours_unless_it_is_asked_to(monkeypatch, fake):
    monkeypatch.delenv("WANDB_ERROR_REPORTING")
    peers.peers()
    assert os.environ["WANDB_ERROR_REPORTING"] == "false"
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "true")
    peers.peers()
    assert os.environ["WANDB_ERROR_REPORTING"] == "true"
    assert fake.calls == []


def test_tensorboard_sees_every_weight_and_gradient_at_every_step(
    fake, training, batches, tmp_path
):
    with peers.peers()["TensorBoard"](training, tmp_path) as step:
        for batch in batches:
            step(batch)
    names = [name for name, _ in training.model.named_parameters()]
    seen = [(tag, at) for tag, _, at in fake.named("add_histogram")]
    kinds = ("weights", "gradients")
    assert sorted(seen) == sorted((f"{k}/{n}", at) for k in kinds for n in names for at in (0, 1))
    assert [(tag, at) for tag, _, at in fake.named("add_scalar")] == [("loss", 0), ("loss", 1)]
    assert len(fake.named("flush")) == 2


def test_wandb_is_offline_watches_the_model_and_ends_its_service(
    monkeypatch, fake, training, batches, tmp_path
):
    monkeypatch.setenv("WANDB_MODE", "online")
    with peers.peers()["wandb"](training, tmp_path) as step:
        assert os.environ["WANDB_MODE"] == "offline"
        assert os.environ["WANDB_CACHE_DIR"] == str(tmp_path)
        for batch in batches:
            step(batch)
    assert os.environ["WANDB_MODE"] == "online"
    assert fake.named("watch") == [(training.model,)]
    assert [list(*args) for args in fake.named("log")] == [["loss"], ["loss"]]
    assert fake.calls[-1] == ("teardown", ())


def test_the_service_of_wandb_ends_also_when_a_training_fails(fake, training, tmp_path):
    with pytest.raises(ZeroDivisionError), peers.peers()["wandb"](training, tmp_path):
        raise ZeroDivisionError
    assert fake.calls[-1] == ("teardown", ())


@pytest.mark.filterwarnings("default")  # theirs
@pytest.mark.parametrize("name", ["wandb", "TensorBoard"])
def test_a_peer_leaves_its_files_in_the_folder(name, training, batches, tmp_path):
    for module in MODULES:
        pytest.importorskip(module, reason="extra `bench`", exc_type=ImportError)
    with peers.peers()[name](training, tmp_path) as step:
        step(batches[0])
    assert any(path.is_file() for path in tmp_path.rglob("*"))


def test_cockpit_trains_as_the_others_do(training, batches, tmp_path):
    pytest.importorskip("cockpit", reason="the extra `bench` is not installed")
    bare = Training(WORKLOADS["MLP"])
    with peers.peers()["cockpit"](training, tmp_path) as step:
        for batch in batches:
            step(batch)
            bare.step(batch)
    for ours, theirs in zip(bare.model.parameters(), training.model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_peer_competes_only_where_it_can():
    assert all(name in WORKLOADS for names in peers.ONLY.values() for name in names)
