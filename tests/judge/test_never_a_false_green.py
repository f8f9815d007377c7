"""Each rule that keeps a verdict from being green: with the fact it is not green, without it it is.

The pairs are chosen so that inverting or dropping any one rule turns one of them.
"""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from prodwatch.judge.decide import decide
from prodwatch.judge.decision import Rule
from prodwatch.judge.facts import CheckFact, Facts, WindowFact
from prodwatch.model.comparison import ComparedVersion
from prodwatch.model.exit_code import ExitCode
from prodwatch.model.result import Blocking
from prodwatch.model.signal import ReleasePhase, ReleaseState, SourcePhase
from prodwatch.model.status import Reason, Status
from tests.support.verdict_facts import check, comparison, coverage, facts, signal, signature, source

PASS, FAIL, ERROR = Status.PASS, Status.FAIL, Status.ERROR
UNSURE, WARN, SKIP = Status.INCONCLUSIVE, Status.DEGRADED, Status.SKIPPED
A = check("a")
MOVING = ReleaseState(
    function="f", phase=ReleasePhase.SHIFTING, version="42", previous="41", weights={"41": 0.9, "42": 0.1}
)
BACK = ReleaseState(function="f", phase=ReleasePhase.ROLLED_BACK, version="42", previous="41", weights={"41": 1.0})
NO_REQUEST = comparison(
    UNSURE, canary=ComparedVersion(version="42"), baseline=ComparedVersion(version="41", requests=9)
)
REFUSED = Blocking(kind="run", id="account", status=ERROR, message="another account")

