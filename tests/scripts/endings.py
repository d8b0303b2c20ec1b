"""Ends in the way that its argument names."""

import atexit
import sys
import traceback


class StopTraining(Exception):
    """A name that we use as well."""


class Odd:
    """What some main() returns."""

    def __eq__(self, other):
        raise RuntimeError("truth value is ambiguous")

    def __repr__(self):
        return "Odd()"


def inner():
    {}["missing"]


def chained():
    try:
        inner()
    except KeyError as error:
        raise ValueError("two\nlines") from error


def hook(kind, error, trace):
    print("own hook", kind.__name__, error, [f.name for f in traceback.extract_tb(trace)])
    sys.exit(5)


def interrupted():
    try:
        raise KeyboardInterrupt
    finally:
        print("finally")


def ours():
    raise StopTraining("the user's own")


def hooked():
    sys.excepthook = hook
    chained()


ENDINGS = {
    "falls off the end": lambda: None,
    "exit 0": lambda: sys.exit(0),
    "exit 3": lambda: sys.exit(3),
    "exit None": lambda: sys.exit(None),
    "exit text": lambda: sys.exit("text for stderr"),
    "exit odd": lambda: sys.exit(Odd()),
    "chained": chained,
    "own hook": hooked,
    "interrupted": interrupted,
    "same name": ours,
    "generator": lambda: next(iter(())),
}

if __name__ == "__main__":
    atexit.register(print, "at exit")
    print("begin")
    ENDINGS[sys.argv[1]]()
    print("end")
