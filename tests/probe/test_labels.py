"""Each parameter has one name; a name has one holder."""

from __future__ import annotations

import gc

import torch
from torch import nn

from gainstage.probe.labels import Labels


def _named(module):
    labels = Labels()
    labels.add_tree(module)
    return labels


def test_a_tied_parameter_has_one_label_with_its_other_names():
    net = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3)})
    net["b"].weight = net["a"].weight
    label = _named(net).of(net["a"].weight)
    assert (label.name, label.layer, label.aliases) == ("a.weight", "a", ("b.weight",))


def test_a_bare_parameter_is_called_as_the_variable_that_holds_it():
    labels = Labels()
    theta = torch.ones(2, requires_grad=True)
    labels.used_by(theta, "matmul")
    assert labels.get(theta) is None
    assert list(labels.take_used()) == [id(theta)]
    assert labels.take_used() == {}
    label = labels.of(theta)
    assert (label.name, label.op) == ("theta", "matmul")
    assert labels.get(theta) is label


def test_a_newer_tensor_takes_a_name_over():
    labels = Labels()
    w = torch.ones(2, requires_grad=True)
    old = w
    labels.of(w)
    assert labels.is_latest(old)
    w = (w - 1).detach().requires_grad_()
    kept, old = [old], None
    assert labels.of(w).name == "w"
    assert labels.is_latest(w)
    assert not labels.is_latest(kept[0])


def test_numbers_of_tensors_that_are_gone_return():
    labels = Labels()
    names = []
    for _ in range(2):
        names.append(labels.of(torch.ones(1)).name)
        gc.collect()
    assert names == ["parameter_0", "parameter_0"]


def test_parameters_come_in_the_order_of_their_modules():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    ordered = list(net.parameters())
    found = _named(net).in_order(ordered[::-1])
    assert all(a is b for a, b in zip(found, ordered, strict=True))


def test_a_variable_does_not_take_the_name_of_a_models_parameter():
    net = nn.Linear(3, 2)
    labels = _named(net)
    weight = nn.Parameter(torch.ones(5))
    assert labels.of(weight).name == "weight_1"
    assert labels.of(net.weight).name == "weight"
    assert labels.is_latest(net.weight)


def test_a_name_is_free_again_when_the_model_is_gone():
    net = nn.Linear(3, 2)
    labels = _named(net)
    net = None
    gc.collect()
    weight = nn.Parameter(torch.ones(5))
    assert labels.of(weight).name == "weight"
    assert net is None


class MadeLate(nn.Module):
    """Makes its weight when it sees its input, and a layer."""

    def forward(self, x):
        if not hasattr(self, "weight"):
            self.weight = nn.Parameter(torch.ones(x.shape[1]))
            self.inner = nn.Linear(x.shape[1], 1, bias=False)
        return self.inner(x * self.weight)


def test_a_parameter_that_a_module_makes_in_its_first_call_has_its_place():
    net = nn.Sequential(nn.Linear(2, 2), MadeLate())
    labels = _named(net)
    net(torch.ones(3, 2))
    labels.name_all(net.parameters())
    names = ["0.weight", "0.bias", "1.weight", "1.inner.weight"]
    assert [labels.of(p).name for p in net.parameters()] == names
    assert labels.of(net[1].weight).layer == "1.weight"  # its module is no stage
    assert labels.of(net[0].weight).aliases == ()


def test_modules_that_change_while_they_are_listed_do_no_harm():
    class Growing(nn.Module):
        def named_parameters(self, *args, **kwargs):
            self.inner = nn.Linear(1, 1)  # as Keras does
            return super().named_parameters(*args, **kwargs)

    with_growth = nn.Sequential(Growing(), nn.Linear(2, 2))
    labels = _named(with_growth)
    assert labels.of(with_growth[1].weight).name == "1.weight"