RULES = [
    # facts, status, headline, the same facts without what the rule is about
    ("a failed check", facts(A, check("b", FAIL)), "fail", Rule.FAILING, facts(A, check("b"))),
    ("a failed check in a run", facts(A, check("b", FAIL), mode="run"), "fail", Rule.FAILING, facts(A, mode="run")),
    (
        "a firing alarm",
        facts(A, signals=(signal(FAIL, "alarm"),)),
        "fail",
        Rule.FAILING,
        facts(A, signals=(signal(PASS),)),
    ),
    (
        "a false expect of a metric",
        facts(A, signals=(signal(FAIL),)),
        "fail",
        Rule.FAILING,
        facts(A, signals=(signal(FAIL, gate=False),)),
    ),
    (
        "a false expect beside a run",
        facts(A, mode="run", signals=(signal(FAIL),)),
        "fail",
        Rule.FAILING,
        facts(A, mode="run", signals=(signal(PASS),)),
    ),
    ("a false expect alone", facts(mode="run", signals=(signal(FAIL),)), "fail", Rule.FAILING, None),
    ("a check in error", facts(A, check("b", ERROR)), "error", Rule.ERRORS, facts(A, check("b"))),
    (
        "a signal in error",
        facts(A, signals=(signal(ERROR),)),
        "error",
        Rule.ERRORS,
        facts(A, signals=(signal(ERROR, gate=False),)),
    ),
    ("a check without evidence", facts(A, check("b", UNSURE)), "inconclusive", Rule.INCONCLUSIVE, facts(A, check("b"))),
    (
        "a signal without data",
        facts(A, signals=(signal(UNSURE),)),
        "inconclusive",
        Rule.INCONCLUSIVE,
        facts(A, signals=(signal(SKIP),)),
    ),
    (
        "a critical check skipped",
        facts(A, check("b", SKIP, critical=True)),
        "inconclusive",
        Rule.CRITICAL_SKIPPED,
        facts(A, check("b", SKIP)),
    ),
    (
        "a critical check muted",
        facts(A, check("b", SKIP, critical=True, muted=True)),
        "inconclusive",
        Rule.CRITICAL_SKIPPED,
        facts(A, check("b", SKIP, muted=True)),
    ),
    (
        "all skipped",
        facts(check("a", SKIP), check("b", SKIP)),
        "inconclusive",
        Rule.ALL_SKIPPED,
        facts(A, check("b", SKIP)),
    ),
    (
        "all skipped in a run",
        facts(check("a", SKIP), mode="run"),
        "inconclusive",
        Rule.ALL_SKIPPED,
        facts(A, mode="run"),
    ),
    (
        "all that gate skipped",
        facts(check("a", SKIP), check("b", advisory=True)),
        "inconclusive",
        Rule.ALL_SKIPPED,
        facts(A, check("b", advisory=True)),
    ),
    (
        "all muted",
        facts(check("a", FAIL, muted=True)),
        "inconclusive",
        Rule.ALL_SKIPPED,
        facts(A, check("b", FAIL, muted=True)),
    ),
    (
        "only advisory ones, all skipped",
        facts(check("a", SKIP, advisory=True)),
        "inconclusive",
        Rule.ALL_SKIPPED,
        facts(check("a", FAIL, advisory=True)),
    ),
    (
        "only advisory ones, none measured",
        facts(check("a", None, advisory=True)),
        "inconclusive",
        Rule.NO_ROUND,
        facts(check("a", advisory=True)),
    ),
    (
        "only advisory ones, stale",
        facts(check("a", advisory=True, age_s=91)),
        "inconclusive",
        Rule.STALE_CHECKS,
        facts(check("a", advisory=True, age_s=90)),
    ),
    (
        "a stale result",
        facts(A, check("b", age_s=91)),
        "inconclusive",
        Rule.STALE_CHECKS,
        facts(A, check("b", age_s=90)),
    ),
    (
        "a stale result of a quick check",
        facts(A, check("b", every_s=5, age_s=61)),
        "inconclusive",
        Rule.STALE_CHECKS,
        facts(A, check("b", every_s=5, age_s=60)),
    ),
    ("no round of a check", facts(A, check("b", None)), "inconclusive", Rule.UNFINISHED, facts(A, check("b"))),
    ("no round at all", facts(check("a", None)), "inconclusive", Rule.NO_ROUND, facts(A)),
    (
        "a check without a result in a run",
        facts(A, check("b", None), mode="run"),
        "inconclusive",
        Rule.UNFINISHED,
        facts(A, mode="run"),
    ),
    ("checks not read yet", facts(defined=False), "inconclusive", Rule.NOTHING_DEFINED, facts(A, defined=False)),
    ("no checks", facts(), "inconclusive", Rule.NOTHING_SELECTED, facts(A)),
    (
        "only supporting checks",
        facts(check("a", supporting=True)),
        "inconclusive",
        Rule.NOTHING_SELECTED,
        facts(A, check("b", FAIL, supporting=True)),
    ),
    ("no checks in a run", facts(mode="run"), "empty", Rule.NOTHING_SELECTED, facts(A, mode="run")),
    (
        "only supporting checks in a run",
        facts(check("a", supporting=True), mode="run"),
        "empty",
        Rule.NOTHING_SELECTED,
        None,
    ),
    ("a refused run", facts(A, mode="run", refused=REFUSED), "error", Rule.REFUSED, facts(A, mode="run")),
    (
        "a missing shard",
        facts(A, mode="run", refused=replace(REFUSED, status=UNSURE)),
        "inconclusive",
        Rule.REFUSED,
        facts(A, mode="run"),
    ),
    (
        "a session that cannot start",
        facts(check("a", None), sources=(source("session", SourcePhase.FAILED),)),
        "error",
        Rule.REFUSED,
        facts(A, sources=(source("session"),)),
    ),
    (
        "a session that broke later",
        facts(A, sources=(source("session", SourcePhase.FAILED),)),
        "inconclusive",
        Rule.SOURCE_UNREADABLE,
        facts(A, sources=(source("session"),)),
    ),
    (
        "a rollback whose version still serves",
        facts(A, releases=(replace(BACK, weights={"41": 0.5, "42": 0.5}),)),
        "inconclusive",
        Rule.WENT_WRONG,
        None,
    ),
    (
        "a failed release that may still serve",
        facts(A, releases=(replace(BACK, phase=ReleasePhase.FAILED, weights={}),)),
        "inconclusive",
        Rule.WENT_WRONG,
        None,
    ),
    (
        "a rollback",
        facts(A, releases=(BACK,)),
        "degraded",
        Rule.WENT_WRONG,
        facts(A, releases=(replace(BACK, phase=ReleasePhase.SUCCEEDED),)),
    ),
    (
        "another function's rollback whose version still serves",
        facts(A, releases=(MOVING, replace(BACK, function="g", weights={"41": 0.5, "42": 0.5}))),
        "inconclusive",
        Rule.HALF_UNDONE,
        None,
    ),
    (
        "a rollback, and another function's version that still serves",
        facts(A, releases=(BACK, replace(BACK, function="g", weights={"41": 0.5, "42": 0.5}))),
        "inconclusive",
        Rule.WENT_WRONG,
        None,
    ),
    (
        "another function rolled back",
        facts(A, releases=(MOVING, replace(BACK, function="g"))),
        "degraded",
        Rule.HALF_UNDONE,
        facts(A, releases=(MOVING,)),
    ),
    ("a false warn", facts(A, check("b", WARN)), "degraded", Rule.DEGRADED, facts(A, check("b"))),
    (
        "a false warn of a metric",
        facts(A, signals=(signal(WARN),)),
        "degraded",
        Rule.DEGRADED,
        facts(A, signals=(signal(WARN, gate=False),)),
    ),
    (
        "the window up to now is not read to its end",
        facts(A, window=WindowFact(ended=False, reading=("logs",))),
        "inconclusive",
        Rule.READING_WINDOW,
        facts(A, window=WindowFact(ended=False)),
    ),
    (
        "figures that got worse",
        facts(A, window=WindowFact(ended=False, worse_figures=("x",))),
        "degraded",
        Rule.WORSE_FIGURES,
        facts(A, window=WindowFact(ended=False, other_trouble=("x",))),
    ),
]
RULES += [
    (
        f"{name} {phase}",
        facts(A, sources=(source(name, phase),)),
        "inconclusive",
        Rule.SOURCE_UNREADABLE,
        facts(A, sources=(source("traces", phase),)),
    )
    for phase in (SourcePhase.DENIED, SourcePhase.EXPIRED, SourcePhase.FAILED, SourcePhase.STOPPED, SourcePhase.WAITING)
    for name in ("alarms", "release", "metrics", "logs:/aws/lambda/o")
]
for name in ("alarms", "release", "metrics", "logs:/aws/lambda/o"):
    RULES += [
        (
            f"{name} read in part",
            facts(A, sources=(source(name, unread=("one account",)),)),
            "inconclusive",
            Rule.SOURCE_UNREADABLE,
            facts(A, sources=(source(name),)),
        ),
        (
            f"{name} not read yet",
            facts(A, sources=(source(name, SourcePhase.STARTING, age_s=None),)),
            "inconclusive",
            Rule.SOURCE_UNREAD,
            facts(A, sources=(source("traces", SourcePhase.STARTING),)),
        ),
        (
            f"{name} throttled from the start",
            facts(A, sources=(source(name, SourcePhase.THROTTLED, age_s=None),)),
            "inconclusive",
            Rule.SOURCE_UNREAD,
            facts(A, sources=(source(name, SourcePhase.THROTTLED),)),
        ),
    ]
