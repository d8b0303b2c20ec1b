"""The live server: the page of a report, with a folder of runs behind it, as they are written.

It reads and never writes, and never loads torch. :mod:`gainstage.render.live.guard` decides who
may ask, :mod:`gainstage.render.live.shelf` what there is, and
:mod:`gainstage.render.live.answers` what is told.
"""

from gainstage.render.live.server import serve as serve
