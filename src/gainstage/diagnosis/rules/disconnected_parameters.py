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
CERTAIN, LIKELY, PERHAPS = 0.95, 0.75, 0.5


@rule("disconnected-parameters", may_cause=("learning-rate-too-low", "loss-not-decreasing"))
def check(evidence: Evidence) -> Iterable[Finding]:
    """Look for parameters without a gradient at any step while others have one."""
    sites = [s for s in evidence.recording.of_kind("weight") if _offered(evidence, s) >= STEPS]
    lost = [site for site in sites if not _reached(evidence, site)]
    if not lost or len(lost) == len(sites):
        return
    share = sum(map(_size, lost)) / max(sum(map(_size, sites)), 1)
    called = {site.layer for site in evidence.outputs}
    cut = [site for site in lost if site.layer in called]
    good = evidence.progress.good
    if good and not (cut and share >= SHARE):  # what is never called may wait for its turn
        return
    sure = PERHAPS if share < SHARE else CERTAIN if cut else LIKELY
    names = [site.name for site in (cut or lost)]
    some = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if names[4:] else "")
    yield Finding(
        code="disconnected-parameters",
        severity="warning" if good or share < SHARE else "error",
        confidence=sure,
        site=names[0],
        since_step=evidence.step_at(0),
        message=(
            f"{some} never received a gradient, though "
            + ("the forward pass calls their layers" if cut else "the optimiser owns them")
            + f": {share:.0%} of what it is to train."
        ),
        evidence={
            "share_of_elements": share,
            "parameters_without_gradient": len(lost),
            "parameters_with_gradient": len(sites) - len(lost),
            "of_layers_that_are_called": len(cut),
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
