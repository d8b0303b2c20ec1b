"""The lists of names: every one is a function of torch's, and moments pass through it by a rule."""

import pytest
import torch
import torch.nn.functional as F

from gainstage.init import vocabulary
from gainstage.init.moments import RULES

LISTS = {
    n: getattr(vocabulary, n)
    for n in dir(vocabulary)
    if isinstance(getattr(vocabulary, n), frozenset)
}


def exists(name):
    homes = (torch, F, torch.Tensor)
    names = (name, f"__{name}__", f"{name}_")
    return any(hasattr(home, one) for home in homes for one in names)


@pytest.mark.parametrize("name", sorted(set().union(*LISTS.values())))
def test_a_name_is_one_of_torchs(name):
    known_elsewhere = {"tanhshrink", "type", "upsample", "interpolate", "sync_batch_norm"}
    assert exists(name) or name in known_elsewhere


MEASURED = {"einsum", "baddbmm"}  # of any form: their level is measured


@pytest.mark.parametrize("name", ["UNARY", "NORMS", "ADDS", "MOVES", "LEVELLERS"])
def test_moments_pass_through_by_a_rule(name):
    missing = [one for one in LISTS[name] - MEASURED if one not in RULES]
    assert not missing


def test_activations_are_functions_of_one_variable():
    assert vocabulary.ACTIVATIONS <= vocabulary.UNARY
