"""The template: groups, states, sparse and missing gradients, company of torch's own tools."""

import copy
import pickle

import pytest
import torch

from gainstage import optim
from gainstage.errors import UsageError
from gainstage.optim.reference import FITS_IN_CACHE

RULES = [optim.SGD, optim.EMA, optim.RMSprop, optim.Adam, optim.AdamW]


def parameter(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.Parameter(torch.randn(shape, generator=generator))


def sparse(rows, scale=1.0):
    values = scale * torch.ones(len(rows), 3)
    return torch.sparse_coo_tensor([rows], values, (5, 3), check_invariants=True)


@pytest.mark.parametrize("rule", RULES)
def test_it_is_an_optimiser_of_torch_and_learns(rule):
    weight = parameter(20)
    optimizer = rule([weight], lr=0.05)
    assert isinstance(optimizer, torch.optim.Optimizer)
    before = weight.square().sum().item()
    for _ in range(50):
        optimizer.zero_grad()
        weight.square().sum().backward()
        optimizer.step()
    assert weight.square().sum().item() < 0.5 * before


@pytest.mark.parametrize("foreach", [None, True, False])
def test_parameters_without_a_gradient_are_skipped_and_keep_their_own_count(foreach):
    early, late = parameter(3), parameter(3)
    mine = optim.Adam([early, late], lr=0.1, foreach=foreach)
    twins = [torch.nn.Parameter(p.detach().clone()) for p in (early, late)]
    theirs = torch.optim.Adam(twins, lr=0.1)
    for step in range(5):
        for one, other in zip((early, late), twins, strict=True):
            one.grad = other.grad = None if one is late and step < 3 else torch.ones(3) + step
        mine.step()
        theirs.step()
    torch.testing.assert_close([early, late], twins, rtol=0, atol=1e-6)
    assert mine.state[late]["step"] == 2


def test_large_parameters_go_one_by_one_unless_told():
    seen = []

    class Watched(optim.Reference):
        def update(self, p, g, state, group):
            del g, state, group
            seen.append([len(one) for one in p.tensors] if hasattr(p, "tensors") else len(p))

    for sizes in ([2, 3], [2, 3 * FITS_IN_CACHE]):
        for foreach in (None, True, False):
            parameters = [torch.nn.Parameter(torch.zeros(size)) for size in sizes]
            for p in parameters:
                p.grad = torch.ones_like(p)
            Watched(parameters, {"lr": 1.0, "foreach": foreach}).step()
    assert seen == [[2, 3], [2, 3], 2, 3, *sizes, sizes, *sizes]


def test_groups_have_options_of_their_own():
    fast, slow = parameter(2), parameter(2)
    before = fast.detach().clone(), slow.detach().clone()
    optimizer = optim.SGD([{"params": [fast], "lr": 1.0}, {"params": [slow]}], lr=0.1)
    fast.grad = slow.grad = torch.ones(2)
    optimizer.step()
    torch.testing.assert_close((fast, slow), (before[0] - 1.0, before[1] - 0.1), check_dtype=False)


def test_a_closure_is_evaluated_with_gradients_and_its_loss_returned():
    weight = torch.nn.Parameter(torch.tensor([3.0]))
    optimizer = optim.SGD([weight], lr=0.5)

    def closure():
        optimizer.zero_grad()
        loss = weight.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 9.0
    assert weight.item() == 0.0


def test_a_generator_of_parameters_trains_on_after_the_first_step():
    weights = [parameter(2), parameter(2)]
    optimizer = optim.SGD((w for w in weights), lr=1.0)
    for _ in range(2):
        for weight in weights:
            weight.grad = torch.ones(2)
        optimizer.step()
    torch.testing.assert_close(weights[1].detach(), parameter(2).detach() - 2)


@pytest.mark.parametrize("rule", RULES)
def test_gradients_are_left_as_they_are(rule):
    weight = parameter(4)
    optimizer = rule([weight], lr=0.1, weight_decay=0.1, maximize=True)
    weight.grad = torch.arange(4.0)
    for _ in range(2):
        optimizer.step()
    assert weight.grad.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "options", [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, {"maximize": True}]
)
def test_sgd_takes_sparse_gradients_as_torch_does(options):
    mine, theirs = parameter(5, 3), parameter(5, 3)
    ours, torchs = (
        optim.SGD([mine], lr=0.1, **options),
        torch.optim.SGD([theirs], lr=0.1, **options),
    )
    for step in range(100):
        mine.grad = theirs.grad = sparse([step % 5, 4], 1 / (step + 1))
        ours.step()
        torchs.step()
    torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-6)


