"""The child process in which a user's script runs, exactly as ``python train.py`` would run it.

The parent calls :func:`main` with ``{"run": "x.gs", ...}`` as JSON, then ``train.py --epochs 3``.

Nothing heavy is imported before the script asks for it: the probe arms itself the moment the
script imports torch, so environment variables that the script sets first still count.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib.machinery
import os
import platform
import runpy
import sqlite3
import sys
import time
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, TypeAlias

import msgspec

from gainstage import __version__
from gainstage.errors import GainstageError
from gainstage.probe.importing import TorchImport
from gainstage.probe.stdin import keep_input
from gainstage.probe.tracebacks import without_our_frames
from gainstage.records import RunInfo
from gainstage.store import Writer, rank_in, run_name

if TYPE_CHECKING:
    from gainstage.probe.probe import Probe

_INSISTENT: Final = 3
"""A script that swallows the polite stop this often is ended at once."""

_FEW_LINES: Final = 8
"""Lines in a sample where only the loss is asked for; updates by hand are seen by them."""

Changed: TypeAlias = Callable[[], AbstractContextManager[None]]
"""Changes torch as long as the script runs; called when torch has been imported."""


class Options(msgspec.Struct, frozen=True):
    """What the parent asks of the child.

    Attributes:
        run: path of the run file to write.
        steps: stop after that many steps; 0 for no limit.
        seconds: stop that long after the first step; 0 for no limit.
        module: the target is a module name, as with ``python -m``.
        detail: ``"loss"`` to record little but the loss, at little cost.
        stdin: file to which what the target reads from its standard input is copied; ``""``: none.
    """

    run: str
    steps: int = 0
    seconds: float = 0.0
    module: bool = False
    detail: Literal["exact", "loss"] = "exact"
    stdin: str = ""


class Session:
    """One observed execution: the run file, the probe once torch is there, and the limits."""

    def __init__(
        self, options: Options, target: Sequence[str], changed: Changed = nullcontext
    ) -> None:
        self.options = options
        self._changed = changed
        rank = rank_in(os.environ)
        self.info = RunInfo(
            id=run_name(Path(options.run)),
            started=time.time(),
            script=target[0],
            args=tuple(target[1:]),
            versions={
                "python": platform.python_version(),
                "gainstage": __version__,
                "sqlite": sqlite3.sqlite_version,
            },
            rank=rank and rank.number,
            world=rank.world if rank else 1,
        )
        self.writer = Writer(Path(options.run), self.info)
        self.probe: Probe | None = None
        self._taps = ExitStack()
        self._deadline = float("inf")
        self._stops = 0
        self._pid = os.getpid()
        self._path = list(sys.path)

    def arm(self) -> None:
        """Attach the probe; torch has just been imported."""
        light = self.options.detail == "loss"
        with self._own_imports():
            import torch  # noqa: PLC0415 - the script asked for it

            # before the probe, which then sees what comes of the changes
            self._taps.enter_context(self._changed())
            from gainstage.probe import taps  # noqa: PLC0415
            from gainstage.probe.functions import FunctionTap  # noqa: PLC0415
            from gainstage.probe.listeners import OnlyLosses  # noqa: PLC0415
            from gainstage.probe.probe import Probe  # noqa: PLC0415

        self.info.versions["torch"] = torch.__version__
        self.probe = Probe(self.writer, lines=_FEW_LINES if light else None)
        self.probe.on_frame = self._check_limits
        if not light:
            self._taps.enter_context(taps.every_module_tap(self.probe))
        self._taps.enter_context(taps.every_optimizer_tap(self.probe))
        self._taps.enter_context(taps.backward_tap(self.probe))
        forward = self.probe.forward
        self._taps.enter_context(FunctionTap(OnlyLosses(forward) if light else forward))

    def finish(self, status: str, outcome: str = "", *, detach: bool = True) -> None:
        """Write the last frame and how the script ended; detach."""
        if os.getpid() != self._pid:
            return
        learnt: dict[str, Any] = {}
        if self.probe is not None:
            self.probe.on_frame = lambda _: None
            self.probe.finish(failed=status == "failed")
            learnt = self.probe.ending()
        if detach:
            self._taps.close()
        ending = replace(self.info, status=status, outcome=outcome, **learnt)
        try:
            self.writer.finish(ending)
        except GainstageError as error:  # the script's own ending is what counts
            _tell(error)

    @contextlib.contextmanager
    def _own_imports(self) -> Iterator[None]:
        """Import as if the script had no folder: a ``numba.py`` beside it is none of ours."""
        theirs, sys.path = sys.path, self._path
        try:
            yield
        finally:
            sys.path = theirs

    def stopped_by(self, error: BaseException) -> bool:
        """Whether an exception is our own polite stop."""
        if not self._stops:
            return False
        from gainstage.probe.guard import StopTraining  # noqa: PLC0415

        return isinstance(error, StopTraining)

    def _check_limits(self, step: int) -> None:
        from gainstage.probe.guard import StopTraining  # noqa: PLC0415

        if step == 1 and self.options.seconds:
            self._deadline = time.monotonic() + self.options.seconds
        over = self.options.steps and step >= self.options.steps
        if not over and time.monotonic() < self._deadline:
            return
        self._stops += 1
        if self._stops > _INSISTENT:
            told = "the script caught the request to stop; it was ended"
            self.finish("stopped", told, detach=False)  # we are inside a tap
            sys.stdout.flush()
            os._exit(0)
        raise StopTraining


def run_script(path: str) -> None:
    """Execute a file as ``__main__``, with ``sys.path[0]`` and ``__file__`` as python sets them."""
    full = os.path.join(Path.cwd(), path)  # noqa: PTH118 - python keeps "./train.py" as it is
    if not getattr(sys.flags, "safe_path", False):
        sys.path.insert(0, str(Path(full).resolve().parent))
    main = types.ModuleType("__main__")
    main.__dict__.update(
        __file__=full,
        __builtins__=builtins,
        __loader__=importlib.machinery.SourceFileLoader("__main__", full),
        __cached__=None,
    )
    sys.modules["__main__"] = main
    code = compile(Path(full).read_bytes(), full, "exec", dont_inherit=True)
    exec(code, main.__dict__)  # noqa: S102 - running the user's script is the purpose


def run_module(name: str) -> None:
    """Execute a module by the function that ``python -m name`` calls."""
    if not getattr(sys.flags, "safe_path", False):
        sys.path.insert(0, str(Path.cwd()))
    sys.modules["__main__"] = types.ModuleType("__main__")
    runpy._run_module_as_main(name)  # type: ignore[attr-defined]  # noqa: SLF001


def main(argv: Sequence[str], changed: Changed = nullcontext) -> NoReturn:
    """Run the target under observation and leave with its own exit code.

    Args:
        argv: the options as JSON, then the target and its arguments.
        changed: changes torch as long as the script runs.
    """
    options = msgspec.json.decode(argv[0], type=Options)
    target = list(argv[1:])
    try:
        session = Session(options, target, changed)
    except GainstageError as error:
        _tell(error)
        sys.exit(2)
    sys.argv = target
    if "torch" in sys.modules:
        session.arm()
    else:
        sys.meta_path.insert(0, TorchImport(session.arm))
    if options.stdin:
        keep_input(options.stdin)
    sys.exit(_observe(session, target[0], module=options.module))


def _observe(session: Session, target: str, *, module: bool) -> Any:
    """Run the target; show and record how it ended; return its exit code."""
    try:
        if module:
            run_module(target)
        else:
            run_script(target)
    except SystemExit as leave:
        well = leave.code is None or (isinstance(leave.code, int) and leave.code == 0)
        session.finish("finished" if well else "failed", f"sys.exit({leave.code!r})")
        return leave.code
    except KeyboardInterrupt as error:
        session.finish("interrupted", "KeyboardInterrupt")
        _show(error)
        sys.excepthook = lambda *_: None  # shown already
        raise  # python runs what is to run at exit, then dies of the signal
    except BaseException as error:  # noqa: BLE001 - whatever the script raises is shown as it is
        if session.stopped_by(error):
            session.finish("stopped")
            return 0
        session.finish("failed", f"{type(error).__name__}: {error}")
        _show(error)
        return 1
    session.finish("finished")
    return 0


def _tell(error: GainstageError) -> None:
    sys.stderr.write(f"gainstage: {error}\n")


def _show(error: BaseException) -> None:
    without_our_frames(error)
    sys.excepthook(type(error), error, error.__traceback__)
