"""Maps of a model's loss: every point against the model itself, moved there by hand."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import gainstage as gs
from gainstage.errors import RunFileError, UsageError
from gainstage.landscape import (
    LossMap,
    between,
    figure_losses,
    line,
    loss_map,
    plane,
    random_directions,
)
from gainstage.landscape import evaluator as evaluation


class Detached(nn.Module):
    """Its second layer sees data of the first without a graph."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(6, 5), nn.Linear(5, 3)

    def forward(self, x):
        return self.two(self.one(x).detach())


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(7, 4), nn.Linear(4, 7, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, x):
        return self.head(torch.tanh(self.embedding(x))).mean(1)


class Choosing(nn.Module):
    """What vmap cannot follow."""

    def __init__(self):
        super().__init__()
        self.one = nn.Linear(6, 3)

    def forward(self, x):
        y = self.one(x)
        return y if y.sum().item() > 0 else 2 * y


def dense(*between):
    return nn.Sequential(nn.Linear(6, 5), *between, nn.Linear(5, 3))


def shared(one):
    return nn.Sequential(nn.Linear(6, 6), nn.Tanh(), one, nn.Tanh(), one)


MODELS = {
    "dense": lambda: dense(nn.Tanh()),
    "in place": lambda: dense(nn.ReLU(inplace=True)),
    "dropout": lambda: dense(nn.Dropout(0.5)),
    "no first layer": lambda: nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 3)),
    "detached": Detached,
    "shared": lambda: shared(nn.Linear(6, 6)),
    "choosing": Choosing,
    "convolution": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(4, 3)
    ),
    "frozen": lambda: dense(nn.Tanh()).requires_grad_(requires_grad=False),
}


def seeded(make):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make()


def batch(n=8):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 6, generator=generator), torch.randint(3, (n,), generator=generator)


def by_hand(model, loss, data, directions, x, y, prepare=nn.Module.eval):
    """The loss at one point, of a model whose weights were moved there."""
    moved = copy.deepcopy(model)
    with torch.no_grad():
        for name, p in moved.named_parameters():
            for coordinate, direction in zip((x, y), directions, strict=True):
                if name in direction:
                    p.add_(coordinate * direction[name])
        prepare(moved)
        return loss(moved(data[0]), data[1])