RULES += [
    (
        f"{name} stale",
        facts(A, sources=(source(name, age_s=301),)),
        "inconclusive",
        Rule.SOURCE_STALE,
        facts(A, sources=(source(name, age_s=300),)),
    )
    for name in ("alarms", "release", "metrics")
]


def gate(*checks: CheckFact, **changes: Any) -> Facts:
    """Facts at the end of a bake, in which nothing is missing."""
    return facts(
        *checks, mode="gate", **{"final": True, "require": "errors", "comparisons": (comparison(PASS),), **changes}
    )


def baked(id_: str, status: Status = PASS, **changes: Any) -> CheckFact:
    return check(id_, status, **{"rounds": 20, "planned": 30, **changes})


B = baked("b")
RULES += [
    (
        "a worse version",
        facts(A, comparisons=(comparison(FAIL),)),
        "fail",
        Rule.WORSE,
        facts(A, comparisons=(comparison(FAIL, gate=False),)),
    ),
    ("a worse version in a gate", gate(B, comparisons=(comparison(FAIL),), final=False), "fail", Rule.WORSE, gate(B)),
    (
        "a signature bound to the new version",
        gate(B, signatures=(signature(FAIL),)),
        "fail",
        Rule.WORSE,
        gate(B, signatures=(signature(FAIL, gate=False),)),
    ),
    (
        "error lines",
        gate(B, comparisons=(comparison(PASS), comparison(WARN, "error_lines", gate=False))),
        "degraded",
        Rule.DEGRADED,
        gate(B),
    ),
    ("a rollback within a gate", gate(B, releases=(BACK,)), "fail", Rule.WENT_WRONG, gate(B, releases=(MOVING,))),
    ("two red rounds in a gate", gate(B, baked("c", FAIL, streak=2)), "fail", Rule.FAILING, None),
    ("one red round in a gate", gate(B, baked("c", FAIL)), "inconclusive", Rule.UNCONFIRMED, gate(B, baked("c"))),
    ("one red round of a critical check", gate(B, baked("c", FAIL, critical=True)), "fail", Rule.FAILING, gate(B)),
    ("a third of red rounds", gate(B, baked("c", FAIL, failed_share=0.3)), "fail", Rule.FAILING, None),
    (
        "twenty errors of forty rounds",
        gate(baked("c", rounds=20, planned=40)),
        "inconclusive",
        Rule.TOO_FEW_ROUNDS,
        gate(baked("c", rounds=21, planned=40)),
    ),
    (
        "a release of which no request was compared yet",
        facts(A, releases=(MOVING,), not_compared=(MOVING,)),
        "inconclusive",
        Rule.NOT_COMPARED,
        facts(A, releases=(MOVING,)),
    ),
    (
        "a new version without a request",
        facts(A, releases=(MOVING,), comparisons=(NO_REQUEST,)),
        "inconclusive",
        Rule.UNUSED,
        facts(A, releases=(MOVING,), comparisons=(comparison(UNSURE),)),
    ),
    (
        "a comparison that excludes nothing",
        gate(B, comparisons=(comparison(UNSURE),)),
        "inconclusive",
        Rule.UNPROVEN,
        gate(B, comparisons=(comparison(UNSURE),), require="none"),
    ),
    (
        "a metric of the new version that was not read",
        gate(B, comparisons=(comparison(PASS), comparison(UNSURE, "metric"))),
        "inconclusive",
        Rule.UNPROVEN,
        gate(B, comparisons=(comparison(PASS), comparison(UNSURE, "metric", gate=False))),
    ),
    (
        "a metric of the new version that was not read, where no proof is asked for",
        gate(B, comparisons=(comparison(UNSURE, "metric"),), require="none"),
        "inconclusive",
        Rule.UNPROVEN,
        gate(B, comparisons=(comparison(UNSURE),), require="none"),
    ),
    (
        "too few requests for latency",
        gate(B, comparisons=(comparison(PASS), comparison(UNSURE, "latency"))),
        "inconclusive",
        Rule.UNPROVEN,
        gate(B, comparisons=(comparison(PASS), comparison(UNSURE, "latency", gate=False))),
    ),
    (
        "a function of two that was not compared",
        gate(B, releases=(MOVING, replace(MOVING, function="g"))),
        "inconclusive",
        Rule.UNPROVEN,
        gate(B, releases=(MOVING,)),
    ),
    (
        "versions that were not compared",
        gate(B, comparisons=()),
        "inconclusive",
        Rule.UNPROVEN,
        gate(B, comparisons=(), require="none"),
    ),
    (
        "a route that was not served",
        gate(B, coverage=coverage(served=8)),
        "inconclusive",
        Rule.UNCOVERED,
        gate(B, coverage=coverage(served=9)),
    ),
    (
        "no route known",
        gate(B, coverage=coverage(served=0, routes=0)),
        "inconclusive",
        Rule.UNCOVERED,
        gate(B, coverage=coverage(served=0, routes=0, needed=0.0)),
    ),
    (
        "a part of a bake that was not measured",
        gate(B, not_measured=("40m from 12:02:00 to 12:42:00 UTC were not measured",)),
        "inconclusive",
        Rule.NOT_MEASURED,
        gate(B, not_measured=("40m from 12:02:00 to 12:42:00 UTC were not measured",), final=False),
    ),
    (
        "samples without a version alone",
        gate(baked("c", unattested=True), comparisons=(), require="none"),
        "inconclusive",
        Rule.UNATTESTED,
        gate(baked("c", unattested=True)),
    ),
]


