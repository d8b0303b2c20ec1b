"""All that the page needs, as JSON that may stand inside a script element."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import msgspec

from gainstage.recording import Recording
from gainstage.records import Finding, Remedy
from gainstage.render.words import blindness_told, effort_told, sinks_told
from gainstage.views.batchnorm import norms_of
from gainstage.views.findings import finding_cards
from gainstage.views.view import VIEWS

PAYLOAD_SCHEMA: Final = 1
"""Version of the data that the page reads; raised when a field changes its meaning."""

_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def payload(
    recording: Recording,
    findings: Sequence[Finding] | None = None,
    manuals: Mapping[str, str] | None = None,
    remedies: Sequence[Remedy] | None = None,
) -> dict[str, Any]:
    """Every registered view under its name, and ``run``: plain dicts, lists and numbers.

    Args:
        recording: the run.
        findings: what the rules found; None for what is stored with the run.
        manuals: a rule's manual by its code.
        remedies: what was tried; None for what is stored with the run.
    """
    data = {name: view(recording) for name, view in VIEWS.items() if name != "findings"}
    data["findings"] = finding_cards(recording, findings, manuals)
    data["remedies"] = [
        asdict(remedy) for remedy in (recording.remedies if remedies is None else remedies)
    ]
    plain: dict[str, Any] = msgspec.to_builtins(data, str_keys=True)
    return {"schema": PAYLOAD_SCHEMA, "run": run_told(recording), **plain}


def script_json(data: Mapping[str, Any]) -> str:
    r"""JSON in ASCII without ``<``, ``>`` and ``&``: no text in it can end a script element.

    Example:
        >>> script_json({"name": "</script>"})
        '{"name":"\\u003c/script\\u003e"}'
    """
    text = json.dumps(data, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    return text.translate(_ESCAPES)


def run_told(recording: Recording) -> dict[str, Any]:
    """What the page tells of a run as a whole."""
    info, steps = recording.info, recording.steps
    return {
        "id": info.id,
        "script": info.script,
        "args": list(info.args),
        "started": float(info.started),
        "status": info.status,
        "outcome": info.outcome,
        "seconds": recording.seconds,
        "probe_seconds": float(info.probe_seconds),
        "overhead": float(info.overhead) if info.probe_seconds else None,
        "detail": info.detail,
        "effort": effort_told(recording),
        "blind": blindness_told(recording),
        "versions": {str(key): str(value) for key, value in info.versions.items()},
        "facts": {str(k): _told(v) for k, v in info.facts.items() if k != "sinks"},
        "sinks": sinks_told(info),
        "steps": len(steps),
        "first_step": int(steps[0]) if len(steps) else None,
        "last_step": int(steps[-1]) if len(steps) else None,
        "sites": len(recording.sites),
        "norms": len(norms_of(recording)),
    }


def _told(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_told, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_told(part)}" for key, part in value.items())
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
