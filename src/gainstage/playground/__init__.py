"""The playground: what the page's sliders ask for, computed by the library's own functions.

It is the page's other process: the server loads no torch, and asks
:mod:`gainstage.playground.launch` through a pipe. A question (:mod:`gainstage.questions`) goes in,
plain data come out.
"""