@pytest.mark.parametrize(
    ("given", "status", "rule", "without"), [each[1:] for each in RULES], ids=[each[0] for each in RULES]
)
def test_what_is_not_known_to_be_good_is_not_green(
    given: Facts, status: str, rule: Rule, without: Facts | None
) -> None:
    decision = decide(given)
    assert (decision.verdict.status, decision.headline.rule) == (status, rule)
    assert decision.verdict.reason
    assert (decision.verdict.exit_code == 0) is (status == "degraded")
    nothing = {Rule.NOTHING_SELECTED, Rule.NOTHING_DEFINED}
    assert bool(decision.verdict.blocking) is (status != "degraded" and rule not in nothing)
    if without is not None:
        assert decide(without).verdict.status == "pass"


def test_every_rule_that_keeps_a_session_from_green_is_in_the_table() -> None:
    green = {Rule.PASSED, Rule.ADVISORY_ONLY}
    of_ended_windows = {Rule.INCIDENTS_THEN, Rule.TROUBLE_THEN, Rule.UNSEEN_THEN, Rule.QUIET_THEN}
    assert {each[3] for each in RULES} == set(Rule) - green - of_ended_windows - {Rule.INTERRUPTED}


@pytest.mark.parametrize(
    ("status", "more", "code"),
    [
        ("pass", {}, 0),
        ("pass", {"strict": True}, 0),
        ("degraded", {}, 0),
        ("degraded", {"strict": True}, 1),
        ("fail", {}, 1),
        ("fail", {"allow_empty": True}, 1),
        ("error", {}, 3),
        ("inconclusive", {}, 4),
        ("inconclusive", {"allow_empty": True, "strict": True}, 4),
    ],
)
@pytest.mark.parametrize("mode", ["run", "session"])
def test_one_mapping_gives_every_mode_its_exit_code(mode: Any, status: str, more: dict[str, Any], code: int) -> None:
    verdict = decide(facts(check("a", Status(status)), mode=mode, **more)).verdict
    assert (verdict.status, verdict.exit_code) == (status, code)


