"""Prints all that a script can know of how it was started."""

import argparse
import atexit
import inspect
import multiprocessing
import os
import pickle
import sys
from concurrent.futures import ProcessPoolExecutor

import facts_sibling


class Point:
    def __init__(self, x):
        self.x = x


def double(x):
    return 2 * x


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("-m", "--model")
    parser.add_argument("rest", nargs="*")
    print(parser.parse_args())
    print(sys.argv)
    print(sys.path)
    print(__name__, __file__, __spec__, __doc__, __package__, __cached__, __builtins__)
    print(type(__loader__).__name__, __loader__.name, __loader__.path)
    print(sys.modules["__main__"].__dict__ is globals())
    print(inspect.getsource(double), inspect.getmodule(double))
    print(os.getcwd(), os.environ.get("FACTS_OF_THE_TEST"))
    print(sys.flags, sys.warnoptions, sys.excepthook is sys.__excepthook__)
    print(facts_sibling.ANSWER, facts_sibling.__file__)
    print(pickle.loads(pickle.dumps(Point(3))).x)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        print(list(pool.map(double, [1, 2])), pool.submit(Point, 4).result().x)
    print(repr(input()), repr(sys.stdin.read()), sys.stdout.isatty())


if __name__ == "__main__":
    atexit.register(print, "at exit")
    main()
    sys.exit(7)
