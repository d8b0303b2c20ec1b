"""One self-contained html file of a run: data, charts, code and style; no request outside."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from gainstage.errors import UsageError
from gainstage.recording import Recording
from gainstage.records import Finding, Remedy
from gainstage.render.payload import payload, script_json
from gainstage.render.static_files import plotly_source, static_text, unneeded_styles

_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([\w-]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?:async )?(?:function|const|let|class) (\w+)", re.MULTILINE)
_EXPORTED = re.compile(r"^export ", re.MULTILINE)
_SLOT = re.compile(r"\{\{(\w+)\}\}")


def write_report(
    recording: Recording,
    findings: Sequence[Finding] | None,
    manuals: Mapping[str, str] | None,
    path: str | os.PathLike[str],
    remedies: Sequence[Remedy] | None = None,
) -> Path:
    """Write the report; a file of that name is replaced in one go or not at all.

    Args:
        recording: the run.
        findings: what the rules found; None for what is stored with the run.
        manuals: a rule's manual by its code.
        path: where to; its folder must exist.
        remedies: what was tried; None for what is stored with the run.

    Returns:
        The path written.

    Raises:
        UsageError: the folder is missing, or the file cannot be written there.
    """
    target = Path(path)
    if not target.parent.is_dir():
        msg = (
            f"The report cannot be written to '{target}' because there is no folder "
            f"'{target.parent}'. Create it, or name a file in a folder that exists."
        )
        raise UsageError(msg)
    page = report_html(recording, findings, manuals, remedies).encode("utf-8")
    try:
        _replace(target, page)
    except OSError as error:
        msg = (
            f"The report cannot be written to '{target}' ({error.strerror or error}). "
            "Name a file that you may write."
        )
        raise UsageError(msg) from error
    return target


def report_html(
    recording: Recording,
    findings: Sequence[Finding] | None = None,
    manuals: Mapping[str, str] | None = None,
    remedies: Sequence[Remedy] | None = None,
) -> str:
    """The report as one html document with a content security policy that forbids requests."""
    style, plotly = static_text("page.css"), plotly_source()
    code = bundle("report.js")
    slots = {
        "policy": _policy(scripts=(plotly, code), styles=(style, "")),
        "style": style,
        "plotly": plotly,
        "unneeded": "".join(f'<template id="{key}"></template>' for key in unneeded_styles(plotly)),
        "code": code,
        "data": script_json(payload(recording, findings, manuals, remedies)),
    }
    return _SLOT.sub(lambda found: slots[found[1]], static_text("report.html"))


def framed_html(page: str) -> str:
    """A report as a notebook may hold it: in a frame that can reach nothing around it.

    Scripts run in the frame as those of an unknown site: they see neither the notebook nor its
    cookies, and the report's own policy lets them load nothing. It is packed, since a notebook
    keeps it each time it is shown, and marimo shows nothing above 8 MB.

    Args:
        page: the report.
    """
    packed = base64.b64encode(gzip.compress(page.encode("utf-8"), mtime=0)).decode("ascii")
    frame = static_text("frame.html").replace("{{packed}}", packed)
    return (
        '<iframe sandbox="allow-scripts allow-downloads" referrerpolicy="no-referrer" '
        'title="Gainstage report" style="width: 100%; height: 760px; border: 0" '
        f'srcdoc="{html.escape(frame)}"></iframe>'
    )


def bundle(entry: str) -> str:
    """An ES module and all that it imports as one script, each module once and first needed first.

    The modules keep to named, one-line imports and exports of declarations. Each becomes a function
    of its own that returns what it exports, so their names do not meet.
    """
    parts: dict[str, str] = {}
    trail: list[str] = []

    def add(name: str) -> None:
        if name in parts or name in trail:
            return
        trail.append(name)
        source = static_text(name)
        for _, imported in _IMPORT.findall(source):
            add(imported)
        parts[name] = _as_function(name, source)

    add(entry)
    return "\n" + "\n".join(parts.values())


def _as_function(name: str, source: str) -> str:
    told = ", ".join(_EXPORT.findall(source))
    body = _IMPORT.sub(_taken, source)
    body = _EXPORTED.sub("", body)
    return f"const {_variable(name)} = (() => {{\n{body}return {{ {told} }};\n}})();"


def _taken(found: re.Match[str]) -> str:
    names = found[1].replace(" as ", ": ")
    return f"const {{{names}}} = {_variable(found[2])};\n"


def _variable(name: str) -> str:
    return "module_" + name.removesuffix(".js").replace("-", "_")


def _policy(scripts: Sequence[str], styles: Sequence[str]) -> str:
    """The content security policy: only these scripts and styles, nothing from anywhere.

    plotly puts an empty style element into the page and style attributes on its own drawings
    (crisp cells in heat maps), hence the hash of "" and ``style-src-attr``; images it makes are
    data URLs.
    """
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {' '.join(map(_hash, scripts))}",
            f"style-src-elem {' '.join(map(_hash, styles))}",
            "style-src-attr 'unsafe-inline'",
            "img-src data: blob:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _replace(target: Path, data: bytes) -> None:
    """Write a temporary file beside `target`, then rename it over `target`."""
    handle, name = tempfile.mkstemp(
        dir=target.parent, prefix=f".{target.name[:40]}.", suffix=".tmp"
    )
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