@pytest.mark.parametrize("mode", ["run", "session"])
@pytest.mark.parametrize("code", [ExitCode.INTERRUPTED, ExitCode.TERMINATED])
def test_an_interrupted_run_is_never_green_and_names_what_was_red(mode: Any, code: int) -> None:
    verdict = decide(facts(A, check("b", FAIL), mode=mode, interrupted=code)).verdict
    assert (verdict.status, verdict.exit_code, verdict.reason_code) == ("aborted", code, Reason.INTERRUPTED)
    assert [each.id for each in verdict.blocking] == ["b"]


def test_a_result_of_a_run_is_never_stale() -> None:
    assert decide(facts(check("a", age_s=6000), mode="run")).verdict.status == "pass"


def test_a_check_that_runs_once_is_never_stale() -> None:
    assert decide(facts(check("a", age_s=6000, every_s=None))).verdict.status == "pass"


def test_a_stale_failure_is_no_evidence_of_now() -> None:
    decision = decide(facts(A, check("b", FAIL, age_s=600)))
    assert (decision.verdict.status, decision.headline.rule) == ("inconclusive", Rule.STALE_CHECKS)


def test_log_groups_lag_without_being_stale() -> None:
    assert decide(facts(A, sources=(source("logs:/aws/lambda/o", age_s=3000),))).verdict.status == "pass"


@pytest.mark.parametrize(
    ("checks", "release", "advice"),
    [
        ([check("a", FAIL, streak=1)], MOVING, "confirm"),
        ([check("a", FAIL, streak=2)], MOVING, "roll back"),
        ([check("a", FAIL, streak=1, critical=True)], MOVING, "roll back"),
        ([check("a", FAIL, streak=2), *(check(str(n)) for n in range(4))], MOVING, "roll back"),
        ([check("a", FAIL, streak=2), *(check(str(n)) for n in range(5))], MOVING, "confirm"),
        ([check("a", FAIL, streak=3), *(check(str(n)) for n in range(5))], MOVING, "roll back"),
        ([check("a", FAIL, streak=2), *(check(str(n), advisory=True) for n in range(5))], MOVING, "roll back"),
        ([check("a", FAIL, failed_share=0.2)], MOVING, "confirm"),
        ([check("a", FAIL, failed_share=0.3)], MOVING, "roll back"),
        ([check("a", FAIL, streak=9)], BACK, None),
        ([check("a", FAIL, streak=9)], replace(MOVING, version=None), None),
        ([check("a", FAIL, streak=9)], None, None),
        ([check("a", ERROR, streak=9)], MOVING, None),
        ([check("a", PASS, streak=9)], MOVING, None),
    ],
)
def test_a_rollback_is_advised_after_enough_red_rounds(checks: Any, release: ReleaseState | None, advice: Any) -> None:
    given = facts(*checks, releases=(release,) if release else ())
    assert decide(given).advice == advice


@pytest.mark.parametrize("status", [FAIL, WARN])
def test_an_alarm_or_a_metric_needs_no_second_round(status: Status) -> None:
    advice = decide(facts(A, signals=(signal(status),), releases=(MOVING,))).advice
    assert advice == ("roll back" if status is FAIL else None)