def test_sgd_refuses_decay_of_a_sparse_gradient_and_says_what_to_do():
    weight = parameter(5, 3)
    weight.grad = sparse([1])
    torchs = torch.optim.SGD([weight], lr=0.1, weight_decay=0.1)
    with pytest.raises(RuntimeError):
        torchs.step()
    with pytest.raises(UsageError, match="SGD cannot add weight decay to a sparse gradient: give"):
        optim.SGD([weight], lr=0.1, weight_decay=0.1).step()


@pytest.mark.parametrize("rule", [optim.EMA, optim.RMSprop, optim.Adam, optim.AdamW])
def test_the_others_refuse_sparse_gradients(rule):
    weight = parameter(5, 3)
    weight.grad = sparse([1])
    message = rf"^{rule.__name__} does not take sparse gradients: use SGD or torch.optim.SparseAdam"
    with pytest.raises(UsageError, match=message):
        rule([weight]).step()


@pytest.mark.parametrize("name", ["SGD", "RMSprop", "Adam", "AdamW"])
@pytest.mark.parametrize("to_torch", [True, False])
def test_a_state_dict_goes_on_in_torch_and_back(name, to_torch):
    options = {"lr": 0.05} | ({"momentum": 0.9} if name == "SGD" else {})
    first, second = getattr(optim, name), getattr(torch.optim, name)
    if not to_torch:
        first, second = second, first
    weight, twin = parameter(4), parameter(4)
    begun, throughout = first([weight], **options), second([twin], **options)
    for step in range(20):
        if step == 10:
            state = begun.state_dict()
            begun = second([weight], **options)
            begun.load_state_dict(state)
        weight.grad = twin.grad = torch.randn(4, generator=torch.Generator().manual_seed(step))
        begun.step()
        throughout.step()
    torch.testing.assert_close(weight, twin, rtol=0, atol=1e-6)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])  # noqa: S301
def test_copies_go_on_alone(copied):
    weight = parameter(4)
    optimizer = optim.Adam([weight], lr=0.1)
    weight.grad = torch.ones(4)
    optimizer.step()
    other = copied(optimizer)
    kept = weight.detach().clone()
    other.param_groups[0]["params"][0].grad = torch.ones(4)
    other.step()
    torch.testing.assert_close(weight.detach(), kept, rtol=0, atol=0)
    assert other.param_groups[0]["params"][0][0] < kept[0]


def test_a_scheduler_and_a_gradient_scaler_work_with_it():
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    optimizer = optim.SGD([weight], lr=1.0)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for expected in (0.9, 0.85):
        optimizer.zero_grad()
        scaler.scale(0.1 * weight.sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        scheduler.step()
        assert weight.item() == pytest.approx(expected)


@pytest.mark.parametrize("foreach", [True, False])
@pytest.mark.parametrize("name", ["SGD", "RMSprop", "Adam"])
def test_complex_parameters_move_as_torchs(name, foreach):
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(3, dtype=torch.complex64, generator=generator)
    mine, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    options = {"momentum": 0.9} if name == "SGD" else {}
    ours = getattr(optim, name)([mine], lr=0.01, foreach=foreach, **options)
    torchs = getattr(torch.optim, name)([theirs], lr=0.01, **options)
    for _ in range(20):
        mine.grad = theirs.grad = torch.randn(3, dtype=torch.complex64, generator=generator)
        ours.step()
        torchs.step()
    torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: optim.SGD(p, lr=-1.0), "lr must not be negative, and is -1.0"),
        (lambda p: optim.SGD(p, lr=float("nan")), "lr must not be negative, and is nan"),
        (lambda p: optim.SGD(p, momentum=-0.1), "momentum must not be negative"),
        (lambda p: optim.SGD(p, weight_decay=-1), "weight_decay must not be negative"),
        (lambda p: optim.SGD(p, nesterov=True), "needs a momentum and no dampening; they are 0.0"),
        (lambda p: optim.EMA(p, beta=1.0), r"beta must be in \[0, 1\), and is 1.0"),
        (lambda p: optim.RMSprop(p, alpha=-1.0), "alpha must not be negative, and is -1.0"),
        (lambda p: optim.Adam(p, betas=(0.9, 1.0)), r"must be in \[0, 1\), and one is 1.0"),
        (lambda p: optim.AdamW(p, eps=-1.0), "eps must not be negative, and is -1.0"),
    ],
)
def test_options_that_make_no_sense_are_named(make, message):
    with pytest.raises(UsageError, match=message):
        make([parameter(1)])


@pytest.mark.parametrize("rule", RULES)
def test_a_rate_may_be_a_tensor(rule):
    one, other = parameter(3), parameter(3)
    first, second = rule([one], lr=torch.tensor(0.25)), rule([other], lr=0.25)
    one.grad = other.grad = torch.ones(3)
    first.step()
    second.step()
    assert torch.equal(one, other)
