"""Copies, files and exports of a watched model are those of an unwatched one."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys

import pytest
import torch
from torch import nn

import gainstage as gs

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning"),
]


def _training():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    return net, torch.optim.Adam(net.parameters(), lr=0.01)


def _step(net, optimizer):
    optimizer.zero_grad()
    net(torch.randn(6, 4)).square().mean().backward()
    optimizer.step()


@pytest.fixture(params=["", "functional", "everything"])
def way(request, tmp_path, watching_everything):
    """A way to watch: a model and an optimiser in, a context out."""
    if request.param == "everything":
        return lambda *_: watching_everything()
    functional = request.param == "functional"
    return lambda net, optimizer: gs.watch(net, optimizer, dir=tmp_path, functional=functional)


def _through_file(thing, **options):
    file = io.BytesIO()
    torch.save(thing, file)
    file.seek(0)
    return torch.load(file, **options)


COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda net: pickle.loads(pickle.dumps(net)),  # noqa: S301 - our own bytes
    "file": lambda net: _through_file(net, weights_only=False),
    "average": lambda net: torch.optim.swa_utils.AveragedModel(net).module,
}


@pytest.mark.parametrize("make", COPIES.values(), ids=COPIES)
def test_a_copy_computes_and_trains_as_one_of_an_unwatched_model(way, make):
    found = []
    for watch in (way, None):
        net, optimizer = _training()
        if watch is None:
            _step(net, optimizer)
            twin = make(net)
        else:
            with watch(net, optimizer):
                _step(net, optimizer)
                twin = make(net)
        _step(twin, torch.optim.SGD(twin.parameters(), lr=0.1))
        found.append(twin.state_dict())
    assert list(found[0]) == list(found[1])
    assert all(torch.equal(a, b) for a, b in zip(*(d.values() for d in found), strict=True))


def _numbers(run):
    """All that was measured, but for the times it took."""
    recording = gs.open(run.path).recording
    return {
        (site.name, site.kind, quantity): recording.values(site, quantity).tobytes()
        for site in recording.sites
        for quantity in recording.quantities(site)
        if "seconds" not in quantity
    }


@pytest.mark.parametrize("make", COPIES.values(), ids=COPIES)
def test_a_copy_that_takes_part_in_the_loss_does_not_report_into_the_watch(tmp_path, make):
    runs = []
    for early in (True, False):
        net, optimizer = _training()
        twin = make(net) if early else None
        with gs.watch(net, optimizer, dir=tmp_path) as run:
            twin = twin or make(net)
            x = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
            for _ in range(3):
                optimizer.zero_grad()
                (net(x) - twin(x)).square().mean().backward()
                optimizer.step()
        runs.append(run)
    assert _numbers(runs[0]) == _numbers(runs[1])


def test_a_copied_optimizer_does_not_report_into_the_watch(tmp_path):
    net, optimizer = _training()
    with gs.watch(net, optimizer, dir=tmp_path) as run:
        _step(net, optimizer)
        for twin in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):  # noqa: S301
            twin.step()
        _step(net, optimizer)
    assert len(gs.open(run.path).recording.steps) == 2


def test_states_have_the_keys_and_bits_of_an_unwatched_model(way):
    net, optimizer = _training()
    plain = copy.deepcopy((net.state_dict(), optimizer.state_dict()))
    with way(net, optimizer):
        watched = _through_file((net.state_dict(), optimizer.state_dict()), weights_only=True)
        net.load_state_dict(watched[0])
        optimizer.load_state_dict(watched[1])
    assert list(watched[0]) == list(plain[0])
    assert all(
        torch.equal(a, b) for a, b in zip(watched[0].values(), plain[0].values(), strict=True)
    )
    assert watched[1] == plain[1]


def test_a_watched_model_in_a_file_loads_where_there_is_no_gainstage(tmp_path):
    net, optimizer = _training()
    with gs.watch(net, optimizer, dir=tmp_path):
        torch.save((net, optimizer), tmp_path / "net.pt")
    code = (
        "import sys, torch; sys.modules['gainstage'] = None; "
        f"net, opt = torch.load({str(tmp_path / 'net.pt')!r}, weights_only=False); "
        "net(torch.ones(2, 4)).sum().backward(); opt.step(); print('well')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("well\n", 0), done.stderr


def _exported(net):
    return str(torch.export.export(net, (torch.ones(2, 4),)).graph)


def _traced_by_fx(net):
    return torch.fx.symbolic_trace(net).code


def _traced(net):
    return torch.jit.trace(net, torch.ones(2, 4)).code


@pytest.mark.parametrize("export", [_exported, _traced_by_fx, _traced])
def test_an_export_of_a_watched_model_is_that_of_an_unwatched_one(way, export):
    net, optimizer = _training()
    net.eval()
    plain = export(net)
    with way(net, optimizer):
        watched = export(net)
        net.train()
        _step(net, optimizer)
    assert watched == plain


def test_a_script_made_under_the_global_taps_is_that_of_an_unwatched_model(watching_everything):
    net, _ = _training()
    plain = torch.jit.script(net).code
    with watching_everything():
        scripted = torch.jit.script(net)
        scripted(torch.randn(6, 4)).sum().backward()
    assert scripted.code == plain


def test_transforms_of_a_watched_model_are_those_of_an_unwatched_one(way):
    net, optimizer = _training()
    net.eval()
    x = torch.randn(3, 4)

    def all_of_them():
        sensitivity = torch.func.vmap(torch.func.jacrev(lambda row: net(row[None])[0]))(x)
        forward = torch.func.jvp(net, (x,), (x,))[1]
        hessian = torch.autograd.functional.hessian(lambda x: net(x).sum(), x)
        return sensitivity, forward, hessian

    plain = all_of_them()
    with way(net, optimizer):
        watched = all_of_them()
    assert all(torch.equal(a, b) for a, b in zip(plain, watched, strict=True))
