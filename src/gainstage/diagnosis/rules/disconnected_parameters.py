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
    """Look for parameters without a gradient at any step while others have one."""
    offered = [s for s in evidence.recording.sites if s.kind == "weight"]
    sites = [site for site in offered if _offered(evidence, site) >= STEPS]
    lost = [site for site in sites if not _reached(evidence, site)]
    if not lost or len(lost) == len(sites):
        return
    share = sum(map(_size, lost)) / max(sum(map(_size, sites)), 1)
    upstream = sites[0] in lost
    good = evidence.progress.good
    if share < SHARE or (good and not upstream):
        return
    names = [site.name for site in lost]
    some = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if names[4:] else "")
    where = "all that follows them has one" if upstream else "the optimiser owns them"
    yield Finding(
        code="disconnected-parameters",
        severity="error" if upstream and not good else "warning",
        confidence=CUT if upstream else UNUSED,
        site=names[0],
        since_step=evidence.step_at(0),
        message=(
            f"{some} never received a gradient, though {where}: {share:.0%} of what it is to train."
        ),
        evidence={
            "share_of_elements": share,
            "parameters_without_gradient": len(lost),
            "parameters_with_gradient": len(sites) - len(lost),
            "first_in_the_optimizer": upstream,
        },
        threshold={"steps": STEPS, "share_of_elements": SHARE},
    )


def _offered(evidence: Evidence, site: Site) -> int:
    """Number of steps at which an optimiser could have changed the parameter."""
    return int(np.isfinite(evidence.series(site, "rms")).sum())


def _reached(evidence: Evidence, site: Site) -> bool:
    grad = evidence.recording.site(site.name, "grad")
    return bool(np.isfinite(evidence.series(grad, "rms")).any())


def _size(site: Site) -> int:
    return int(np.prod(site.shape))
