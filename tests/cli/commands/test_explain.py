"""`gainstage explain`."""

import pytest

from gainstage.diagnosis import RULES
from gainstage.diagnosis.rule import SECTIONS


def test_without_a_code_all_are_listed_with_their_titles(cli):
    told = cli("explain")
    lines = told.stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(RULES)
    for line, (_, rule) in zip(lines, RULES.items(), strict=True):
        assert line.endswith(rule.title)


@pytest.mark.parametrize("code", list(RULES))
def test_a_code_is_explained_by_the_whole_manual_of_its_rule(cli, code):
    told = cli("explain", code)
    assert told.exit_code == 0
    assert told.stdout.startswith(f"{code}: ")
    for section in SECTIONS:
        assert f"\n{section}:" in told.stdout
