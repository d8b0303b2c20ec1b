"""What makes a frame: accumulation, two optimisers, closures, hand-written steps, failures."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

import gainstage as gs
from gainstage.probe.guard import StopTraining
from gainstage.probe.steppers import PATIENCE


def _sgd(net, lr=0.1):
    return torch.optim.SGD(net.parameters(), lr=lr)


def test_one_frame_for_each_iteration(watching, mlp, step):
    optimizer = _sgd(mlp)
    with watching(mlp, optimizer) as seen:
        losses = [step(mlp, optimizer) for _ in range(5)]
    assert seen.sink.steps == [0, 1, 2, 3, 4]
    assert seen.run("loss") == pytest.approx(losses)


@pytest.mark.parametrize("parts", [2, PATIENCE, 4 * PATIENCE])
def test_accumulated_micro_batches_are_one_frame(watching, mlp, parts):
    optimizer = _sgd(mlp)
    with watching(mlp, optimizer) as seen:
        for _ in range(3):
            total = 0.0
            optimizer.zero_grad()
            for _ in range(parts):
                loss = mlp(torch.randn(2, 4)).square().mean() / parts
                total += float(loss.detach())
                loss.backward()
            optimizer.step()
    first = 0 if parts <= PATIENCE else seen.frames - 3  # until the first step nobody can know
    assert seen.frames - first == 3
    assert seen.run("loss")[-1] == pytest.approx(total, rel=1e-5)
    assert seen.values("0", "output", "count")[-1] == parts * 2 * 8


def test_no_optimizer_step_for_long_is_told_and_each_backward_counts(watching, mlp):
    with watching(mlp, _sgd(mlp)) as seen:
        for _ in range(PATIENCE + 5):
            mlp.zero_grad()
            mlp(torch.randn(2, 4)).square().mean().backward()
    (event,) = seen.events("no-optimizer-step")
    assert event.data == {"backwards": PATIENCE + 2}
    assert seen.frames == 5


def test_many_micro_batches_before_the_first_step_are_one_frame(watching, mlp):
    optimizer = _sgd(mlp)
    with watching(mlp, optimizer) as seen:
        for _ in range(3):
            for _ in range(3 * PATIENCE):
                mlp(torch.randn(2, 4)).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
    assert seen.frames == 3
    assert seen.events("no-optimizer-step") == []


def test_a_step_that_is_skipped_merges_with_the_next(watching, mlp):
    optimizer = _sgd(mlp)
    with watching(mlp, optimizer) as seen:
        for skip in (False, True, False):
            mlp(torch.ones(2, 4)).square().mean().backward()
            if not skip:
                optimizer.step()
    assert seen.frames == 2


def test_two_optimizers_after_one_backward_are_one_frame(watching, mlp):
    first, second = (torch.optim.SGD(mlp[i].parameters(), lr=0.1) for i in (0, 2))
    with watching(mlp, first, second) as seen:
        for _ in range(3):
            mlp(torch.randn(2, 4)).square().mean().backward()
            first.step()
            second.step()
    assert seen.frames == 3
    assert not any(map(math.isnan, seen.values("0.weight", "update")))
    assert not any(map(math.isnan, seen.values("2.weight", "update")))


def test_the_two_players_of_a_gan_have_a_frame_each(watching_everything):
    torch.manual_seed(0)
    maker, judge = nn.Sequential(nn.Linear(2, 2)), nn.Sequential(nn.Linear(2, 1))
    make, judging = _sgd(maker), _sgd(judge)
    losses = []
    with watching_everything() as seen:
        for _ in range(3):
            fake = maker(torch.randn(4, 2))
            loss = judge(fake.detach()).square().mean() + judge(torch.randn(4, 2)).mean()
            judging.zero_grad()
            loss.backward()
            judging.step()
            losses.append(float(loss.detach()))
            loss = -judge(fake).mean()
            make.zero_grad()
            loss.backward()
            make.step()
            losses.append(float(loss.detach()))
    assert seen.frames == 6
    assert seen.run("loss") == pytest.approx(losses)
    assert seen.names("update") == [
        "judge.0.weight",
        "judge.0.bias",
        "maker.0.weight",
        "maker.0.bias",
    ]
    measured = [not math.isnan(v) for v in seen.values("judge.0.weight", "update")]
    assert measured == [True, False] * 3


@pytest.mark.parametrize("steps", [1, 4])
def test_a_closure_evaluated_many_times_is_one_frame_a_step(watching, mlp, steps):
    optimizer = torch.optim.LBFGS(mlp.parameters(), lr=0.1, max_iter=4)
    x = torch.randn(6, 4)
    first = []

    with watching(mlp, optimizer) as seen:
        for _ in range(steps):
            losses = []

            def closure(losses=losses):
                optimizer.zero_grad()
                loss = mlp(x).square().mean()
                losses.append(float(loss.detach()))
                loss.backward()
                return loss

            before = mlp[0].weight.detach().clone()
            optimizer.step(closure)
            first.append(losses[0])
    assert seen.frames == steps
    assert seen.run("loss") == pytest.approx(first)
    change = (mlp[0].weight - before).detach().square().mean().sqrt()
    assert seen.values("0.weight", "update")[-1] == pytest.approx(float(change), rel=1e-5)
    assert seen.values("0.weight", "weight")[-1] == pytest.approx(
        float(before.square().mean().sqrt()), rel=1e-6
    )


def test_a_closure_after_a_backward_is_still_one_frame(watching, mlp):
    optimizer = _sgd(mlp)

    def closure():
        loss = mlp(torch.ones(2, 4)).square().mean()
        loss.backward()
        return loss

    with watching(mlp, optimizer) as seen:
        for _ in range(3):
            optimizer.zero_grad()
            closure()
            optimizer.step(closure)
    assert seen.frames == 3


class Twice(torch.optim.SGD):
    """An optimiser whose step calls its parent's: the hooks fire twice."""

    def step(self, closure=None):
        return super().step(closure)


