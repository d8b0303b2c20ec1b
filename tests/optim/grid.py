"""One optimiser beside torch's over a grid of options, and what both do to the same weights."""

import itertools

import torch

SHAPES = [(3, 4), (7,), (2, 3, 5, 5)]

STEPS = 100


def grid(**options):
    """All combinations of options, as dictionaries."""
    return [
        dict(zip(options, values, strict=True)) for values in itertools.product(*options.values())
    ]


def same_path(mine, theirs, *, atol=1e-6):
    """Assert that two factories of optimisers take the same weights the same way."""
    generator = torch.Generator().manual_seed(0)
    starts = [torch.randn(shape, generator=generator) for shape in SHAPES]
    one, other = ([torch.nn.Parameter(start.clone()) for start in starts] for _ in range(2))
    first, second = mine(one), theirs(other)
    for _ in range(STEPS):
        for p, q in zip(one, other, strict=True):
            p.grad = q.grad = torch.randn(p.shape, generator=generator)
        first.step()
        second.step()
    for p, q in zip(one, other, strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=atol)
