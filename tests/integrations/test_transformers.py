"""The callback inside a real Trainer of Hugging Face."""

from __future__ import annotations

import pickle
import sys
import warnings

import pytest
import torch
from torch import nn

import gainstage as gs
from gainstage.errors import MissingExtraError
from gainstage.integrations.transformers import GainstageCallback

from .loops import points, tanh_net

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # transformers' own
    pytest.mark.filterwarnings("error:Gainstage"),
]


class Classifier(nn.Module):
    def __init__(self, *, faint, fails_at=None):
        super().__init__()
        self.net = tanh_net(faint=faint)
        self.calls, self.fails_at = 0, fails_at

    def forward(self, x=None, labels=None):
        self.calls += 1
        if self.calls == self.fails_at:
            msg = "the user's own"
            raise ValueError(msg)
        scores = self.net(x)
        return {"loss": nn.functional.cross_entropy(scores, labels), "logits": scores}


def _train(folder, model, callbacks, **options):
    x, y = points(200)
    data = [{"x": row, "labels": label} for row, label in zip(x, y.tolist(), strict=True)]
    settings = {
        "output_dir": str(folder / "out"),
        "max_steps": 12,
        "per_device_train_batch_size": 8,
        "logging_steps": 4,
        "report_to": [],
        "use_cpu": True,
        "save_strategy": "no",
        "eval_strategy": "steps",
        "eval_steps": 6,
        "disable_tqdm": True,
        "learning_rate": 1e-3,
        "max_grad_norm": 0.0,
    }
    arguments = transformers.TrainingArguments(**{**settings, **options})
    trainer = transformers.Trainer(
        model, arguments, train_dataset=data, eval_dataset=data[:16], callbacks=callbacks
    )
    trainer.train()
    return trainer


def test_a_training_is_watched_and_evaluation_leaves_no_trace(tmp_path, capsys):
    callback = GainstageCallback(dir=tmp_path)
    assert isinstance(callback, transformers.TrainerCallback)
    _train(tmp_path, Classifier(faint=False), [callback])
    run = gs.open(callback.run.path)
    assert run.info.status == "finished"
    assert run.recording.steps.tolist() == list(range(12))
    assert run.diagnose().healthy
    assert "'gainstage_errors': 0" in capsys.readouterr().out


def test_accumulation_is_one_step_and_clipping_is_seen(tmp_path):
    callback = GainstageCallback(dir=tmp_path)
    options = {"gradient_accumulation_steps": 2, "max_grad_norm": 1e-3}
    _train(tmp_path, Classifier(faint=False), [callback], **options)
    recording = gs.open(callback.run.path).recording
    assert recording.steps.tolist() == list(range(12))
    assert recording.run_values("grad_norm")[1:].max() == pytest.approx(1e-3, rel=0.05)
    assert recording.run_values("kept_grad")[1:].max() < 0.5


def test_errors_are_told_once(tmp_path):
    callback = GainstageCallback(dir=tmp_path)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        _train(tmp_path, Classifier(faint=True), [callback])
    ours = [str(w.message) for w in told if "Gainstage: " in str(w.message)]
    assert any("(vanishing-gradient; more by `gainstage show" in message for message in ours)
    assert len(ours) == len(set(ours))


def test_a_training_that_raises_is_ended_by_the_next(tmp_path):
    callback = GainstageCallback(dir=tmp_path)
    with pytest.raises(ValueError, match="the user's own"):
        _train(tmp_path, Classifier(faint=False, fails_at=5), [callback])
    first = callback.run.path
    _train(tmp_path, Classifier(faint=False), [callback])
    assert gs.open(first).info.status == "finished"
    assert len(gs.open(first).recording.steps) == 4
    assert callback.run.path != first


def test_training_is_the_same_with_and_without(tmp_path):
    weights = []
    for callbacks in ([], [GainstageCallback(dir=tmp_path)]):
        model = Classifier(faint=False)
        _train(tmp_path, model, callbacks)
        weights.append([p.detach().clone() for p in model.parameters()])
    assert all(torch.equal(*pair) for pair in zip(*weights, strict=True))


def test_a_copy_has_the_options_but_not_the_run(tmp_path):
    copied = pickle.loads(pickle.dumps(GainstageCallback(dir=tmp_path, every=4)))  # noqa: S301
    assert copied.run is None
    _train(tmp_path, Classifier(faint=False), [copied])
    assert copied.run.frame()["net.0", "output", "rms"].notna().sum() == 3


def test_without_transformers_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match="run `pip install transformers accelerate`"):
        GainstageCallback()