def check(found, model, loss, data, directions, **kwargs):
    for row, y in enumerate(found.y.tolist()):
        for column, x in enumerate(found.x.tolist()):
            expected = by_hand(model, loss, data, directions, x, y, **kwargs)
            torch.testing.assert_close(found.values[0, row, column], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("stacked", [True, False])
@pytest.mark.parametrize("kind", MODELS)
def test_every_point_is_the_models_own_loss(kind, stacked, monkeypatch):
    monkeypatch.setattr(evaluation, "SMALL", 2**30 if stacked else 0)
    model, data = seeded(MODELS[kind]), batch()
    directions = random_directions(model, normalize="none")
    found = plane(model, data, F.cross_entropy, directions, size=3)
    assert found.complete
    check(found, model, F.cross_entropy, data, directions)


def test_tied_weights_move_wherever_they_are_used():
    model = seeded(Tied)
    data = torch.arange(6).view(2, 3), torch.tensor([1, 2])
    directions = random_directions(model)
    found = plane(model, data, F.cross_entropy, directions, size=3)
    check(found, model, F.cross_entropy, data, directions)


class ReadOut(nn.Module):
    """A table that is also multiplied by, without being registered twice."""

    def __init__(self, transposed):
        super().__init__()
        self.embedding, self.transposed = nn.Embedding(7, 4), transposed

    def forward(self, x):
        h = torch.tanh(self.embedding(x)).mean(1)
        weight = self.embedding.weight
        return h @ weight.T if self.transposed else F.linear(h, weight)


@pytest.mark.parametrize("transposed", [True, False])
@pytest.mark.parametrize("stacked", [True, False])
def test_a_table_that_is_read_out_by_hand_moves_there_too(stacked, transposed, monkeypatch):
    monkeypatch.setattr(evaluation, "SMALL", 2**30 if stacked else 0)
    model = seeded(lambda: ReadOut(transposed))
    data = torch.arange(6).view(2, 3), torch.tensor([1, 2])
    directions = random_directions(model)
    found = plane(model, data, F.cross_entropy, directions, size=3)
    check(found, model, F.cross_entropy, data, directions)


@pytest.mark.parametrize("memory", [1, 3000, 2**30])
def test_memory_changes_nothing_but_the_number_of_points_at_once(memory):
    model, data = seeded(MODELS["dense"]), batch()
    whole = plane(model, data, F.cross_entropy, size=5)
    found = plane(model, data, F.cross_entropy, size=5, memory=memory)
    torch.testing.assert_close(found.values, whole.values)


def normed():
    return seeded(lambda: dense(nn.BatchNorm1d(5), nn.ReLU()))


def running(model):
    model.eval()


def with_batch_statistics(model):
    model.train()


def test_batch_norm_uses_the_statistics_that_the_map_says():
    model, data = normed(), batch(32)
    for _ in range(3):
        model(batch(64)[0])
    directions = random_directions(model)
    ways = {
        "batch": (with_batch_statistics, "statistics of the batch"),
        "running": (running, "running statistics of the origin"),
    }
    for way, (prepare, note) in ways.items():
        found = plane(model, data, F.cross_entropy, directions, size=3, batch_norm=way)
        check(found, model, F.cross_entropy, data, directions, prepare=prepare)
        assert note in found.note

    def recalibrate(moved):
        for norm in (m for m in moved if isinstance(m, nn.BatchNorm1d)):
            norm.reset_running_stats()
            norm.momentum = None
        moved.train()
        moved(data[0])
        moved.eval()

    found = plane(model, data, F.cross_entropy, directions, size=3, batch_norm="recalibrated")
    check(found, model, F.cross_entropy, data, directions, prepare=recalibrate)
    assert "measured anew" in found.note
    assert not plane(MODELS["dense"](), data, F.cross_entropy, size=2).note


def test_the_model_is_left_as_it_was():
    model, data = normed(), batch()
    model.train()
    before = copy.deepcopy(model.state_dict())
    plane(model, data, F.cross_entropy, size=3, batch_norm="recalibrated")
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


def test_several_losses_share_the_outputs():
    model, data = seeded(MODELS["dense"]), (batch()[0], torch.zeros(8, 3))
    losses = {"mse": F.mse_loss, "l1": F.l1_loss}
    found = plane(model, data, losses, size=3)
    assert found.names == ("mse", "l1")
    for index, loss in enumerate(losses.values()):
        alone = plane(model, data, loss, size=3)
        torch.testing.assert_close(found.values[index], alone.values[0])


def test_a_map_over_two_weights_is_the_loss_with_these_weights():
    model, data = seeded(MODELS["dense"]), batch()
    found = loss_map(
        model, data, F.cross_entropy, ("0.bias[3]", (-1, 1)), ("2.weight[2, 1]", (-2, 3)), size=3
    )
    assert found.axes == ("0.bias[3]", "2.weight[2, 1]")
    for row, y in enumerate((-2, 0.5, 3)):
        for column, x in enumerate((-1, 0, 1)):
            moved = copy.deepcopy(model)
            moved[0].bias.data[3], moved[2].weight.data[2, 1] = x, y
            expected = F.cross_entropy(moved(data[0]), data[1]).detach()
            torch.testing.assert_close(found.values[0, row, column], expected)


def test_a_line_leads_from_one_checkpoint_to_the_other():
    start, end, data = seeded(MODELS["dense"]), MODELS["dense"](), batch()
    direction = between(start.state_dict(), end.state_dict())
    found = line(start, data, F.cross_entropy, direction, x=(0, 1), size=5)
    assert found.values.shape == (1, 1, 5)
    for index, model in ((0, start), (-1, end)):
        expected = F.cross_entropy(model(data[0]), data[1]).detach()
        torch.testing.assert_close(found.values[0, 0, index], expected)


def test_whole_state_dicts_lead_from_one_model_with_batch_norm_to_the_other():
    start, end, data = normed(), normed(), batch(32)
    for model, size in ((start, 1.0), (end, 3.0)):
        for _ in range(3):
            model(size * batch(64)[0])
    states = start.state_dict(), end.state_dict()
    found = line(
        end, data, F.cross_entropy, between(*states), origin=states[0], size=3, x=(0, 1),
        batch_norm="running",
    )  # fmt: skip
    expected = F.cross_entropy(start.eval()(data[0]), data[1]).detach()
    torch.testing.assert_close(found.values[0, 0, 0], expected)


def test_losses_that_are_not_finite_stay_on_the_map():
    model, data = nn.Linear(1, 1), (torch.ones(2, 1), torch.zeros(2, 1))
    found = loss_map(
        model, data, lambda o, _: o.log().mean(), ("bias", (-1, 1)), ("weight", (0, 0)), size=3
    )
    assert found.values[0, 0].isfinite().tolist() == [False, False, True]
    assert found.complete


def interrupted(model, data, after):
    calls = []

    def loss(output, target):
        calls.append(1)
        if len(calls) > after:
            raise KeyboardInterrupt
        return F.cross_entropy(output, target)

    return plane(model, data, loss, size=4)


def test_an_interrupted_map_keeps_its_rows_and_can_be_resumed(monkeypatch, tmp_path):
    monkeypatch.setattr(evaluation, "SMALL", 0)
    model, data = seeded(MODELS["dense"]), batch()
    part = interrupted(model, data, after=9)
    assert (part.complete, part.rows) == (False, 2)
    assert part.values[0, :2].isfinite().all()
    assert part.values[0, 2:].isnan().all()
    part.save(tmp_path / "part.npz")
    whole = plane(model, data, F.cross_entropy, size=4, resume=LossMap.load(tmp_path / "part.npz"))
    assert whole.complete
    torch.testing.assert_close(whole.values, plane(model, data, F.cross_entropy, size=4).values)


def test_a_kept_map_is_the_same_again(tmp_path):
    model, data = normed(), batch()
    directions, points = random_directions(model), [dict(model.named_parameters())] * 3
    found = plane(model, data, F.cross_entropy, directions, size=3, trajectory=points)
    found.save(tmp_path / "map.npz")
    again = LossMap.load(tmp_path / "map.npz")
    torch.testing.assert_close(again.path, torch.zeros(3, 2), atol=1e-5, rtol=0)
    torch.testing.assert_close(again.values, found.values)
    assert (again.names, again.axes, again.note) == (found.names, found.axes, found.note)


def test_a_map_can_be_kept_in_the_file_of_its_run(tmp_path):
    model, data = seeded(MODELS["dense"]), batch()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gs.watch(model, optimizer, dir=tmp_path) as run:
        optimizer.zero_grad()
        F.cross_entropy(model(data[0]), data[1]).backward()
        optimizer.step()
    found = plane(model, data, F.cross_entropy, size=3)
    found.save(run.path)
    found.save(run.path, "again")
    again = LossMap.load(gs.open(run.path).path, "again")
    assert torch.equal(again.values, found.values)
    assert len(gs.open(run.path).recording.steps) == 1
    with pytest.raises(RunFileError, match=r"no map 'line'\. There are: 'again', 'plane'"):
        LossMap.load(run.path, "line")


@pytest.mark.parametrize("name", ["map.png", "map"])
def test_a_map_is_kept_as_nothing_else(name, tmp_path):
    found = plane(seeded(MODELS["dense"]), batch(), F.cross_entropy, size=2)
    with pytest.raises(UsageError, match=r"in a run \(\.gs\) or as an archive \(\.npz\)"):
        found.save(tmp_path / name)
    with pytest.raises(UsageError, match="and not in"):
        LossMap.load(tmp_path / name)


def refused(**changes):
    model = seeded(MODELS["dense"])
    arguments = {"model": model, "batch": batch(), "loss_fn": F.cross_entropy, "size": 2, **changes}
    return lambda: plane(**arguments)


DENSE = {name: p.detach() for name, p in seeded(MODELS["dense"]).named_parameters()}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (refused(directions=[DENSE]), "needs two directions; here are 1"),
        (refused(directions=[DENSE, {"9.weight": torch.ones(1)}]), "'9.weight' as .1., and the"),
        (
            refused(origin={"0.weight": torch.ones(2, 2)}),
            r"origin is of another model: it has '",
        ),
        (refused(batch=torch.ones(8, 6)), r"The batch is \(inputs, targets\), and not a Tensor\."),
        (refused(batch=(1, 2, 3)), "and not a tuple of 3"),
        (refused(model=nn.ReLU()), "ReLU has no weights, so its loss has no map"),
        (refused(model=nn.Linear(6, 3).to("meta")), "Linear has weights on the device meta"),
        (refused(size=0), "at least one point along an axis; its size is 0"),
        (refused(batch_norm="none"), "'batch' or 'recalibrated' or 'running', and not 'none'"),
        (
            refused(resume=plane(nn.Linear(6, 3), batch(), F.cross_entropy, size=3)),
            "ask for the same x, y and size",
        ),
        (
            lambda: loss_map(
                nn.Linear(2, 1), batch(), F.mse_loss, ("wieght", (0, 1)), ("bias", (0, 1))
            ),
            "no weight 'wieght'. There are: weight, bias",
        ),
        (
            lambda: loss_map(
                nn.Linear(2, 1), batch(), F.mse_loss, ("weight", (0, 1)), ("bias", (0, 1))
            ),
            r"is \[1, 2\]: write 'weight\[0, 0\]'",
        ),
        (
            lambda: loss_map(
                nn.Linear(2, 1), batch(), F.mse_loss, ("weight[0, 2]", (0, 1)), ("bias", (0, 1))
            ),
            "is no element of 'weight'",
        ),
        (
            lambda: loss_map(
                nn.Linear(2, 1),
                batch(),
                F.mse_loss,
                ("weight[0, 1]", (0, 1)),
                ("weight[0, -1]", (0, 1)),
            ),
            r"both axes are 'weight\[0, 1\]'",
        ),
    ],
)
def test_maps_that_cannot_be_made_are_refused(call, message):
    with pytest.raises(UsageError, match=message):
        call()