@pytest.mark.parametrize("more", [{"mode": "run"}, {"window": WindowFact(ended=False)}], ids=["run", "triage"])
def test_only_a_session_that_watches_a_release_advises(more: Any) -> None:
    assert decide(facts(check("a", FAIL, streak=9), releases=(MOVING,), **more)).advice is None


@pytest.mark.parametrize(
    ("releases", "uncompared"),
    [
        ((MOVING,), True),
        ((replace(MOVING, phase=ReleasePhase.BAKING, weights={"42": 1.0}),), True),
        ((replace(MOVING, previous=None),), True),
        ((replace(MOVING, previous=None, weights={"42": 1.0}),), False),
        ((replace(MOVING, phase=ReleasePhase.SUCCEEDED),), False),
        ((replace(MOVING, phase=ReleasePhase.SUCCEEDED), replace(MOVING, function="g")), True),
        ((BACK,), False),
        ((), False),
    ],
)
def test_a13_two_versions_of_a_release_under_way_are_not_compared(releases: Any, uncompared: bool) -> None:
    assert decide(facts(A, releases=releases)).uncompared is uncompared
    assert decide(facts(A, releases=releases, window=WindowFact(ended=False))).uncompared is False


@pytest.mark.parametrize(
    ("window", "sources", "status", "rule"),
    [
        (WindowFact(ended=True, incidents=("x",), reading=("logs",)), (source(),), "fail", Rule.INCIDENTS_THEN),
        (
            WindowFact(ended=True, other_trouble=("x",), reading=("logs",)),
            (source(),),
            "inconclusive",
            Rule.READING_WINDOW,
        ),
        (WindowFact(ended=True), (), "inconclusive", Rule.READING_WINDOW),
        (WindowFact(ended=True, other_trouble=("x",), unseen=("y",)), (source(),), "degraded", Rule.TROUBLE_THEN),
        (WindowFact(ended=True, worse_figures=("x",)), (source(),), "degraded", Rule.TROUBLE_THEN),
        (WindowFact(ended=True, unseen=("y",)), (source(),), "inconclusive", Rule.UNSEEN_THEN),
        (WindowFact(ended=True), (source(),), "inconclusive", Rule.QUIET_THEN),
    ],
)
def test_a_window_that_has_ended_is_never_green(window: WindowFact, sources: Any, status: str, rule: Rule) -> None:
    decision = decide(facts(A, window=window, sources=sources))
    assert (decision.verdict.status, decision.headline.rule) == (status, rule)
    assert decision.verdict.reason


SENTENCES = [
    (facts(), "No check is selected, so nothing proves that production works."),
    (facts(mode="run"), "No check is selected; `prodwatch list` shows what there is."),
    (facts(mode="run", allow_empty=True), "No check is selected, which --allow-empty allows."),
    (facts(mode="run", shard=(2, 3)), "No check falls into shard 2/3; merging the shards decides."),
    (facts(A, check("b", FAIL)), "1 of 2 checks failed, first b: because b"),
    (facts(check("b", FAIL, message=None)), "1 of 1 check failed, first b."),
    (
        facts(A, check("b", UNSURE), check("c", SKIP, critical=True)),
        "2 of 3 checks had too little evidence, first b: because b",
    ),
    (facts(A, signals=(signal(FAIL, message="x"), signal(FAIL, id="q"))), "metric p95 failed (and 1 more): x"),
    (
        facts(check("b", ERROR), signals=(signal(ERROR),)),
        "1 of 1 check could not be measured, first b: because b; metric p95 could not be measured.",
    ),
    (facts(A, check("b", SKIP)), "1 of 2 checks passed, 1 skipped."),
    (facts(A, check("b", WARN), check("c", SKIP)), "1 of 3 checks degraded, 1 passed, 1 skipped."),
    (facts(A, signals=(signal(WARN, message="slow"),)), "metric p95 degraded: slow"),
    (
        facts(check("a", FAIL, advisory=True)),
        "Only advisory checks were selected, which never gate; not green: 1 of 1.",
    ),
    (facts(check("a", SKIP)), "Nothing was measured: the only check was skipped, a: because a"),
    (facts(check("a", SKIP), check("b", SKIP)), "Nothing was measured: all 2 checks were skipped, first a: because a"),
    (facts(A, check("b", age_s=91)), "Stale results: 1 of 2 checks, first b."),
    (facts(A, check("b", None)), "First round not finished: 1 of 2 checks, first b."),
    (
        facts(A, sources=(source(phase=SourcePhase.DENIED, message="no", action="x:Y"),)),
        "alarms cannot be read: no (needs x:Y).",
    ),
    (
        facts(A, sources=(source(unread=("one account", "one region")),)),
        "alarms cannot be read as a whole: one account; one region.",
    ),
    (
        facts(A, sources=(source(phase=SourcePhase.STARTING), source("release", SourcePhase.STARTING))),
        "Not read yet: alarms, release.",
    ),
    (facts(A, sources=(source(age_s=301),)), "Read too long ago to speak of now: alarms."),
    (facts(A, releases=(replace(BACK, cause="alarm x"),)), "f: version 42 rolled back: alarm x."),
    (
        facts(A, releases=(MOVING, replace(BACK, function="g"))),
        "g: version 42 rolled back, while another release goes on.",
    ),
    (facts(A, mode="run", refused=REFUSED), "another account"),
    (
        facts(check("a", None), sources=(source("session", SourcePhase.FAILED, message="no credentials"),)),
        "no credentials",
    ),
    (
        facts(A, check("b", SKIP, reason_code=Reason.INTERRUPTED), mode="run", interrupted=130),
        "The run was interrupted: 1 of 2 checks had finished.",
    ),
    (facts(A, mode="run", interrupted=143), "The run was terminated: 1 of 1 checks had finished."),
    (facts(window=WindowFact(ended=True, incidents=("x", "y"))), "x."),
]


