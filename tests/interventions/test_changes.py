"""Each intervention: what it changes in a training, and that nothing is left of it."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import optimizer as global_optimizer
from torch.utils.data import DataLoader, IterableDataset

from gainstage.errors import UnknownNameError
from gainstage.interventions import INTERVENTIONS, Change, applied

PARAMS = {
    "scale-learning-rate": {"factor": 0.1},
    "set-learning-rate": {"rate": 0.5},
    "ramp-learning-rate": {"low": 1e-3, "high": 1.0, "steps": 4},
    "initialise": {"scheme": "kaiming_normal"},
    "clip-gradients": {"norm": 1.0},
    "scale-output-layer": {"factor": 0.1},
    "keep-graph": {"recording": True},
}
TOUCHED = (
    (torch.optim.Optimizer, "__init__"),
    (torch.autograd, "backward"),
    (torch.autograd, "grad"),
    (torch.nn.utils, "clip_grad_norm_"),
    (torch.nn.utils, "clip_grad_value_"),
    (F, "cross_entropy"),
    (F, "nll_loss"),
    (F, "mse_loss"),
    (F, "binary_cross_entropy_with_logits"),
    (F, "relu"),
    (torch, "relu"),
    (torch.Tensor, "relu"),
    (torch.Tensor, "detach"),
    (torch, "detach"),
    (torch, "log"),
    (torch.Tensor, "sqrt"),
    (torch.autocast, "__init__"),
    (torch.Tensor, "__pow__"),
    (torch.Tensor, "__getitem__"),
    (torch.Tensor, "split"),
    (torch.Tensor, "data"),
    (torch.no_grad, "__enter__"),
    (torch.Tensor, "__sub__"),
    (torch.Tensor, "__truediv__"),
    (DataLoader, "__init__"),
)


def change(name, **params):
    return applied([Change(name, params)])


def linear(weight=1.0, inputs=1, outputs=1):
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.constant_(layer.weight, weight)
    return layer


def step(layer, optimizer, x=1.0):
    """One step on the sum of the outputs: the gradient of a weight is its input."""
    layer(torch.full((1, layer.in_features), x)).sum().backward()
    optimizer.step()
    return layer.weight.item()


@pytest.mark.parametrize("name", list(INTERVENTIONS))
def test_nothing_is_left_of_an_intervention(name):
    before = [getattr(owner, key) for owner, key in TOUCHED]
    with change(name, **PARAMS.get(name, {})):
        model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        F.cross_entropy(model(torch.randn(5, 3)), torch.tensor([0, 1, 0, 1, 1])).backward()
        optimizer.step()
    assert [getattr(owner, key) for owner, key in TOUCHED] == before
    assert not nn.modules.module._global_forward_pre_hooks
    assert not nn.modules.module._global_forward_hooks
    assert not global_optimizer._global_optimizer_pre_hooks
    assert not global_optimizer._global_optimizer_post_hooks


@pytest.mark.parametrize("name", list(INTERVENTIONS))
def test_an_intervention_says_what_it_does(name):
    assert INTERVENTIONS[name].__doc__


def test_an_unknown_intervention_is_refused_with_the_nearest_name():
    with pytest.raises(UnknownNameError, match="clip-gradients"), change("clip-gradient"):
        pass


def test_the_rate_is_scaled_as_long_as_a_step_runs():
    with change("scale-learning-rate", factor=0.1):
        layer = linear()
        optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
        assert step(layer, optimizer) == pytest.approx(0.9)
        assert optimizer.param_groups[0]["lr"] == 1.0


def test_a_scheduler_keeps_its_course_under_a_scaled_rate():
    with change("scale-learning-rate", factor=0.1):
        layer = linear(0.0)
        optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
        step(layer, optimizer)
        scheduler.step()
        optimizer.zero_grad()
        assert step(layer, optimizer) == pytest.approx(-0.15)
    assert optimizer.param_groups[0]["lr"] == 0.5


def test_the_rate_is_set_and_schedules_and_groups_keep_their_proportion():
    layers = [linear(), linear()]
    groups = [{"params": layers[0].parameters()}, {"params": layers[1].parameters(), "lr": 0.4}]
    optimizer = torch.optim.SGD(groups, lr=0.2)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    with change("set-learning-rate", rate=1.0):
        for layer in layers:
            layer(torch.ones(1, 1)).sum().backward()
        optimizer.step()
        assert [layer.weight.item() for layer in layers] == pytest.approx([0.0, -1.0])
        assert [group["lr"] for group in optimizer.param_groups] == [0.2, 0.4]
        scheduler.step()
        optimizer.step()
    assert [layer.weight.item() for layer in layers] == pytest.approx([-0.5, -2.0])


def test_the_rate_rises_from_step_to_step_and_stays_at_the_top():
    layer = linear()
    optimizer = torch.optim.SGD(layer.parameters(), lr=7.0)
    moved, before = [], 1.0
    with change("ramp-learning-rate", low=1e-3, high=1.0, steps=4):
        for _ in range(5):
            optimizer.zero_grad()
            after = step(layer, optimizer)
            moved.append(before - after)
            before = after
            assert optimizer.param_groups[0]["lr"] == 7.0
    assert moved == pytest.approx([1e-3, 1e-2, 1e-1, 1.0, 1.0], rel=1e-4)


def test_weights_are_drawn_by_a_scheme_of_ones_own_choice():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(200, 400), nn.ReLU(), nn.Linear(400, 10))
    expected = torch.rand(1)
    torch.manual_seed(0)
    nn.Sequential(nn.Linear(200, 400), nn.ReLU(), nn.Linear(400, 10))
    with change("initialise", scheme="kaiming_normal"):
        net(torch.ones(2, 200))
        drawn = net[2].weight.detach().clone()
        net(torch.ones(2, 200))
    assert drawn.std().item() == pytest.approx((2 / 400) ** 0.5, rel=0.05)
    assert torch.equal(net[2].weight, drawn)
    assert torch.equal(torch.rand(1), expected)


def test_wiring_that_cannot_be_read_is_seen_as_it_runs():
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(200, 400), nn.Linear(400, 10)

        def forward(self, x):
            x = self.first(x)
            return self.second(torch.relu(x) if x.sum() > 0 else torch.relu(2 * x))

    net = Branching()
    with change("initialise", scheme="kaiming_normal"):
        net(torch.ones(2, 200))
    assert net.second.weight.std().item() == pytest.approx((2 / 400) ** 0.5, rel=0.05)


@pytest.mark.parametrize("how", ["backward", "grad"])
def test_updates_by_hand_are_scaled_by_their_gradients(how):
    w = torch.ones(1, requires_grad=True)
    with change("scale-learning-rate", factor=0.1):
        loss = (3 * w).sum()
        grad = torch.autograd.grad(loss, w)[0] if how == "grad" else loss.backward() or w.grad
    assert grad.item() == pytest.approx(0.3)


def test_a_gradient_that_is_differentiated_again_is_left_alone():
    w = torch.full((1,), 2.0, requires_grad=True)
    with change("scale-learning-rate", factor=0.1):
        (grad,) = torch.autograd.grad((w**2).sum(), w, create_graph=True)
    assert grad.item() == 4.0


def test_decay_is_dropped():
    with change("drop-weight-decay"):
        layer = linear()
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, weight_decay=5.0)
        assert step(layer, optimizer, x=0.0) == 1.0


def test_gradients_are_clipped_to_a_norm():
    with change("clip-gradients", norm=1.0):
        layer = linear()
        assert step(layer, torch.optim.SGD(layer.parameters(), lr=1.0), x=50.0) == pytest.approx(
            0.0, abs=1e-5
        )


def test_clipping_is_undone_but_still_tells_the_norm():
    layer = linear()
    with change("unclip"):
        layer.weight.grad = torch.full((1, 1), 8.0)
        assert torch.nn.utils.clip_grad_norm_(layer.parameters(), 0.1).item() == 8.0
        torch.nn.utils.clip_grad_value_(layer.parameters(), 0.1)
    assert layer.weight.grad.item() == 8.0


def test_gradients_are_cleared_after_a_step():
    with change("zero-gradients"):
        layer = linear()
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
        step(layer, optimizer)
        assert step(layer, optimizer) == pytest.approx(0.8)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_no_step_is_made_on_a_gradient_that_is_not_finite(bad):
    with change("skip-non-finite"):
        layer = linear()
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
        assert step(layer, optimizer, x=bad) == 1.0
        optimizer.zero_grad()
        assert step(layer, optimizer) == pytest.approx(0.9)


def test_a_model_trains_in_training_mode_and_is_evaluated_as_asked():
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    model.eval()
    with change("train-mode"):
        with torch.no_grad():
            model(torch.ones(1, 2))
        assert not model.training
        model(torch.ones(1, 2))
    assert model.training
    assert model[1].training


def test_parameters_that_nobody_steps_join_an_optimiser():
    model = nn.Sequential(linear(), linear())
    with change("add-missing-parameters"):
        optimizer = torch.optim.SGD(model[0].parameters(), lr=0.1)
        model(torch.ones(1, 1)).sum().backward()
        optimizer.step()
        assert model[1].weight.item() == pytest.approx(0.9)


def test_a_layer_that_no_module_lists_joins_too():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.rest = linear(), [linear()]

        def forward(self, x):
            return self.rest[0](self.first(x))

    model = Net()
    with change("add-missing-parameters"):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        model(torch.ones(1, 1)).sum().backward()
        optimizer.step()
    assert model.rest[0].weight.item() == pytest.approx(0.9)


def test_what_is_frozen_or_has_another_owner_joins_nothing():
    model = nn.Sequential(linear(), linear(), linear())
    model[1].requires_grad_(requires_grad=False)
    with change("add-missing-parameters"):
        first = torch.optim.SGD(model[0].parameters(), lr=0.1)
        other = torch.optim.SGD(model[2].parameters(), lr=0.1)
        model(torch.ones(1, 1)).sum().backward()
        first.step()
    assert len(first.param_groups) == len(other.param_groups) == 1
    assert model[1].weight.item() == 1.0


def test_rectifiers_of_every_kind_leak():
    x = torch.tensor([-1.0])
    with change("leaky-activation", slope=0.2):
        assert nn.ReLU()(x).item() == pytest.approx(-0.2)
        assert F.relu(x).item() == pytest.approx(-0.2)
        assert torch.relu(x).item() == pytest.approx(-0.2)
        assert x.relu().item() == pytest.approx(-0.2)


def test_hidden_sigmoids_become_rectifiers_and_the_last_one_stays():
    model = nn.Sequential(nn.Linear(1, 1), nn.Sigmoid(), nn.Linear(1, 1), nn.Sigmoid())
    for layer in (model[0], model[2]):
        nn.init.ones_(layer.weight)
        nn.init.zeros_(layer.bias)
    with change("rectify"):
        assert model(torch.tensor([[-3.0]])).item() == 0.5
        assert model(torch.tensor([[2.0]])).item() == pytest.approx(1 / (1 + math.exp(-2)))


class Functional(nn.Module):
    def __init__(self, squash):
        super().__init__()
        self.squash, self.layers = squash, nn.ModuleList([linear(), linear()])

    def forward(self, x):
        return self.squash(self.layers[1](self.squash(self.layers[0](x))))


@pytest.mark.parametrize("squash", [torch.sigmoid, F.sigmoid, torch.Tensor.sigmoid])
def test_hidden_functional_sigmoids_become_rectifiers_from_the_second_pass_on(squash):
    name = squash.__name__
    owner = F if squash is F.sigmoid else torch if squash is torch.sigmoid else torch.Tensor
    with change("rectify"):
        model = Functional(getattr(owner, name))
        x = torch.tensor([[-3.0]])
        first = model(x).item()
        assert first == pytest.approx(torch.special.expit(torch.special.expit(x)).item())
        assert model(x).item() == 0.5
    assert Functional(squash)(x).item() == pytest.approx(first)


def test_hidden_squashing_of_bare_tensors_is_told_by_its_order():
    v, w = (torch.ones(1, 1, requires_grad=True) for _ in range(2))
    x = torch.tensor([[-3.0]])
    seen = []
    with change("rectify"):
        for _ in range(2):
            out = torch.tanh(torch.tanh(x @ v) @ w)
            seen.append(out.item())
            out.sum().backward()
    assert seen == [pytest.approx(math.tanh(math.tanh(-3.0))), 0.0]


def test_the_last_layer_or_a_named_one_begins_smaller_once():
    model = nn.Sequential(linear(), linear())
    with change("scale-output-layer", factor=0.1):
        model(torch.ones(1, 1))
        assert model(torch.ones(1, 1)).item() == pytest.approx(0.1)
    with change("scale-output-layer", factor=0.5, layer="0"):
        model(torch.ones(1, 1))
    assert [layer.weight.item() for layer in model] == pytest.approx([0.5, 0.1])


@pytest.mark.parametrize(
    ("activation", "std"), [("relu", (2 / 400) ** 0.5), ("tanh", 5 / 3 / 20), ("linear", 1 / 20)]
)
def test_weights_are_drawn_again_by_the_scheme_of_the_activation(activation, std):
    model = linear(0.0, 400, 400)
    with change("reinitialise", activation=activation):
        model(torch.ones(1, 400))
        drawn = model.weight.clone()
        model(torch.ones(1, 400))
    assert model.weight.std().item() == pytest.approx(std, rel=0.02)
    assert torch.equal(model.weight, drawn)


def test_biases_begin_at_zero_and_norms_stay():
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.GRU(3, 3))
    with change("reinitialise"):
        model(torch.ones(2, 3))
    assert not model[0].bias.any()
    assert not model[2].bias_hh_l0.any()
    assert model[1].weight.tolist() == [1.0, 1.0, 1.0]
    for gate in model[2].weight_hh_l0.split(3):
        assert torch.allclose(gate @ gate.T, torch.eye(3), atol=1e-5)


def test_drawing_again_leaves_the_random_numbers_of_the_script_alone():
    model = linear()
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    with change("reinitialise"):
        model(torch.ones(1, 1))
    assert torch.equal(torch.rand(2), wanted)


def test_bare_tensors_are_drawn_when_the_first_backward_reaches_them():
    w = torch.full((300, 200), 9.0, requires_grad=True)
    with change("reinitialise", activation="linear"):
        (torch.ones(1, 300) @ w).sum().backward()
        assert not w.grad.any()
        (torch.ones(1, 300) @ w).sum().backward()
    assert w.grad.unique().tolist() == [1.0]
    assert w.std().item() == pytest.approx((2 / 500) ** 0.5, rel=0.05)


@pytest.mark.parametrize("bare", [True, False])
def test_weights_are_disturbed_once_by_a_share_of_their_size(bare):
    torch.manual_seed(0)
    w = torch.full((50, 40), 3.0, requires_grad=True)
    layer = linear(3.0, 40, 50)
    tensor = w if bare else layer.weight
    state = torch.get_rng_state()
    with change("disturb-weights", share=0.1):
        x = torch.ones(1, 40)
        (x @ w.T if bare else layer(x)).sum().backward()
        assert tensor.grad.abs().max() == 0  # of the weights as they were
        noise = (tensor - 3.0) / 0.3
        assert noise.mean().item() == pytest.approx(0.0, abs=0.1)
        assert noise.std().item() == pytest.approx(1.0, abs=0.1)
        kept = tensor.detach().clone()
        (x @ w.T if bare else layer(x)).sum().backward()
        assert torch.equal(tensor, kept)
        assert tensor.grad.abs().max() > 0
    assert torch.equal(torch.get_rng_state(), state)


def test_sixteen_bits_become_thirty_two_however_they_are_asked_for():
    with change("full-precision"):
        model = nn.Linear(2, 2).half()
        assert model.weight.dtype == torch.float32
        assert nn.Linear(2, 2).to(torch.bfloat16).weight.dtype == torch.float32
        assert nn.Linear(2, 2, dtype=torch.float16).weight.dtype == torch.float32
        for made in (
            torch.randn(2, dtype=torch.float16),
            torch.ones(2).bfloat16(),
            torch.ones(2).to(torch.float16),
            torch.ones(2).to(dtype=torch.bfloat16),
            torch.tensor([1.0]).type(torch.float16),
        ):
            assert made.dtype == torch.float32
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert model(torch.ones(1, 2)).dtype == torch.float32
    assert torch.ones(2).half().dtype == torch.float16


class Cut(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = linear(), linear()

    def forward(self, x):
        return self.second(self.first(x).detach())


def test_the_graph_is_kept_inside_a_model_and_cut_outside():
    model = Cut()
    with change("keep-graph"):
        out = model(torch.ones(1, 1))
        out.sum().backward()
        assert model.first.weight.grad.item() == 1.0
        assert not out.detach().requires_grad
        with torch.no_grad():
            assert not model(torch.ones(1, 1)).requires_grad
    model.zero_grad()
    model(torch.ones(1, 1)).sum().backward()
    assert model.first.weight.grad is None


def test_momentum_is_held_to_a_bound_as_long_as_a_step_runs():
    layer = linear(0.0)
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0, momentum=0.999)
    with change("damp-momentum", most=0.5):
        step(layer, optimizer)
        optimizer.zero_grad()
        assert step(layer, optimizer) == pytest.approx(-2.5)  # -1, then -(1 + 0.5)
    assert optimizer.param_groups[0]["momentum"] == 0.999
    adam = torch.optim.Adam(layer.parameters(), betas=(0.99, 0.9))
    seen = []
    with change("damp-momentum", most=0.5):
        adam.register_step_pre_hook(lambda one, *_: seen.append(one.param_groups[0]["betas"]))
        step(layer, adam)
    assert (seen, adam.param_groups[0]["betas"]) == ([(0.5, 0.9)], (0.99, 0.9))


def test_logarithms_and_roots_stay_finite_and_so_do_their_gradients():
    x = torch.tensor([0.0, 4.0], requires_grad=True)
    with change("guard-functions", least=1e-4):
        values = (torch.log(x), x.log2(), torch.sqrt(x), x.rsqrt(), torch.log(input=x))
        assert all(torch.isfinite(value).all() for value in values[:4])
        (values[0] + values[2]).sum().backward()
        assert x.grad.tolist() == [0.0, pytest.approx(0.5)]
        assert torch.log(torch.tensor(4.0)) == math.log(4.0)
    assert torch.log(x)[0] == -math.inf


class Block(nn.Module):
    def __init__(self, outputs=1):
        super().__init__()
        self.linear = linear(2.0, 1, outputs)

    def forward(self, x):
        return self.linear(x)


@pytest.mark.parametrize(
    ("model", "result"),
    [
        (nn.Sequential(*[Block() for _ in range(4)]), 3.0**4),
        (nn.Sequential(*[Block() for _ in range(4)], Block(2)), 2 * 3.0**4),  # of another shape
        (nn.Sequential(*[Block() for _ in range(3)]), 2.0**3),  # not deep
        (nn.Sequential(*[linear(2.0) for _ in range(5)]), 2.0**5),  # no blocks
    ],
)
def test_blocks_of_a_deep_network_are_passed_by(model, result):
    with change("skip-connections"):
        assert model(torch.ones(1, 1))[0, 0].item() == result
        assert model(torch.ones(1, 1))[0, 0].item() == result
    assert not any(module._forward_hooks for module in model.modules())


def test_what_enters_a_squashing_function_is_brought_to_unit_scale_for_good():
    layer = linear(50.0)
    with change("temper-activations", most=1.0):
        for function in (torch.tanh, nn.Tanh(), F.tanh, torch.Tensor.tanh):
            model = nn.Sequential(layer)
            value = function(model(torch.ones(1, 1)))
            assert value.item() == pytest.approx(math.tanh(1.0))
            assert function(model(torch.full((1, 1), 0.1))).item() == pytest.approx(math.tanh(0.1))
        assert torch.sigmoid(torch.tensor(9.0)).item() == pytest.approx(1 / (1 + math.exp(-9)))


def test_each_call_without_a_module_is_told_by_its_order_since_the_last_backward():
    small, large = (torch.full((2,), value, requires_grad=True) for value in (0.5, 8.0))
    with change("temper-activations", most=1.0):
        for _ in range(2):
            first, second = torch.tanh(small), torch.tanh(large)
            (first + second).sum().backward()
            assert first[0].item() == pytest.approx(math.tanh(0.5))
            assert second[0].item() == pytest.approx(math.tanh(1.0))


@pytest.mark.parametrize("name", ["reinitialise", "disturb-weights"])
def test_points_at_which_a_gradient_is_asked_for_are_no_weights(name):
    points = torch.linspace(0, 6, 7)[:, None].requires_grad_()
    weight = torch.ones(1, 1, requires_grad=True)
    with change(name):
        optimizer = torch.optim.SGD([weight], lr=0.1)
        (points @ weight).sum().backward()
    assert torch.equal(points.detach(), torch.linspace(0, 6, 7)[:, None])
    assert weight.item() != 1.0
    assert optimizer.param_groups[0]["params"] == [weight]


def test_parameters_join_a_group_that_a_scheduler_knows():
    layers = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    with change("add-missing-parameters"):
        optimizer = torch.optim.SGD(layers[0].parameters(), lr=0.1)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=10)
        for _ in range(3):
            layers(torch.ones(1, 1)).sum().backward()
            optimizer.step()
            scheduler.step()
    assert len(optimizer.param_groups) == 1
    assert len(optimizer.param_groups[0]["params"]) == 4


def rms(x):
    return x.detach().double().square().mean().sqrt().item()


def loud(*shape):
    return (torch.randn(*shape) * 9).requires_grad_()


@pytest.mark.parametrize("flipped", [False, True])
def test_each_stage_begins_at_an_rms_of_one_and_the_first_backward_ends_it(flipped):
    torch.manual_seed(0)
    first, second = loud(8, 30), loud(5, 30) if flipped else loud(30, 5)
    x, direction = torch.randn(50, 8), first.detach().clone()

    def stages():
        hidden = torch.tanh(x @ first)
        return x @ first, hidden @ (second.T if flipped else second)

    with change("calibrate"):
        for out in stages():
            assert rms(out) == pytest.approx(1.0, rel=1e-4)
        stages()[1].sum().backward()
        assert torch.nn.functional.cosine_similarity(
            first.flatten(), direction.flatten(), dim=0
        ).item() == pytest.approx(1.0, abs=1e-5)
        first.data.mul_(3.0)
        assert rms(stages()[0]) == pytest.approx(3.0, rel=1e-4)


def test_layers_of_two_models_are_scaled_and_what_an_optimiser_does_not_own_is_not():
    torch.manual_seed(0)
    models = [nn.Sequential(nn.Linear(6, 7), nn.ReLU(), nn.Linear(7, 6)) for _ in range(2)]
    point = torch.full((6, 3), 5.0, requires_grad=True)
    x = torch.randn(40, 6) * 100
    with change("calibrate"):
        optimizer = torch.optim.SGD([p for m in models for p in m.parameters()], lr=0.1)
        for model in models:
            out = model(x)
            assert rms(model[0](x)) == pytest.approx(1.0, rel=1e-3)
            assert rms(out) == pytest.approx(1.0, rel=1e-3)
        out = out @ point
        out.sum().backward()
    assert torch.equal(point, torch.full((6, 3), 5.0))
    assert not any(point is p for p in optimizer.param_groups[0]["params"])
    assert models[0][0].weight.grad is None
    assert models[1][0].weight.grad is not None


@pytest.mark.parametrize(
    ("model", "x"),
    [
        (nn.Linear(3, 3), torch.ones(2, 3)),
        (nn.LSTM(3, 5, num_layers=2, dropout=0.5), torch.ones(4, 2, 3)),
        (nn.GRUCell(3, 5), torch.ones(2, 3)),
        (nn.Conv2d(2, 3, 3), torch.ones(2, 2, 5, 5)),
        (nn.TransformerEncoderLayer(8, 2, 16, dropout=0.5), torch.randn(4, 2, 8)),
    ],
)
def test_what_is_measured_to_scale_weights_leaves_random_numbers_alone(model, x):
    def after():
        torch.manual_seed(5)
        out = model(x)
        (out[0] if isinstance(out, tuple) else out).sum().backward()
        return torch.get_rng_state()

    wanted = after()
    before = [p.detach().clone() for p in model.parameters()]
    with change("calibrate"):
        assert torch.equal(after(), wanted)
    moved = [not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)]
    assert any(moved)
    assert all(p.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("clear", ["optimizer", "none", "zero"])
def test_gradients_that_are_cleared_too_early_reach_the_step(clear):
    layer = linear()
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    with change("keep-gradients"):
        for _ in range(2):
            layer(torch.ones(1, 1)).sum().backward()
            if clear == "optimizer":
                optimizer.zero_grad()
            elif clear == "none":
                layer.weight.grad = None
            else:
                layer.weight.grad.zero_()
            optimizer.step()
    assert layer.weight.item() == pytest.approx(0.8)


def test_gradients_that_add_up_on_purpose_still_do():
    layers = [linear(), linear()]
    with change("keep-gradients"):
        for layer in layers:
            layer(torch.ones(1, 1)).sum().backward()
            layer(torch.ones(1, 1)).sum().backward()
        torch.optim.SGD(layers[0].parameters(), lr=0.1).step()
    assert [layer.weight.item() for layer in layers] == pytest.approx([0.8, 1.0])
    assert layers[1].weight.grad.item() == 2.0  # another optimiser's to step on


@pytest.mark.parametrize("given", [{}, {"shuffle": False}, {"batch_size": 4}])
def test_data_in_their_order_are_drawn_at_random(given):
    data = torch.arange(100)
    with change("shuffle-data"):
        seen = torch.cat(list(DataLoader(data, **given)))
        positional = torch.cat(list(DataLoader(data, 10, False)))  # noqa: FBT003 - torch's own
    for one in (seen, positional):
        assert not torch.equal(one, data)
        assert torch.equal(one.sort().values, data)


def test_an_order_of_ones_own_is_kept():
    class Stream(IterableDataset):
        def __iter__(self):
            yield from range(3)

    data = torch.arange(20)
    backwards = range(19, -1, -1)
    with change("shuffle-data"):
        assert [x.item() for x in DataLoader(data, sampler=backwards)] == list(backwards)
        assert [x.item() for x in DataLoader(Stream())] == [0, 1, 2]


@pytest.mark.parametrize("how", ["backward", "grad"])
def test_updates_by_hand_are_clipped_by_their_gradients(how):
    w = torch.tensor([0.0, 0.0], requires_grad=True)
    with change("clip-gradients", norm=1.0):
        loss = (w * torch.tensor([3.0, 4.0])).sum()
        if how == "grad":
            (grad,) = torch.autograd.grad(loss, [w])
        else:
            loss.backward()
            grad = w.grad
        assert grad.tolist() == pytest.approx([0.6, 0.8])
        (small,) = torch.autograd.grad((w * torch.tensor([0.3, 0.4])).sum(), [w])
        assert small.tolist() == pytest.approx([0.3, 0.4])


def test_what_is_detached_between_two_models_reaches_the_first_one():
    first, second = linear(2.0), linear(3.0)
    with change("keep-graph"):
        code = first(torch.ones(1, 1)).detach()
        assert not code.requires_grad  # as whoever logs it wants it
        second(code).sum().backward()
    assert first.weight.grad.item() == 3.0


def test_a_part_under_no_grad_learns_where_that_is_asked_for():
    first, second = linear(2.0), linear(3.0)
    with change("keep-graph", recording=True):
        with torch.no_grad():
            code = first(torch.ones(1, 1))
            assert not torch.is_grad_enabled()
            assert not first.eval()(torch.ones(1, 1)).requires_grad
        second(code).sum().backward()
    assert first.weight.grad.item() == 3.0


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x**0.5,
        lambda x: torch.pow(x, 0.25),
        lambda x: torch.acos(1 - x),
        lambda x: torch.asin(x - 1),
        lambda x: torch.atanh(1 - x),
        lambda x: torch.log1p(-1 - x),
        lambda x: x / x,
        lambda x: torch.div(1.0, x),
        lambda x: 1 / x,
        lambda x: x.reciprocal(),
    ],
)
def test_singular_points_are_kept_away_from(function):
    def gradient():
        x = torch.zeros(1, requires_grad=True)
        value = function(x)
        value.sum().backward()
        return value, x.grad

    with change("guard-functions", least=1e-4):
        assert all(torch.isfinite(one).all() for one in gradient())
    assert not all(torch.isfinite(one).all() for one in gradient())


def test_what_is_far_from_singular_is_left_as_it_is():
    x = torch.tensor([0.3, 0.7])
    wanted = (x**0.5, x**2, x / x, 1 / -x, torch.acos(x), torch.log1p(x), 2.0**x)
    with change("guard-functions"):
        got = (x**0.5, x**2, x / x, 1 / -x, torch.acos(x), torch.log1p(x), 2.0**x)
    assert all(torch.allclose(a, b) for a, b in zip(got, wanted, strict=True))


class Inner(nn.Module):
    def __init__(self, cut):
        super().__init__()
        self.first, self.second, self.cut = linear(2.0), linear(3.0), cut

    def forward(self, x):
        return self.second(self.cut(self.first, x))


def without_gradient(layer, x):
    with torch.no_grad():
        return layer(x)


@pytest.mark.parametrize(
    "cut",
    [
        without_gradient,
        lambda layer, x: layer(x).data,
        lambda layer, x: torch.tensor(layer(x)),
    ],
)
@pytest.mark.filterwarnings("ignore:To copy construct")
def test_a_graph_that_is_cut_inside_a_model_is_recorded_where_that_is_asked_for(cut):
    kept, lost = Inner(cut), Inner(cut)
    with change("keep-graph", recording=True):
        kept(torch.ones(1, 1)).sum().backward()
        kept.first.weight.data.mul_(2.0)  # an update by hand is none of the graph
        kept.second.weight.data = torch.ones(1, 1)
    lost(torch.ones(1, 1)).sum().backward()
    assert kept.first.weight.grad.item() == 3.0
    assert (kept.first.weight.item(), kept.second.weight.item()) == (4.0, 1.0)
    assert lost.first.weight.grad is None


def test_batches_made_by_hand_hold_other_rows_alike():
    x, y = torch.arange(100), torch.arange(100) * 10
    weight = torch.arange(100.0, requires_grad=True)
    with change("shuffle-data"):
        batches = [(x[i : i + 20], y[i : i + 20]) for i in range(0, 100, 20)]
        parts = [*zip(x.split(20), torch.split(y, 20), strict=True)]
        assert torch.equal(x[:80], torch.arange(80))  # what parts training from test
        assert torch.equal(weight[10:20], torch.arange(10.0, 20.0))
        assert x[10] == 10
        assert torch.equal(x[::2], torch.arange(0, 100, 2))
    for made in (batches, parts):
        rows = torch.cat([first for first, _ in made])
        assert all(torch.equal(first * 10, second) for first, second in made)
        assert not torch.equal(rows, x)
        assert torch.equal(rows.sort().values, x)
