"""The callback inside a real net of skorch."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

import gainstage as gs
from gainstage.errors import MissingExtraError
from gainstage.integrations.skorch import GainstageCallback

from .loops import points, tanh_net

skorch = pytest.importorskip("skorch")
pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # skorch's own
    pytest.mark.filterwarnings("error:Gainstage"),
]


def fit(callbacks, *, faint=False, epochs=3, **options):
    torch.manual_seed(0)
    x, y = points(160)
    net = skorch.NeuralNetClassifier(
        tanh_net(faint=faint),
        criterion=torch.nn.CrossEntropyLoss,
        max_epochs=epochs,
        batch_size=16,
        lr=0.1,
        callbacks=callbacks,
        **{"verbose": 0, **options},
    )
    return net.fit(x.numpy(), y.numpy())


def test_a_fit_is_watched_and_validation_leaves_no_trace(tmp_path, capsys):
    callback = GainstageCallback(dir=tmp_path)
    assert isinstance(callback, skorch.callbacks.Callback)
    net = fit([callback], verbose=1)
    run = gs.open(callback.run.path)
    assert run.info.status == "finished"
    assert len(run.recording.steps) == 3 * 8  # four fifths are trained on, in batches of 16
    assert run.diagnose().healthy
    assert net.history[:, "gainstage_errors"] == [0, 0, 0]
    assert "gainstage_errors" in capsys.readouterr().out
    rates = run.recording.run_values("lr")
    assert np.allclose(rates, 0.1)


def test_a_planted_fault_is_told_once_and_found(tmp_path):
    callback = GainstageCallback(dir=tmp_path)
    with pytest.warns(UserWarning, match="Gainstage: .*gainstage show") as told:
        net = fit([callback], faint=True, epochs=6)
    ours = [str(one.message) for one in told if "Gainstage" in str(one.message)]
    assert len(ours) == len(set(ours))
    assert callback.run.diagnose()[0].code in {"poor-initialization", "vanishing-gradient"}
    assert net.history[-1, "gainstage_errors"] >= 1


def test_training_is_bit_identical(tmp_path):
    nets = [fit(callbacks) for callbacks in ([], [GainstageCallback(dir=tmp_path)])]
    plain, watched = (net.module_.state_dict() for net in nets)
    assert all(torch.equal(plain[name], watched[name]) for name in plain)
    losses = [net.history[:, "train_loss"] for net in nets]
    assert losses[0] == losses[1]


def test_a_search_watches_each_of_its_fits(tmp_path):
    from sklearn.model_selection import GridSearchCV

    x, y = points(80)
    net = skorch.NeuralNetClassifier(
        tanh_net(faint=False),
        criterion=torch.nn.CrossEntropyLoss,
        max_epochs=1,
        verbose=0,
        callbacks=[("gainstage", GainstageCallback(dir=str(tmp_path)))],
    )
    search = GridSearchCV(net, {"lr": [0.1, 0.01]}, cv=2, refit=False, scoring="accuracy")
    search.fit(x.numpy(), y.numpy())
    assert len(list(tmp_path.glob("*.gs"))) == 4
    assert net.set_params(callbacks__gainstage__every=2) is net


def test_without_skorch_there_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "skorch.callbacks", None)
    with pytest.raises(MissingExtraError, match="run `pip install skorch`"):
        GainstageCallback()
