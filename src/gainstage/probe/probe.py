"""The probe: turns what the taps see of a training into frames.

A frame spans one iteration: the forward and backward passes up to a parameter update, and that
update. It is closed when the next backward begins, so that two optimisers stepping after one
backward, accumulated micro-batches and updates by hand all fall into place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gainstage.probe.byhand import ByHand
from gainstage.probe.calls import OpenCalls
from gainstage.probe.forward import Forward
from gainstage.probe.governor import Effort, Governor, Pace
from gainstage.probe.gradients import Gradients
from gainstage.probe.graph import shown
from gainstage.probe.guard import Guard, tap
from gainstage.probe.origins import note
from gainstage.probe.ownwork import OwnWork
from gainstage.probe.parameters import Parameters
from gainstage.probe.recorder import Recorder
from gainstage.probe.sink import Sink
from gainstage.probe.steppers import Steppers, has_closure, parameters_of, record_rates
from gainstage.sketch.compile import preparing_seconds


class Probe:
    """Receives events from taps, measures, and writes frames to a sink.

    Args:
        sink: where frames go.
        every: measure each `every`-th step only; the loss is recorded at each.
        lines: lines in a sample of a tensor; None reads every element.
        budget: what measuring may cost, as a share of the training's own time; None for what
            it costs.
        wanted: says by name which stages and parameters are measured; None for all.
        wait: seconds that a step may wait for others, to be written with them at once.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        every: int = 1,
        lines: int | None = None,
        budget: float | None = None,
        wanted: Callable[[str], bool] | None = None,
        wait: float = 0.0,
    ) -> None:
        self.recorder = Recorder(sink, lines=lines, wait=wait)
        governor = None if budget is None else Governor(budget, Effort(lines, every))
        self._pace = Pace(every, governor)
        self.hooks_seconds = 0.0  # that torch spends on calling our hooks, a step; taps see nothing
        self.guard = Guard(
            lambda tap, told: self.recorder.event("tap-off", tap, message=told), essential="frame"
        )
        self.parameters = Parameters(self.recorder, wanted)
        self.forward = Forward(self.recorder, self.guard, self.parameters.labels, wanted)
        self.facts: dict[str, Any] = {}
        self.on_frame: Callable[[int], None] = lambda _: None
        self.steppers = Steppers()
        self._backwards = self._losses = 0  # in all; those whose loss is in the current frame
        self._depth = 0
        self._steps: OpenCalls[torch.optim.Optimizer] = OpenCalls()
        self._stepped = self._evaluated = False  # the latter: a backward ran inside the step
        self.measuring = True  # the current step
        self._by_hand = ByHand(self.parameters, self.steppers, self.facts)
        self._leaves = self._by_hand.leaves
        self._gradients = Gradients()
        self._own_work = OwnWork(self.recorder, self.guard)
        self._skipped = self._closed = False  # so far, by it; the step makes its own gradients
        self.probe_seconds = 0.0
        """Time spent measuring, up to the last frame."""
        self._frame_seconds = -preparing_seconds()

    @tap("module")
    def add_model(self, model: nn.Module) -> None:
        """Learn the names of a model's modules and parameters."""
        self.forward.add_model(model)

    def add_optimizer(self, optimizer: torch.optim.Optimizer) -> None:
        """Learn of an optimiser, so that its parameters are known to be stepped by it."""
        if self.steppers.add(optimizer):
            self.facts["optimizers"] = self.steppers.names
            note(self.facts, "optimizer")

    def _look_ahead(self) -> None:
        step, pace = self.recorder.step, self._pace
        this = not self._stepped and pace.measures(step)
        over = self._stepped or not self.steppers.seen
        self.forward.measuring = this or (over and pace.measures_forward(step, over=True))
        self.forward.compiled.measure(on=self.forward.measuring)
        self._gradients.waits = self.recorder.looks_closer

    def before_backward(self, roots: Sequence[Tensor], weights: Any = None) -> None:
        """A backward pass from `roots` is about to run: the place where a frame is closed."""
        if self._depth == 0:
            n = self._backwards = self._backwards + 1
            often = n <= 3 or n & (n - 1) == 0
            if often or not self._leaves.is_complete():
                self._discover(roots, often)
            if self._steps.innermost is None:
                self.close_frame()  # may end the training: nothing is open yet
            self._begin(roots, weights)
        self._depth += 1

    def after_backward(self, grads: Sequence[tuple[Tensor, Tensor | None]] = ()) -> None:
        """The backward pass ended.

        Args:
            grads: gradients that were returned rather than accumulated, with their leaves.
        """
        self._end(grads)
        self._depth -= 1

    @tap("backward")
    def _discover(self, roots: Sequence[Tensor], thoroughly: bool) -> None:
        """Find and name the leaves of this graph, where they may be new."""
        self._leaves.discover(roots, thoroughly=thoroughly, owned=bool(self.steppers.owned()))
        if thoroughly:
            self.forward.criterion.note(shown(roots))

    @tap("backward")
    def _begin(self, roots: Sequence[Tensor], weights: Any) -> None:
        self._own_work.backward_begins()
        self.forward.stages.in_backward = True
        self._gradients.before_backward()
        self.forward.compiled.begin()
        if self._losses and self._steps.innermost is not None:
            return  # evaluations of a closure: the first backward has the step's loss
        self._losses += 1
        note(self.facts, "backward")
        if self._pace.sleeps(self.recorder.step):
            return
        self.forward.criterion.record(roots, weights, self.recorder)

    @tap("backward")
    def _end(self, grads: Sequence[tuple[Tensor, Tensor | None]]) -> None:
        if self._depth != 1:
            return
        self._own_work.backward_ended()
        self.forward.stages.in_backward = False
        self.forward.differentiated(measured=self.measuring)
        if self.measuring:
            self._by_hand.hold(grads)
            self._gradients.after_backward()
        self._evaluated = self._evaluated or self._steps.innermost is not None

    def before_step(
        self, optimizer: torch.optim.Optimizer, args: Sequence[Any] = (), kwargs: Any = None
    ) -> None:
        """An optimiser's ``step`` is about to run with these arguments; nested calls are one."""
        if self._evaluated and self._depth == 0 and self._steps.innermost is None:
            self.close_frame()  # the last step ran its own backward; no other will close it
        self._before_step(optimizer, has_closure(args, kwargs))

    @tap("optimizer")
    def _before_step(self, optimizer: torch.optim.Optimizer, closed: bool) -> None:
        self.add_optimizer(optimizer)
        note(self.facts, "step")
        nested = self._steps.innermost is not None
        self._steps.enter(optimizer)
        self._skipped = False
        if nested or self._pace.sleeps(self.recorder.step):
            return
        self._closed = closed
        if closed and not self._backwards:
            self.forward.expect_stages()
        parameters = parameters_of(optimizer)
        if not closed:
            self._gradients.judge(optimizer, parameters, self.recorder)
        if self.measuring:
            record_rates(optimizer, self.recorder)
            self.parameters.before(parameters, graded=not closed)

    @tap("optimizer")
    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimiser's ``step`` returned."""
        self._steps.leave(optimizer)
        self._stepped = True
        self.steppers.stepped()
        self._look_ahead()
        if self._steps.innermost is not None:
            return
        parameters = parameters_of(optimizer)
        if self._closed:
            self._gradients.judge(optimizer, parameters, self.recorder)
            if self.measuring:
                self.parameters.grade(parameters)
        if self.measuring:
            self.recorder.add_run(predicted_change=self.parameters.after(parameters))

    @tap("scaler")
    def before_scaler_step(self, scale: float) -> None:
        """A gradient scaler is about to step an optimiser, unless a gradient is not finite."""
        self._gradients.scale, self._skipped = scale, True
        self.recorder.scaled_by(scale)

    @tap("scaler")
    def after_scaler_step(self) -> None:
        """It did, or did not: then the iteration is over all the same."""
        self._gradients.scale = 1.0
        self.recorder.fold_run(max, skipped=self._skipped)
        if self._skipped:
            self._stepped = True
            self.steppers.stepped()
            self._look_ahead()
        self._skipped = False

    def close_frame(self, *, last: bool = False) -> None:
        """Write the current frame if its iteration is over, or if it is the `last` of all."""
        step = self.recorder.step
        self._close(last)
        if self.recorder.step != step:
            self.on_frame(self.recorder.step)

    @tap("frame")
    def _close(self, last: bool) -> None:
        if not (self.recorder.pending or self._losses):
            return
        leaves_held = self._by_hand.held()
        by_hand = self._by_hand.were_stepped(leaves_held)
        if not (by_hand or self._stepped or last or self._waited()):
            return
        if by_hand or (leaves_held and not last):  # at the end, the rest may simply be gone
            self.recorder.add_run(predicted_change=self.parameters.after(leaves_held))
        if by_hand:
            self.facts.update(self._by_hand.first_step(leaves_held, self.recorder))
        self._by_hand.over()
        self._stepped = self._evaluated = False
        self._losses = 0
        self._commit()
        if by_hand and not last:
            self.recorder.put_run(stale_grad=self._by_hand.are_stale(leaves_held))

    def _commit(self) -> None:
        guarded = self.guard.seconds - preparing_seconds()
        spent, self._frame_seconds = guarded - self._frame_seconds + self.hooks_seconds, guarded
        self.probe_seconds += spent
        recorder, step = self.recorder, self.recorder.step
        seconds = recorder.skip() if self._pace.sleeps(step) else recorder.commit(spent)
        effort = self._pace.passed(step, seconds=seconds, spent=spent)
        if effort is not None:
            recorder.reader.lines = effort.lines
            recorder.event("effort", lines=effort.lines, every=effort.every, asleep=effort.asleep)
        self.measuring = self._pace.measures(recorder.step)
        self._look_ahead()

    def _waited(self) -> bool:
        """Whether a backward without a step counts as a step by now."""
        waited, told = self.steppers.waited(self._leaves, off=self.guard.is_off("optimizer"))
        if told:
            self.recorder.event("no-optimizer-step", backwards=self._backwards)
        return waited

    def finish(self, *, failed: bool = False) -> None:
        """Write the last frame.

        Args:
            failed: the script raised; write also the forward pass that never came back, for the
                cause may be in it.
        """
        self.close_frame(last=True)
        if failed:
            self._flush_rest()
        self.flush()
        self.forward.stages.forget()

    @tap("frame")
    def flush(self) -> None:
        """Write the steps that wait for others."""
        self.recorder.flush()

    def ending(self) -> dict[str, Any]:
        """What a run's record says of its whole training, as fields of ``RunInfo``."""
        return {
            "facts": {**self.facts, **self.forward.facts},
            "seconds": self.recorder.seconds,
            "probe_seconds": self.probe_seconds,
        }

    def release(self) -> None:
        """Let go of the user's modules, optimisers and tensors; nothing more will come."""
        self.forward.release()
        self._steps.clear()
        self.parameters.release()
        self.steppers.release()
        self._leaves.clear()
        self._gradients.clear()

    @tap("frame")
    def _flush_rest(self) -> None:
        self.forward.stages.flush_all()
        if self.recorder.pending:
            self.recorder.commit(0.0)
