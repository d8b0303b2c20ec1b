"""Run by `python -m package.module`."""

import atexit
import pickle
import sys

from . import sibling


class Point:
    pass


def at_exit():
    print(type(pickle.loads(pickle.dumps(Point()))), sys.modules["__main__"].__name__)


print(sys.argv, sys.path[0], __name__, __file__, __spec__.name, __package__, sibling.ANSWER)
print(sys.modules["__main__"].__dict__ is globals())
atexit.register(at_exit)
if "raise" in sys.argv:
    raise ValueError("as asked")
