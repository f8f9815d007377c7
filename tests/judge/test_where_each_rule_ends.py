"""Where each rule of the verdict ends: the facts next to those that it is about, which it must not decide."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from prodwatch.judge.decide import decide, exit_code, not_worked_out
from prodwatch.judge.decision import Rule
from prodwatch.judge.facts import CheckFact, Facts
from prodwatch.judge.freshness import is_stale_check
from prodwatch.model.comparison import ComparedVersion
from prodwatch.model.exit_code import ExitCode
from prodwatch.model.identity import Place
from prodwatch.model.result import Blocking
from prodwatch.model.signal import ReleasePhase, ReleaseState, SourcePhase
from prodwatch.model.status import Reason, Status
from tests.support.verdict_facts import check, comparison, coverage, facts, signal, source

PASS, FAIL, ERROR = Status.PASS, Status.FAIL, Status.ERROR
UNSURE, WARN, SKIP = Status.INCONCLUSIVE, Status.DEGRADED, Status.SKIPPED
A = check("a")
MOVING = ReleaseState(
    function="f", phase=ReleasePhase.SHIFTING, version="42", previous="41", weights={"41": 0.9, "42": 0.1}
)
BACK = replace(MOVING, phase=ReleasePhase.ROLLED_BACK, weights={"41": 1.0})
LEFT = check("a", left_behind=True)


def gate(*checks: CheckFact, **changes: Any) -> Facts:
    """Return the facts of a bake that is over and proved its comparison of errors."""
    values = {"final": True, "require": "errors", "comparisons": (comparison(PASS),), **changes}
    return facts(*checks, mode="gate", **values)


def rules(given: Facts) -> set[Rule]:
    return {finding.rule for finding in decide(given).findings}


@pytest.mark.parametrize(
    ("given", "status", "rule"),
    [
        (facts(A, check("b", FAIL), releases=(BACK,)), "fail", Rule.FAILING),
        (facts(mode="run", signals=(signal(ERROR),)), "error", Rule.ERRORS),
        (facts(mode="run", signals=(signal(UNSURE),)), "inconclusive", Rule.INCONCLUSIVE),
        (facts(mode="run", signals=(signal(WARN),)), "empty", Rule.NOTHING_SELECTED),
        (facts(check("a", None), sources=(source("session", unread=("x",)),)), "error", Rule.REFUSED),
        (facts(check("a", None), sources=(source("alarms", SourcePhase.FAILED),)), "inconclusive", Rule.NO_ROUND),
        (facts(A, check("b", None, age_s=600)), "inconclusive", Rule.UNFINISHED),
        (facts(A, check("b", None, critical=True, muted=True)), "inconclusive", Rule.UNFINISHED),
        (facts(LEFT, mode="run"), "degraded", Rule.DEGRADED),
        (gate(LEFT), "degraded", Rule.DEGRADED),
        (facts(LEFT), "pass", Rule.PASSED),
        (gate(A, signals=(signal(FAIL, "alarm"),)), "fail", Rule.FAILING),
        (gate(A, signals=(signal(FAIL, "alarm"),), final=False), "fail", Rule.FAILING),
    ],
    ids=[
        "a failure outweighs a rollback",
        "a signal in error speaks without checks",
        "a signal without data speaks without checks",
        "a false warn does not",
        "a session that is read in part cannot start",
        "another source does not keep a session from starting",
        "a check without a round is unfinished, not stale",
        "and not skipped when it is muted",
        "a run that left data behind",
        "a gate that did",
        "a session goes on",
        "an alarm needs no second round in a gate",
        "nor the end of the bake",
    ],
)
def test_the_rule_that_decides(given: Facts, status: str, rule: Rule) -> None:
    decision = decide(given)
    assert (decision.verdict.status, decision.headline.rule) == (status, rule)


def test_without_a_fresh_check_none_was_skipped() -> None:
    assert Rule.ALL_SKIPPED not in rules(facts(check("a", age_s=600)))


def test_only_a_release_under_way_can_be_half_undone() -> None:
    other = replace(BACK, function="g")
    assert Rule.HALF_UNDONE in rules(facts(A, releases=(MOVING, other)))
    assert Rule.HALF_UNDONE not in rules(facts(A, releases=(BACK, other)))


def test_facts_that_a_bug_kept_from_being_judged_are_an_error() -> None:
    verdict = not_worked_out(ValueError("x"))
    assert (verdict.status, verdict.exit_code, verdict.reason_code) == ("error", ExitCode.ERROR, Reason.INTERNAL)
    assert "ValueError: x" in verdict.reason


def test_a_check_without_a_round_is_never_stale() -> None:
    assert not is_stale_check(check(status=None, age_s=10_000))
    assert is_stale_check(check(age_s=10_000))


def test_data_left_behind_by_what_ends_exits_3() -> None:
    assert exit_code("degraded", facts(LEFT, mode="run")) == ExitCode.ERROR
    assert exit_code("degraded", gate(LEFT)) == ExitCode.ERROR
    assert exit_code("degraded", facts(LEFT)) == ExitCode.OK
    assert exit_code("degraded", facts(LEFT, mode="run", strict=True)) == ExitCode.FAIL
    assert exit_code("pass", facts(LEFT, mode="run")) == ExitCode.OK


@pytest.mark.parametrize(
    ("rounds", "planned", "more", "too_few"),
    [
        (1, 2, {}, True),
        (None, 2, {}, True),
        (2, 3, {}, False),
        (0, 1, {}, False),
        (None, None, {}, False),
        (0, 40, {"status": SKIP}, False),
        (0, 40, {"advisory": True}, False),
    ],
)
def test_a_check_needs_more_than_half_of_its_rounds_when_more_than_one_fits_into_the_bake(
    rounds: int | None, planned: int | None, more: dict[str, Any], too_few: bool
) -> None:
    baked = check("b", **{"status": PASS, "rounds": rounds, "planned": planned, **more})
    assert (Rule.TOO_FEW_ROUNDS in rules(gate(A, baked))) is too_few
    assert Rule.TOO_FEW_ROUNDS not in rules(gate(A, baked, final=False))


def test_only_a_comparison_of_errors_proves_a_gate_and_only_its_end_asks_for_one() -> None:
    latency_alone = gate(A, comparisons=(comparison(PASS, "latency"),))
    assert Rule.UNPROVEN in rules(latency_alone)
    assert Rule.UNPROVEN not in rules(replace(latency_alone, final=False))
    assert Rule.UNPROVEN not in rules(replace(latency_alone, mode="session"))
    assert Rule.UNPROVEN not in rules(replace(latency_alone, require="none"))


def test_only_the_end_of_a_bake_asks_for_every_route() -> None:
    given = gate(A, coverage=coverage(served=1))
    assert Rule.UNCOVERED in rules(given)
    assert Rule.UNCOVERED not in rules(replace(given, final=False))


NO_REQUEST = replace(
    comparison(UNSURE), canary=ComparedVersion(version="42"), baseline=ComparedVersion(version="41", requests=9)
)
LEFT_ALONE = facts(A, releases=(MOVING,), comparisons=(NO_REQUEST,))


@pytest.mark.parametrize(
    ("given", "unused"),
    [
        (LEFT_ALONE, True),
        (replace(LEFT_ALONE, mode="gate"), True),
        (replace(LEFT_ALONE, releases=(replace(MOVING, phase=ReleasePhase.SUCCEEDED, weights={"42": 1.0}),)), True),
        (replace(LEFT_ALONE, releases=(replace(MOVING, weights={"41": 1.0}),)), False),
        (replace(LEFT_ALONE, releases=(replace(MOVING, weights={}),)), False),
        (replace(LEFT_ALONE, releases=(replace(MOVING, function="g"),)), False),
        (replace(LEFT_ALONE, releases=(replace(MOVING, place=Place(region="eu-north-1")),)), False),
        (replace(LEFT_ALONE, comparisons=(comparison(UNSURE),)), False),
        (replace(LEFT_ALONE, comparisons=(replace(NO_REQUEST, baseline=ComparedVersion(version="41")),)), False),
        (replace(LEFT_ALONE, comparisons=()), False),
    ],
    ids=[
        "the old version serves everything",
        "in a gate, before its end",
        "after the release",
        "before the shift",
        "weights that are not known",
        "another function",
        "another region",
        "both serve",
        "no request was read",
        "nothing is compared",
    ],
)
def test_a_new_version_with_a_share_of_the_traffic_and_no_request_is_not_green(given: Facts, unused: bool) -> None:
    decision = decide(given)
    assert (decision.headline.rule is Rule.UNUSED) is unused
    assert (decision.verdict.status == "inconclusive") is unused
    if unused:
        assert decision.verdict.reason_code is Reason.NO_DATA
        assert decision.verdict.reason == (
            "No request has reached version 42 of f: version 41 served all 9 requests that were read."
        )
        assert [(each.kind, each.id) for each in decision.verdict.blocking] == [("comparison", "f errors")]


UNPROVEN_SAMPLE = check("b", unattested=True)


@pytest.mark.parametrize(
    ("given", "unattested"),
    [
        (gate(UNPROVEN_SAMPLE, comparisons=()), True),
        (gate(UNPROVEN_SAMPLE, check("c", WARN, unattested=True), comparisons=()), True),
        (gate(UNPROVEN_SAMPLE, A, comparisons=()), False),
        (gate(UNPROVEN_SAMPLE, check("c", WARN), comparisons=()), False),
        (gate(check("c", ERROR), comparisons=()), False),
        (gate(UNPROVEN_SAMPLE), False),
        (facts(UNPROVEN_SAMPLE), False),
    ],
    ids=["alone", "each", "one that is proven", "one that is proven and degraded", "none", "served", "session"],
)
def test_samples_of_which_none_proves_its_version_prove_no_release(given: Facts, unattested: bool) -> None:
    assert (Rule.UNATTESTED in rules(given)) is unattested


def test_a_comparison_that_the_new_version_had_no_requests_for_serves_no_proof() -> None:
    idle = comparison(UNSURE)
    idle = replace(idle, canary=replace(idle.canary, requests=0))
    assert Rule.UNATTESTED in rules(gate(UNPROVEN_SAMPLE, comparisons=(idle,)))
    assert Rule.UNATTESTED not in rules(gate(UNPROVEN_SAMPLE, comparisons=(idle, comparison(PASS))))


@pytest.mark.parametrize(("kind", "counts"), [("error_lines", True), ("latency", False)])
def test_only_more_error_lines_degrade_without_failing(kind: Any, counts: bool) -> None:
    given = facts(A, comparisons=(comparison(WARN, kind, gate=False),))
    assert (Rule.DEGRADED in rules(given)) is counts


@pytest.mark.parametrize("mode", ["session", "gate"])
def test_a_version_that_is_worse_is_to_be_rolled_back(mode: Any) -> None:
    given = facts(A, mode=mode, releases=(MOVING,), comparisons=(comparison(FAIL),))
    assert decide(given).advice == "roll back"


def test_one_check_that_is_red_in_enough_rounds_is_enough() -> None:
    red = check("b", FAIL, streak=2)
    assert decide(facts(A, red, check("c", FAIL, streak=1), releases=(MOVING,))).advice == "roll back"


def test_versions_that_are_compared_are_not_reported_as_uncompared() -> None:
    assert decide(facts(A, releases=(MOVING,))).uncompared
    assert not decide(facts(A, releases=(MOVING,), comparisons=(comparison(UNSURE),))).uncompared


def test_every_release_of_a_gate_has_to_succeed() -> None:
    other = replace(BACK, function="g", version="8", previous="7", weights={"7": 1.0})
    decision = decide(gate(A, releases=(MOVING, other)))
    assert (decision.verdict.status, decision.headline.rule) == ("fail", Rule.WENT_WRONG)
    assert Rule.HALF_UNDONE in rules(facts(A, releases=(MOVING, other)))


def test_a_refused_gate_has_the_code_of_its_refusal() -> None:
    refused = Blocking(kind="run", id="prerequisite", status=UNSURE, message="An alarm was already firing.")
    decision = decide(gate(A, refused=refused, refused_code=Reason.PREREQUISITE))
    assert (decision.verdict.status, decision.verdict.reason_code) == ("inconclusive", Reason.PREREQUISITE)
    assert decide(gate(A, check("b", FAIL, streak=2), refused=refused)).verdict.status == "fail"


@pytest.mark.parametrize(
    ("given", "status", "rule"),
    [
        (gate(runs_checks=False), "pass", Rule.PASSED),
        (gate(runs_checks=False, comparisons=()), "inconclusive", Rule.UNPROVEN),
        (gate(runs_checks=False, not_measured=("x",)), "inconclusive", Rule.NOT_MEASURED),
        (gate(runs_checks=False, sources=(source("alarms", unread=("x",)),)), "inconclusive", Rule.SOURCE_UNREADABLE),
        (gate(runs_checks=False, require="none", comparisons=()), "inconclusive", Rule.NOTHING_SELECTED),
        (gate(runs_checks=False, require="none", signals=(signal(SKIP),)), "inconclusive", Rule.NOTHING_SELECTED),
        (gate(runs_checks=False, require="none", signals=(signal(PASS),)), "pass", Rule.PASSED),
        (gate(runs_checks=False, require="none", signals=(signal(FAIL),)), "fail", Rule.FAILING),
        (gate(), "inconclusive", Rule.NOTHING_SELECTED),
    ],
    ids=[
        "the proof that is required",
        "no proof",
        "a part was not measured",
        "a source was read in part",
        "nothing at all",
        "a signal without data",
        "a signal that was measured",
        "a signal that failed",
        "a live gate without checks",
    ],
)
def test_a_gate_in_which_no_check_can_run_rests_on_what_else_was_measured(
    given: Facts, status: str, rule: Rule
) -> None:
    decision = decide(given)
    assert (decision.verdict.status, decision.headline.rule) == (status, rule)
