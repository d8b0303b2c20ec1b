"""Scores that can be checked by hand."""

from __future__ import annotations

import pytest

from gainstage.bench.scoring import Case, confusion, score

RIGHT = Case("a", ("dead-units",), (), ("dead-units",), ("dead-units",), 2.0)
SECOND = Case("b", ("non-finite",), (), ("x",), ("x", "non-finite"), 4.0)
THIRD = Case("c", ("non-finite",), (), (), ("x", "y", "non-finite"), 6.0)
ALSO = Case("d", ("dead-units",), ("z",), ("z",), ("z",), 8.0)
MISSED = Case("e", ("dead-units",), (), (), (), 10.0, problem="it failed")
WELL = Case("f", ())
ALARMED = Case("g", (), (), ("x",), ("x", "y", "z"))
ALL = [RIGHT, SECOND, THIRD, ALSO, MISSED, WELL, ALARMED]


def test_what_is_right_first_among_two_and_anywhere():
    found = score(ALL)
    assert (found.sick, found.healthy) == (5, 2)
    assert (found.main, found.top_two, found.anywhere) == (2, 3, 4)
    assert found.unjudged == 1
    assert found.seconds == 4.0


def test_alarms_on_the_healthy_are_counted_by_severity_and_by_script():
    found = score(ALL)
    assert (found.false_errors, found.false_warnings, found.alarmed) == (1, 2, 1)


def test_an_alarm_on_a_sick_script_is_no_false_alarm():
    assert score([SECOND]).false_errors == 0


@pytest.mark.parametrize(("verified", "counts"), [(None, (0, 0)), (False, (1, 0)), (True, (1, 1))])
def test_remedies_count_only_where_they_were_looked_for(verified, counts):
    found = score([Case("a", ("x",), verified=verified), Case("b", (), verified=True)])
    assert (found.searched, found.verified) == counts


def test_no_scripts_have_a_score_too():
    assert score([]).seconds == 0.0


def test_confusion_counts_accepted_names_as_right():
    assert confusion(ALL) == [
        ("dead-units", "dead-units", 2),
        ("dead-units", "healthy", 1),
        ("healthy", "healthy", 1),
        ("healthy", "x", 1),
        ("non-finite", "x", 2),
    ]
