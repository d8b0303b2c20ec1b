"""Causes above their symptoms."""

from __future__ import annotations

import itertools

import pytest
import torch

import gainstage as gs
from gainstage.diagnosis.engine import rank
from gainstage.diagnosis.rule import RULES, Rule, rule
from gainstage.errors import UnknownNameError, UsageError
from gainstage.records import Finding


def finding(code: str, since: int = 0, confidence: float = 0.8, severity: str = "error") -> Finding:
    return Finding(code, severity, confidence, "0", since, f"{code}.")


def fake(code: str, *may_cause: str) -> Rule:
    return Rule(code, lambda _: (), tuple(may_cause), "")


CHAIN = {r.code: r for r in (fake("a", "b"), fake("b", "c"), fake("c"), fake("d"))}


def test_a_cause_comes_before_its_effect_whatever_their_confidence():
    ranked = rank([finding("b", confidence=0.95), finding("a", confidence=0.7)], CHAIN)
    assert [(f.code, f.because) for f in ranked] == [("a", ()), ("b", ("a",))]


def test_an_effect_cannot_precede_its_cause():
    ranked = rank([finding("b", since=3), finding("a", since=10, confidence=0.99)], CHAIN)
    assert all(f.because == () for f in ranked)


def test_a_warning_explains_nothing():
    ranked = rank([finding("b"), finding("a", severity="warning")], CHAIN)
    assert [(f.code, f.because) for f in ranked] == [("b", ()), ("a", ())]


def test_a_cause_in_two_minds_does_not_explain_what_is_plain():
    ranked = rank([finding("b", confidence=0.95), finding("a", confidence=0.62)], CHAIN)
    assert [(f.code, f.because) for f in ranked] == [("b", ()), ("a", ())]


def test_an_unsure_error_is_a_warning():
    (ranked,) = rank([finding("a", confidence=0.59)], CHAIN)
    assert ranked.severity == "warning"


def test_unrelated_findings_are_ordered_by_severity_then_confidence():
    ranked = rank(
        [finding("d", severity="warning", confidence=0.99), finding("a"), finding("c")], CHAIN
    )
    assert [f.code for f in ranked] == ["a", "c", "d"]


def test_consequences_follow_their_own_cause():
    ranked = rank([finding("d", confidence=0.85), finding("b"), finding("a")], CHAIN)
    assert [f.code for f in ranked] == ["d", "a", "b"]


@pytest.mark.parametrize("first", ["x", "y"])
def test_of_two_that_may_cause_each_other_the_earlier_is_the_cause(first):
    rules = {r.code: r for r in (fake("x", "y"), fake("y", "x"))}
    found = [finding(code, since=0 if code == first else 5) for code in ("x", "y")]
    ranked = rank(found, rules)
    assert (ranked[0].code, ranked[0].because) == (first, ())
    assert ranked[1].because == (first,)


def test_nothing_is_the_cause_of_its_own_cause():
    names = ("exploding-gradient", "overconfident-start", "oscillating-loss")
    sure = (0.90, 0.92, 0.95)
    found = [
        Finding(code, "error", confidence, "0", 0, "")
        for code, confidence in zip(names, sure, strict=True)
    ]
    ranked = rank(found, {code: RULES[code] for code in names})
    assert any(not finding.because for finding in ranked)
    assert not ranked[0].because


def test_ranks_count_from_one_and_nothing_is_lost_in_any_order():
    found = [finding(code) for code in "abcd"]
    for order in itertools.permutations(found):
        ranked = rank(list(order), CHAIN)
        assert [f.rank for f in ranked] == [1, 2, 3, 4]
        assert sorted(f.code for f in ranked) == ["a", "b", "c", "d"]


def test_an_unknown_code_is_met_with_the_nearest_ones():
    with pytest.raises(UnknownNameError, match="Did you mean 'dead-units'"):
        RULES["dead-unit"]


def test_a_rule_without_a_full_manual_is_refused_and_named():
    with pytest.raises(UsageError, match=r"The manual of no-manual in .* lacks a 'Problem:'"):

        @rule("no-manual")
        def check(_):
            return ()


@pytest.mark.parametrize("detail", ["exact", "sampled"])
def test_a_finding_that_rests_on_samples_says_so(tmp_path, detail):
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        *[layer for _ in range(12) for layer in (torch.nn.Linear(64, 64), torch.nn.Tanh())]
    )
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(0.2)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    x = torch.randn(128, 64)
    with gs.watch(net, optimizer, dir=tmp_path, detail=detail) as run:
        for _ in range(30):
            optimizer.zero_grad()
            (net(x) - x).square().mean().backward()
            optimizer.step()
    found = list(run.diagnose())
    assert found
    for one in found:
        assert one.evidence.get("sampled", False) is (detail == "sampled")
    if detail == "sampled":
        assert 0 <= found[0].evidence["relative_error_of_rms"] < 0.1
