"""Histograms of one pass, kept by hooks that are gone afterwards."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from gainstage.playground.seen import histograms_of
from gainstage.sketch import Histogram


def test_what_passed_is_kept_and_the_hooks_are_gone():
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh())
    x = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))
    with histograms_of(model) as seen:
        output = model(x)
        output.backward(torch.ones_like(output))
    recording = seen()
    kinds = [(site.kind, site.name) for site in recording.sites]
    assert set(kinds) == {
        ("output", "0"), ("output", "1"), ("output_grad", "0"), ("output_grad", "1"),
        ("weight", "0.weight"), ("grad", "0.weight"),
    }  # fmt: skip
    expected = {
        ("output", "1"): output.detach(),
        ("output_grad", "1"): torch.ones_like(output),
        ("output_grad", "0"): 1 - output.detach() ** 2,
        ("weight", "0.weight"): model[0].weight.detach(),
        ("grad", "0.weight"): model[0].weight.grad,
    }
    for site in recording.sites:
        if (site.kind, site.name) in expected:
            wanted = Histogram.of(expected[site.kind, site.name].numpy())
            assert np.array_equal(recording.histogram(site).counts, wanted.counts)
    model(x).sum().backward()
    assert np.array_equal(seen().histogram(recording.sites[0]).counts,
                          recording.histogram(recording.sites[0]).counts)  # fmt: skip
    assert not model[0]._forward_hooks
    assert not model[0].weight._backward_hooks