def test_an_error_of_the_model_itself_is_not_hidden():
    data = torch.ones(3, 5), torch.zeros(3, dtype=torch.long)
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes"):
        plane(MODELS["dense"](), data, F.cross_entropy, size=2)


@pytest.mark.parametrize("stacked", [True, False])
@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-9), (torch.bfloat16, 0.05)])
def test_a_map_is_as_exact_as_its_model(dtype, close, stacked, monkeypatch):
    monkeypatch.setattr(evaluation, "SMALL", 2**30 if stacked else 0)
    model, data = seeded(MODELS["dense"]).to(dtype), (batch()[0].to(dtype), batch()[1])
    directions = random_directions(model)
    found = plane(model, data, F.cross_entropy, directions, size=3)
    for row, y in enumerate(found.y.tolist()):
        for column, x in enumerate(found.x.tolist()):
            expected = by_hand(model, F.cross_entropy, data, directions, x, y).item()
            assert found.values[0, row, column].item() == pytest.approx(expected, rel=close)


def test_the_way_of_narrow_weights_can_be_drawn_and_kept(tmp_path):
    model = seeded(MODELS["dense"]).to(torch.bfloat16)
    data = batch()[0].to(torch.bfloat16), batch()[1]
    points = [dict(model.named_parameters())] * 2
    found = plane(model, data, F.cross_entropy, size=3, trajectory=points)
    figure_losses(found)
    found.save(tmp_path / "map.npz")
    assert torch.equal(LossMap.load(tmp_path / "map.npz").path, torch.zeros(2, 2))


def test_a_map_tells_its_size_and_range_and_wants_its_arguments_in_order():
    model, batch = nn.Linear(1, 1), (torch.ones(4, 1), torch.zeros(4, 1))
    found = plane(model, batch, nn.functional.mse_loss, size=3)
    assert repr(found).startswith("<LossMap 3 x 3 of mse_loss: ")
    with pytest.raises(UsageError, match="in this order, but loss_fn is a tuple"):
        plane(model, nn.functional.mse_loss, batch)
