"""The callback inside real trainers of both packages."""

from __future__ import annotations

import importlib
import pickle
import subprocess
import sys
import warnings

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import gainstage as gs
from gainstage.errors import MissingExtraError, UsageError
from gainstage.integrations.lightning import GainstageMonitor

from .loops import points, tanh_net

PACKAGES = ("lightning.pytorch", "pytorch_lightning")

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # Lightning's own, of workers and small logs
    pytest.mark.filterwarnings("error:Gainstage"),
]


@pytest.fixture(params=PACKAGES)
def pl(request):
    return pytest.importorskip(request.param)


def _module(pl, net, *, fails_at=None):
    class Module(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = net

        def training_step(self, batch, index):
            if index == fails_at:
                msg = "the user's own"
                raise ValueError(msg)
            return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

        def validation_step(self, batch, _):
            self.log("loss", nn.functional.cross_entropy(self.net(batch[0]), batch[1]))

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=1e-3)

    return Module()


def _fit(pl, module, callbacks, *, batches=10, **options):
    data = DataLoader(TensorDataset(*points(batches * 16)), batch_size=16)
    trainer = pl.Trainer(
        max_epochs=2,
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        accelerator="cpu",
        **options,
    )
    trainer.fit(module, data, data)
    return trainer


def test_a_fit_is_watched_and_validation_leaves_no_trace(pl, tmp_path):
    monitor = GainstageMonitor(dir=tmp_path)
    assert isinstance(monitor, pl.Callback)
    trainer = _fit(pl, _module(pl, tanh_net(faint=False)), [monitor])
    run = gs.open(monitor.run.path)
    assert run.info.status == "finished"
    assert run.recording.steps.tolist() == list(range(20))
    assert run.recording.site("net.0", "output") is not None
    assert run.diagnose().healthy
    assert trainer.progress_bar_metrics["gainstage/errors"] == 0


def test_accumulation_is_one_step_and_clipping_is_seen(pl, tmp_path):
    monitor = GainstageMonitor(dir=tmp_path)
    options = {"accumulate_grad_batches": 2, "gradient_clip_val": 1e-3}
    _fit(pl, _module(pl, tanh_net(faint=False)), [monitor], **options)
    recording = gs.open(monitor.run.path).recording
    assert recording.steps.tolist() == list(range(10))
    assert recording.run_values("grad_norm")[1:].max() == pytest.approx(1e-3, rel=0.05)
    assert recording.run_values("kept_grad")[1:].max() < 0.5


def test_errors_are_told_once_and_counted_in_the_progress_bar(pl, tmp_path):
    monitor = GainstageMonitor(dir=tmp_path)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        trainer = _fit(pl, _module(pl, tanh_net(faint=True)), [monitor])
    ours = [str(w.message) for w in told if "Gainstage: " in str(w.message)]
    assert any("(vanishing-gradient; more by `gainstage show" in message for message in ours)
    assert len(ours) == len(set(ours))
    assert trainer.progress_bar_metrics["gainstage/errors"] >= 1
    assert "gainstage/errors" not in trainer.logged_metrics


def test_a_training_that_raises_keeps_its_run(pl, tmp_path):
    monitor = GainstageMonitor(dir=tmp_path)
    with pytest.raises(ValueError, match="the user's own"):
        _fit(pl, _module(pl, tanh_net(faint=False), fails_at=6), [monitor])
    info = gs.open(monitor.run.path).info
    assert (info.status, info.outcome) == ("failed", "ValueError: the user's own")


def test_training_is_the_same_with_and_without(pl, tmp_path):
    weights = []
    for callbacks in ([], [GainstageMonitor(dir=tmp_path, progress_bar=False)]):
        module = _module(pl, tanh_net(faint=False))
        _fit(pl, module, callbacks)
        weights.append([p.detach().clone() for p in module.parameters()])
    assert all(torch.equal(*pair) for pair in zip(*weights, strict=True))


def test_a_second_fit_has_a_run_of_its_own(pl, tmp_path):
    monitor = GainstageMonitor(dir=tmp_path)
    paths = []
    for _ in range(2):
        _fit(pl, _module(pl, tanh_net(faint=False)), [monitor], batches=2)
        paths.append(monitor.run.path)
    assert paths[0] != paths[1]


def test_a_wrong_option_is_refused_as_by_watch(pl, tmp_path):
    with pytest.raises(UsageError, match="every must be a whole number"):
        _fit(pl, _module(pl, tanh_net(faint=False)), [GainstageMonitor(dir=tmp_path, every=0)])


def test_a_copy_has_the_options_but_not_the_run(pl, tmp_path):
    copied = pickle.loads(pickle.dumps(GainstageMonitor(dir=tmp_path, every=3)))  # noqa: S301
    assert isinstance(copied, pl.Callback)
    assert copied.run is None
    _fit(pl, _module(pl, tanh_net(faint=False)), [copied], batches=3)
    assert copied.run.frame()["net.0", "output", "rms"].notna().sum() == 2


def test_without_lightning_it_says_what_to_install(monkeypatch):
    for name in [n for n in sys.modules if n.split(".")[0] in {"lightning", "pytorch_lightning"}]:
        monkeypatch.delitem(sys.modules, name)
    real = importlib.import_module

    def missing(name, *rest):
        if name in PACKAGES:
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(MissingExtraError, match=r"needs Lightning: run `pip install lightning`\."):
        GainstageMonitor()


def test_to_import_the_module_imports_no_framework():
    code = "import gainstage.integrations.lightning, gainstage.integrations.transformers, sys\n"
    code += "print({'lightning', 'pytorch_lightning', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