def test_a_nested_step_counts_once(watching_everything, step):
    net = nn.Sequential(nn.Linear(4, 2))
    optimizer = Twice(net.parameters(), lr=0.1)
    with watching_everything() as seen:
        for _ in range(3):
            before = net[0].weight.detach().clone()
            step(net, optimizer)
    assert seen.frames == 3
    change = (net[0].weight - before).detach().square().mean().sqrt()
    assert seen.values("0.weight", "update")[-1] == pytest.approx(float(change), rel=1e-5)


def test_optimizers_that_step_inside_the_backward_are_one_frame(watching_everything):
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    optimizers = {p: torch.optim.SGD([p], lr=0.1) for p in net.parameters()}

    def step(parameter):
        optimizers[parameter].step()
        optimizers[parameter].zero_grad()

    for parameter in net.parameters():
        parameter.register_post_accumulate_grad_hook(step)
    with watching_everything() as seen:
        for _ in range(3):
            before = net[0].weight.detach().clone()
            net(torch.randn(3, 4)).square().mean().backward()
    assert seen.frames == 3
    change = (net[0].weight - before).detach().square().mean().sqrt()
    assert seen.values("0.weight", "update")[-1] == pytest.approx(float(change), rel=1e-5)
    assert len(seen.names("update")) == 4


@pytest.mark.parametrize("every", [2, 3])
def test_every_nth_step_is_measured_whole_and_the_loss_at_each(watching, mlp, step, every):
    optimizer = _sgd(mlp)
    with watching(mlp, optimizer, every=every, functional=True) as seen:
        losses = [step(mlp, optimizer) for _ in range(7)]
    assert seen.run("loss") == pytest.approx(losses)
    measured = [i % every == 0 for i in range(7)]
    for name, kind in (("0", "output"), ("2", "output_grad"), ("0.weight", "update")):
        found = [not math.isnan(v) for v in seen.values(name, kind)]
        assert found == measured, (name, kind)
    assert seen.values("0", "output", "count")[::every] == [128.0] * len(measured[::every])


