"""The gradient never reaches parameters that the optimiser owns.

Problem: an optimiser holds parameters that no backward pass ever reaches: they have no gradient
at any step, keep their initial values, and no message says so.

Why: the graph is cut between them and the loss (``.detach()``, ``.data``, ``.item()``, a trip
through numpy, ``torch.no_grad()`` around a part of the forward pass, ``torch.tensor(output)``), or
the layer is made and never called, or its output is not used.

What to do: take the detach, the trip through numpy or the ``no_grad`` out of the way from the
layer to the loss; call the layer, or remove it. If it is frozen on purpose, say so with
``requires_grad_(False)`` and leave it out of the optimiser.

Harmless when: the parameters belong to another task's head, to an expert or an embedding that
this data never calls, or to a later phase of the training.

Source: PyTorch documentation, "Autograd mechanics"; DistributedDataParallel's error on unused
parameters.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from gainstage.diagnosis.evidence import Evidence
from gainstage.diagnosis.rule import rule
from gainstage.records import Finding, Site

STEPS = 20
"""Steps at which a parameter was up for an update; fewer may be a phase."""
SHARE = 0.1
"""Share of the optimiser's elements without a gradient that is considerable."""
CUT, UNUSED = 0.95, 0.5
"""A cut graph takes the gradient from all that lies upstream, so the optimiser's first parameters
are among the lost; a head or expert that waits for its turn comes later in its list."""


@rule("disconnected-parameters", may_cause=("learning-rate-too-low", "loss-not-decreasing"))
def check(evidence: Evidence) -> Iterable[Finding]:
    """Look for parameters without a gradient at any step while others have one.

    Or at any late step, where a training has several phases: there only a cut graph is told of,
    for a head may have had its turn.
    """
    late = len(evidence.steps) * 2 // 3
    yield from list(_lost(evidence, 0)) or _lost(evidence, late)


def _lost(evidence: Evidence, begin: int) -> Iterable[Finding]:
    """Those that none has reached from a position on."""
    offered = [s for s in evidence.recording.sites if s.kind == "weight"]
    sites = [site for site in offered if _offered(evidence, site, begin) >= STEPS]
    lost = [site for site in sites if not len(_reached(evidence, site, begin))]
    if not lost or len(lost) == len(sites):
        return
    share = sum(map(_size, lost)) / max(sum(map(_size, sites)), 1)
    upstream = sites[0] in lost
    good = evidence.progress.good
    if share < SHARE or ((good or begin) and not upstream) or (good and begin):
        return
    names = [site.name for site in lost]
    some = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if names[4:] else "")
    where = "all that follows them has one" if upstream else "the optimiser owns them"
    ever = [index for site in lost for index in _reached(evidence, site, 0)]
    since = int(max(ever)) + 1 if ever else 0
    never = (
        f"have received no gradient since step {evidence.step_at(since)}"
        if ever
        else "never received a gradient"
    )
    yield Finding(
        code="disconnected-parameters",
        severity="error" if upstream and not good else "warning",
        confidence=CUT if upstream else UNUSED,
        site=names[0],
        since_step=evidence.step_at(since),
        message=f"{some} {never}, though {where}: {share:.0%} of what it is to train.",
        evidence={
            "share_of_elements": share,
            "parameters_without_gradient": len(lost),
            "parameters_with_gradient": len(sites) - len(lost),
            "first_in_the_optimizer": upstream,
        },
        threshold={"steps": STEPS, "share_of_elements": SHARE},
    )


def _offered(evidence: Evidence, site: Site, begin: int) -> int:
    """Number of steps at which an optimiser could have changed the parameter."""
    return int(np.isfinite(evidence.series(site, "rms")[begin:]).sum())


def _reached(evidence: Evidence, site: Site, begin: int) -> NDArray[np.intp]:
    """Positions from `begin` on at which a gradient came."""
    grad = evidence.recording.site(site.name, "grad")
    return np.flatnonzero(np.isfinite(evidence.series(grad, "rms")[begin:]))


def _size(site: Site) -> int:
    return int(np.prod(site.shape))
