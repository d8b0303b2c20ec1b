"""Things are called what the user calls them."""

from __future__ import annotations

import types
import weakref

import pytest
import torch
from torch import nn

from gainstage.probe.naming import clean, enclosing_module, name_tensors


def _new(n=1):
    found = [torch.ones(1, requires_grad=True) for _ in range(n)]
    return found if n > 1 else found[0]


def names(get):
    """Names of the tensors that `get` returns; no variable of this function holds them."""
    found = name_tensors(get())
    return [found.get(id(t)) for t in get()]


def test_a_variable_gives_its_name():
    W1, b1 = _new(2)  # noqa: N806 - as users name them
    assert names(lambda: [W1, b1]) == ["W1", "b1"]


def test_an_attribute_is_named_with_self():
    class Model:
        def __init__(self):
            self.C = _new()
            self.layers = [_new(), _new()]

        def names(self):
            return names(lambda: [self.C, *self.layers])

    assert Model().names() == ["self.C", "self.layers[0]", "self.layers[1]"]


def test_a_list_names_its_members_by_their_place():
    params = _new(5)
    assert names(lambda: [params[3], params[0]]) == ["params[3]", "params[0]"]


def test_a_mapping_names_its_members_by_their_key():
    params = {"w": _new(), "b": _new(), 3: _new()}
    assert names(lambda: list(params.values())) == ["params['w']", "params['b']", "params[3]"]


def test_a_list_of_layers_with_tensors_is_looked_into():
    net = [{"W": _new()}, types.SimpleNamespace(W=_new()), (_new(), [_new()])]
    assert names(lambda: [net[0]["W"], net[1].W, net[2][0], net[2][1][0]]) == [
        "net[0]['W']",
        "net[1].W",
        "net[2][0]",
        "net[2][1][0]",
    ]


def test_the_loop_variable_does_not_name_the_last_member():
    params = _new(3)
    for p in params:
        assert p.requires_grad
    assert names(lambda: list(params)) == ["params[0]", "params[1]", "params[2]"]


def test_variables_of_their_own_are_preferred_to_a_list_of_all():
    W, b = _new(2)  # noqa: N806
    parameters = [W, b]
    assert names(lambda: list(parameters)) == ["W", "b"]


def test_the_nearest_scope_wins():
    inner = _new()

    def train(weight):
        return names(lambda: [weight])

    assert train(inner) == ["weight"]
    del inner


def test_a_tensor_that_no_variable_holds_has_no_name():
    found = name_tensors([_new()])
    assert found == {}


class Loud:
    """An object whose every attribute raises."""

    def __getattr__(self, name):
        raise RuntimeError(name)


def test_hostile_objects_in_scope_are_passed_over():
    loud, kept = Loud(), _new()
    loops = {"me": None}
    loops["me"] = loops
    assert names(lambda: [kept]) == ["kept"]
    assert loud is not None


WRAPPERS = {
    "_orig_mod.layers.0": "layers.0",
    "layers._checkpoint_wrapped_module.1": "layers.1",
    "_fsdp_wrapped_module.a._fsdp_wrapped_module.b": "a.b",
    "_orig_mod": "",
    "my_orig_mod.x": "my_orig_mod.x",
    "a.b": "a.b",
    "": "",
}


@pytest.mark.parametrize("path", WRAPPERS)
def test_wrappers_are_stripped_from_paths(path):
    assert clean(path) == WRAPPERS[path]


def test_the_root_of_a_module_is_the_outermost_variable_that_contains_it():
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    part = net[0]
    root, name, alone = enclosing_module(part)
    assert root is net
    assert (name, alone) == ("net", True)


def test_a_module_with_a_neighbour_needs_a_prefix():
    maker, judge = nn.Linear(2, 2), nn.Linear(2, 1)
    assert enclosing_module(maker) == (maker, "maker", False)
    assert enclosing_module(judge) == (judge, "judge", False)


def test_a_loss_module_is_no_neighbour():
    net, criterion = nn.Linear(2, 2), nn.CrossEntropyLoss()
    assert enclosing_module(net) == (net, "net", True)
    assert criterion is not None


def test_a_module_that_nobody_holds_is_its_own_root():
    module = [nn.Linear(2, 2)]
    root, name, _ = enclosing_module(module[0])
    assert root is module[0]
    assert name == ""


HOSTILE = [
    "<script>alert(1)</script>",
    "new\nline",
    "\u202egnp",
    "__proto__",
    "a b",
    "x" * 5000,
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_module_names_are_kept_and_break_nothing(watching, name):
    net = nn.Module()
    net.add_module(name, nn.Linear(2, 2))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with watching(net, optimizer) as seen:
        net.get_submodule(name)(torch.ones(1, 2)).sum().backward()
        optimizer.step()
    assert seen.events("tap-off") == []
    assert seen.names("output") == [name]
    assert seen.names("weight") == [f"{name}.weight", f"{name}.bias"]


def test_one_model_alone_needs_no_prefix(watching_everything):
    net = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    with watching_everything() as seen:
        net(torch.ones(1, 2)).sum().backward()
    assert seen.names("output") == ["0", "1"]


def test_a_model_kept_in_an_attribute_is_named_by_it(watching_everything):
    class Trainer:
        def __init__(self):
            self.net, self.critic = nn.Linear(2, 2), nn.Linear(2, 1)

        def train(self):
            self.critic(self.net(torch.ones(1, 2))).sum().backward()

    with watching_everything() as seen:
        Trainer().train()
    assert seen.names("output") == ["net", "critic"]


def test_a_compiled_model_has_the_names_of_the_plain_one(watching):
    net = torch.compile(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), backend="eager")
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with watching(net, optimizer) as seen:
        net(torch.ones(1, 2)).sum().backward()
        optimizer.step()
    torch._dynamo.reset()
    assert seen.names("weight") == ["0.weight", "0.bias"]


def test_a_look_at_a_users_variables_keeps_none_of_them_alive():
    def train():
        w, big = _new(), torch.zeros(3)
        reference = weakref.ref(big)
        name_tensors([w])
        del big
        return reference() is None

    assert train()


def test_a_dictionary_of_locals_that_the_user_keeps_stays_as_it_was():
    def train():
        w = _new()
        kept = locals()
        name_tensors([w])
        return kept

    assert "w" in train()
