"""Where in the user's code the optimiser was made, the backward pass called, the step taken."""

import inspect

import torch
from torch import nn

import gainstage as gs
from gainstage.probe.origins import users_line


def test_the_innermost_line_that_is_no_librarys_is_told():
    line = inspect.currentframe().f_lineno + 1
    assert users_line() == f"{__file__}:{line}"


def test_calls_through_libraries_lead_to_who_called_them():
    line = inspect.currentframe().f_lineno + 1
    (place,) = map(lambda _: users_line(), [0])  # noqa: C417
    assert place == f"{__file__}:{line}"


def test_code_without_a_file_has_no_place_of_its_own():
    line = inspect.currentframe().f_lineno + 1
    assert eval("users_line()") == f"{__file__}:{line}"  # noqa: S307


def test_a_run_knows_where_it_was_stepped(tmp_path):
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gs.watch(model, optimizer, dir=tmp_path) as run:
        for _ in range(2):
            start = inspect.currentframe().f_lineno
            model(torch.ones(1, 2)).sum().backward()
            optimizer.step()
    made = gs.open(run.path).info.facts["made"]
    assert made["backward"] == f"{__file__}:{start + 1}"
    assert made["step"] == f"{__file__}:{start + 2}"
