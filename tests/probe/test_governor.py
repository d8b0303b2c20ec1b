"""The governor keeps to its budget, gives back what it need not save, and gives up no site."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gainstage.probe.governor import FEWEST_LINES, MOST_STEPS, Effort, Governor
from gainstage.sketch.sampling import LINES


class Training:
    """Steps of known cost under a governor: `fixed` and, a line, `by_line` when measured."""

    def __init__(self, governor, *, step, fixed, by_line=0.0, idle=0.0):
        self.governor = governor
        self.step, self.fixed, self.by_line, self.idle = step, fixed, by_line, idle
        self.number = self.next = 0

    def run(self, steps):
        """The share spent in the last half of so many steps."""
        rest = spent = 0.0
        for i in range(steps):
            effort = self.governor.effort
            measured = self.number >= self.next
            cost = 0.0 if effort.asleep else self.idle
            if measured:
                lines = 10 * LINES if effort.lines is None else effort.lines
                cost = self.fixed + self.by_line * lines
                self.next = self.number + effort.every
            self.number += 1
            if i >= steps // 2:
                rest, spent = rest + self.step, spent + cost
            self.governor.see(seconds=self.step + cost, spent=cost, measured=measured)
        return spent / rest


def test_a_cheap_watch_is_left_as_it_is():
    governor = Governor(0.03, Effort(LINES, 1))
    Training(governor, step=0.1, fixed=0.002).run(200)
    assert governor.effort == Effort(LINES, 1)


def test_elements_are_given_up_before_steps():
    governor = Governor(0.02, Effort(None, 1))
    efforts = []
    training = Training(governor, step=0.1, fixed=0.003, by_line=0.0001)
    for _ in range(60):
        training.run(10)
        efforts.append(governor.effort)
    lines = [10**6 if e.lines is None else e.lines for e in efforts]
    first_with_fewer_steps = next(i for i, e in enumerate(efforts) if e.every > 1)
    assert lines[first_with_fewer_steps] == FEWEST_LINES
    assert governor.effort.every == 2


@settings(deadline=None, max_examples=60)
@given(
    st.floats(0.005, 0.2),
    st.floats(0.001, 0.3),
    st.floats(0.05, 3.0),
    st.floats(0.0, 0.02),
)
def test_the_budget_is_kept_whatever_a_step_costs(budget, step, fixed, idle):
    governor = Governor(budget, Effort(LINES, 1))
    training = Training(governor, step=step, fixed=fixed * step, idle=idle * step)
    training.run(20_000)
    assert training.run(20_000) <= 1.25 * budget
    assert 1 <= governor.effort.every <= MOST_STEPS


def test_steps_between_that_cost_too_much_are_not_recorded():
    governor = Governor(0.01, Effort(LINES, 1))
    Training(governor, step=0.002, fixed=0.0004, idle=0.0002).run(5000)
    assert governor.effort.asleep


def test_what_was_given_up_in_a_slow_moment_is_read_again():
    governor = Governor(0.02, Effort(LINES, 1))
    training = Training(governor, step=0.01, fixed=0.002)
    training.run(2000)
    assert governor.effort.every > 1
    training.fixed = 0.00001
    training.run(5000)
    assert governor.effort == Effort(LINES, 1)