def test_every_nth_step_of_a_loop_by_hand_is_measured_whole(watching_everything):
    net = nn.Linear(4, 2)
    with watching_everything(every=2) as seen:
        for _ in range(6):
            net(torch.randn(3, 4)).square().mean().backward()
            for p in net.parameters():
                p.data -= 0.1 * p.grad
                p.grad = None
    assert seen.frames == 6
    assert [not math.isnan(v) for v in seen.values("Linear", "output")] == [True, False] * 3


def test_two_losses_over_one_forward_add_up(watching, mlp):
    optimizer = _sgd(mlp)
    with watching(mlp, optimizer) as seen:
        y = mlp(torch.ones(2, 4))
        a, b = y.square().mean(), y.abs().mean()
        a.backward(retain_graph=True)
        b.backward()
        optimizer.step()
    assert seen.frames == 1
    assert seen.run("loss") == pytest.approx([float((a + b).detach())])


def test_a_backward_with_weights_has_the_weighted_sum_as_its_loss(watching):
    net = nn.Linear(2, 2, bias=False)
    with watching(net, _sgd(net)) as seen:
        y = net(torch.ones(1, 2))
        y.backward(torch.tensor([[2.0, -1.0]]))
    assert seen.run("loss") == pytest.approx([float((2 * y[0, 0] - y[0, 1]).detach())])


# ---- failures of the user's own code


def test_the_next_forward_is_measured_after_one_that_raised(watching):
    class Moody(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.ones(4))
            self.fail = False

        def forward(self, x):
            if self.fail:
                msg = "mood"
                raise ValueError(msg)
            return x * self.w

    net = nn.Sequential(nn.Linear(4, 4), Moody(), nn.Linear(4, 2))
    optimizer = _sgd(net)
    with watching(net, optimizer) as seen:
        for i in range(4):
            optimizer.zero_grad()
            net[1].fail = i == 1
            try:
                loss = net(torch.randn(3, 4)).square().mean()
            except ValueError:
                continue
            loss.backward()
            optimizer.step()
    assert seen.frames == 3
    for name in ("0", "1", "2"):
        assert seen.values(name, "output", "count") == seen.values(name, "output_grad", "count")
        assert not any(map(math.isnan, seen.values(name, "output")))


def test_another_model_is_measured_after_a_forward_that_raised(watching_everything):
    class Broken(nn.Linear):
        def forward(self, x):
            raise ValueError(x)

    broken, net = Broken(4, 4), nn.Sequential(nn.Linear(4, 4))
    optimizer = _sgd(net)
    with watching_everything() as seen:
        for _ in range(3):
            with pytest.raises(ValueError, match="tensor"):
                broken(torch.ones(1, 4))
            net(torch.ones(1, 4)).sum().backward()
            optimizer.step()
    (name,) = seen.names("output")
    found = [not math.isnan(v) for v in seen.values(name, "output")]
    assert found == [True] * len(found)
    assert len(found) == 3


def test_frames_go_on_after_a_closure_that_raised(watching, mlp, step):
    optimizer = _sgd(mlp)

    def closure():
        msg = "no data"
        raise ValueError(msg)

    with watching(mlp, optimizer) as seen:
        for i in range(4):
            if i == 1:
                with pytest.raises(ValueError, match="no data"):
                    optimizer.step(closure)
            step(mlp, optimizer)
    assert seen.frames == 4


def test_frames_go_on_after_a_backward_that_raised(watching, mlp, step):
    optimizer = _sgd(mlp)
    with watching(mlp, optimizer) as seen:
        step(mlp, optimizer)
        loss = mlp(torch.ones(1, 4)).sum()
        loss.backward()
        with pytest.raises(RuntimeError, match="second time"):
            loss.backward()
        step(mlp, optimizer)
        step(mlp, optimizer)
    assert seen.frames == 3


