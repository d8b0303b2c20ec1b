"""The files of the page as they are shipped, and plotly.js as the ``plotly`` package ships it."""

from __future__ import annotations

import functools
import re
from importlib import resources
from typing import Final

_OWN_STYLE: Final = re.compile(r'document\.getElementById\("([0-9a-f]{64})"\)')

_WHOLE: Final = "() => {"
_BEGINS: Final = f'(typeof self !== "undefined" ? self : this, {_WHOLE}'
_ENDS: Final = "}));"

_STATIC: Final = resources.files("gainstage.render").joinpath("static")

MODULES: Final = tuple(sorted(f.name for f in _STATIC.iterdir() if f.name.endswith(".js")))
"""The ES modules of the page."""


def static_text(name: str) -> str:
    """A file of the page as it is shipped, with unix line ends (its hash depends on them)."""
    return _STATIC.joinpath(name).read_text(encoding="utf-8").replace("\r\n", "\n")


@functools.cache
def plotly_source() -> str:
    """plotly.js as the installed ``plotly`` package ships it, but for two brackets.

    All of it is one function, which a browser first skims and then reads again, for it cannot know
    that it is called at once; in brackets it is taken for such a one and read only once, which
    spares a sixth of a second. Where it is not found as it is known, nothing is changed.
    """
    source = resources.files("plotly").joinpath("package_data", "plotly.min.js")
    text = source.read_text(encoding="utf-8").replace("\r\n", "\n")
    head, begins, body = text.partition(_BEGINS)
    if not begins or not body.rstrip().endswith(_ENDS):
        return text
    return f"{head}{begins[: -len(_WHOLE)]}({_WHOLE}{body.rstrip()[: -len(_ENDS)]}}}){_ENDS[1:]}\n"


@functools.cache
def unneeded_styles(plotly: str) -> tuple[str, ...]:
    """Ids of the style elements (of its map library) that plotly adds unless it finds the id.

    No map is drawn here and the policy would refuse them aloud, so a page holds the ids already.
    """
    return tuple(sorted(set(_OWN_STYLE.findall(plotly))))