@pytest.mark.parametrize(("given", "sentence"), SENTENCES, ids=[each[1][:40] for each in SENTENCES])
def test_the_reason_is_one_sentence(given: Facts, sentence: str) -> None:
    assert decide(given).verdict.reason == sentence


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (facts(A), None),
        (facts(A, check("b", FAIL, reason_code=Reason.TIMEOUT)), Reason.TIMEOUT),
        (facts(A, signals=(signal(FAIL, reason_code=Reason.ASSERTION),)), Reason.ASSERTION),
        (facts(A, check("b", SKIP, critical=True, reason_code=Reason.PREREQUISITE)), Reason.PREREQUISITE),
        (facts(A, check("b", WARN)), Reason.WARNING),
        (facts(check("a", SKIP)), Reason.ALL_SKIPPED),
        (facts(mode="run"), Reason.NOTHING_SELECTED),
        (facts(A, check("b", age_s=91)), Reason.NO_DATA),
        (facts(A, sources=(source(phase=SourcePhase.FAILED),)), Reason.NO_DATA),
    ],
)
def test_the_reason_code_is_that_of_the_headline(given: Facts, code: Reason | None) -> None:
    assert decide(given).verdict.reason_code == code


def test_what_blocks_is_named_once_the_worst_first() -> None:
    given = facts(
        check("unsure", UNSURE),
        check("old", age_s=600),
        check("gap", SKIP, critical=True),
        check("red", FAIL, critical=True),
        check("left out", SKIP),
        check("shown", FAIL, advisory=True),
        signals=(signal(ERROR, id="m"), signal(FAIL, "alarm", id="shown", gate=False)),
        sources=(source(phase=SourcePhase.DENIED), source("release", SourcePhase.STARTING)),
        releases=(replace(BACK, weights={"42": 1.0}),),
    )
    assert [(each.kind, each.id, each.status, each.message) for each in decide(given).verdict.blocking] == [
        ("check", "red", FAIL, "because red"),
        ("metric", "m", ERROR, None),
        ("check", "unsure", UNSURE, "because unsure"),
        ("check", "gap", UNSURE, "a critical check was skipped: because gap"),
        ("release", "f", UNSURE, "f: version 42 rolled back, and may still get traffic"),
        ("check", "old", UNSURE, "the latest result is stale"),
        ("source", "alarms", UNSURE, "alarms cannot be read: denied"),
        ("source", "release", UNSURE, "not read yet"),
    ]


def test_a_session_that_cannot_start_blocks_once() -> None:
    broken = facts(check("a", None), sources=(source("session", SourcePhase.FAILED),))
    assert [(each.kind, each.id, each.status) for each in decide(broken).verdict.blocking] == [
        ("source", "session", ERROR),
        ("check", "a", UNSURE),
    ]