def test_a_script_that_swallows_the_stop_is_asked_again_at_each_step(watching, mlp, step):
    optimizer = _sgd(mlp)
    asked = []

    def ask(step):
        asked.append(step)
        raise StopTraining

    with watching(mlp, optimizer) as seen:
        seen.probe.on_frame = ask
        step(mlp, optimizer)
        for _ in range(3):
            with pytest.raises(StopTraining):
                step(mlp, optimizer)
            mlp(torch.ones(1, 4)).sum().backward()
            optimizer.step()
        seen.probe.on_frame = lambda _: None
    assert asked == [1, 2, 3]


def test_a_run_that_fails_in_its_forward_keeps_that_forward(watching_everything):
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(3, 2))
    with watching_everything() as seen:
        with pytest.raises(RuntimeError, match="shapes"):
            net(torch.ones(2, 4))
        seen.probe.finish(failed=True)
    assert seen.names("output") == ["0"]
    assert seen.frames == 1


def test_a_backward_without_a_step_at_the_end_is_still_written(watching, mlp, step):
    optimizer = _sgd(mlp)
    with watching(mlp, optimizer) as seen:
        step(mlp, optimizer)
        mlp(torch.ones(1, 4)).sum().backward()
    assert seen.frames == 2


def test_nothing_watched_writes_nothing(watching, mlp):
    with watching(mlp, _sgd(mlp)) as seen:
        pass
    assert seen.frames == 0


def test_the_optimizers_are_a_fact(watching, mlp):
    with watching(mlp, torch.optim.AdamW(mlp.parameters())) as seen:
        pass
    assert seen.probe.facts["optimizers"] == ["AdamW"]


@pytest.mark.parametrize("detail", ["sampled", "exact"])
def test_gradients_that_a_closure_makes_and_clips_are_those_of_a_plain_loop(tmp_path, detail):
    """Lightning steps so: zero, forward, backward and clipping inside ``step(closure)``."""

    def train(name, *, closed):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(40, 80), nn.ReLU(), nn.Linear(80, 3)).double()
        net[0].float()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)

        def closure():
            optimizer.zero_grad()
            loss = net[2](net[1](net[0](torch.randn(16, 40))).double()).square().mean()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 0.05)
            return loss

        with gs.watch(net, optimizer, dir=tmp_path / name, detail=detail) as run:
            for _ in range(8):
                if closed:
                    optimizer.step(closure)
                else:
                    closure()
                    optimizer.step()
        return gs.open(run.path).frame().drop(columns=["seconds", "probe_seconds"], level=2)

    plain, closed = train("plain", closed=False), train("closed", closed=True)
    assert sorted(plain.columns) == sorted(closed.columns)
    for column in plain.columns:
        if column[2] == "kept_grad":  # the first step has nobody to follow yet, either way
            assert closed[column].iloc[1:].max() < 0.5
        np.testing.assert_allclose(
            plain[column].to_numpy(), closed[column].to_numpy(), rtol=1e-5, err_msg=str(column)
        )


def test_of_two_optimizers_the_first_rate_the_largest_decay_and_the_harder_clipping_count(
    watching, mlp
):
    first = torch.optim.SGD(mlp[0].parameters(), lr=0.5, weight_decay=0.25)
    second = torch.optim.SGD(mlp[2].parameters(), lr=0.125)
    with watching(mlp, first, second) as seen:
        for i in range(3):
            first.zero_grad()
            mlp(torch.randn(2, 4)).square().mean().backward()
            for p in mlp[0].parameters():
                p.grad *= 0.5
            (first if i < 2 else second).step()
            (second if i < 2 else first).step()
    assert seen.run("lr") == [0.5, 0.5, 0.125]
    assert seen.run("weight_decay") == [0.25] * 3
    assert seen.run("kept_grad")[1:] == pytest.approx([0.5] * 2)
    assert seen.run("stale_grad")[1:] == [1.0] * 2  # the second one's are never cleared
