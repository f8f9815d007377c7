"""The sentence of each verdict and what it lists as blocking, word for word."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from prodwatch.judge.decide import decide
from prodwatch.judge.facts import Facts, WindowFact
from prodwatch.model.result import Blocking
from prodwatch.model.signal import ReleasePhase, ReleaseState, SourcePhase
from prodwatch.model.status import Reason, Status
from tests.support.verdict_facts import check, comparison, coverage, facts, signal, signature, source

PASS, FAIL, ERROR = Status.PASS, Status.FAIL, Status.ERROR
UNSURE, WARN, SKIP = Status.INCONCLUSIVE, Status.DEGRADED, Status.SKIPPED
A, B = check("a"), check("b")
MOVING = ReleaseState(
    function="f", phase=ReleasePhase.SHIFTING, version="42", previous="41", weights={"41": 0.9, "42": 0.1}
)
OTHER = replace(MOVING, function="g")
BACK = replace(MOVING, phase=ReleasePhase.ROLLED_BACK, weights={"41": 1.0})
WORSE = comparison(FAIL)
NO_CHECKS: dict[str, Any] = {"mode": "gate", "runs_checks": False, "final": True}


def gate(*checks: Any, **changes: Any) -> Facts:
    """Return the facts of a bake that is over and proved its comparison of errors."""
    values = {"final": True, "require": "errors", "comparisons": (comparison(PASS),), **changes}
    return facts(*checks, mode="gate", **values)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (facts(A, check("b", FAIL)), "1 of 2 checks failed, first b: because b"),
        (facts(check("b", FAIL)), "1 of 1 check failed, first b: because b"),
        (facts(check("b", FAIL, message=None)), "1 of 1 check failed, first b."),
        (facts(check("a", FAIL), check("b", FAIL), A), "2 of 3 checks failed, first a: because a"),
        (facts(check("a", ERROR), B), "1 of 2 checks could not be measured, first a: because a"),
        (facts(check("a", UNSURE), B), "1 of 2 checks had too little evidence, first a: because a"),
        (facts(A, signals=(signal(FAIL),)), "metric p95 failed."),
        (facts(A, signals=(signal(FAIL, message="x"),)), "metric p95 failed: x"),
        (facts(A, signals=tuple(signal(FAIL, id=n) for n in "pqr")), "metric p failed (and 2 more)."),
        (
            facts(check("a", FAIL), signals=(signal(FAIL),)),
            "1 of 1 check failed, first a: because a; metric p95 failed.",
        ),
        (facts(A, B), "2 of 2 checks passed."),
        (facts(A), "1 of 1 check passed."),
        (facts(A, check("b", SKIP)), "1 of 2 checks passed, 1 skipped."),
        (facts(A, check("b", WARN)), "1 of 2 checks degraded, 1 passed."),
        (facts(A, B, check("c", WARN), check("d", SKIP)), "1 of 4 checks degraded, 2 passed, 1 skipped."),
        (facts(A, signals=(signal(WARN),)), "metric p95 degraded."),
        (facts(A, signals=(signal(WARN, message="x"), signal(WARN, id="q"))), "metric p95 degraded: x"),
        (facts(check("a", SKIP)), "Nothing was measured: the only check was skipped, a: because a"),
        (
            facts(check("a", SKIP), check("b", SKIP)),
            "Nothing was measured: all 2 checks were skipped, first a: because a",
        ),
        (facts(check("a", None)), "First round not finished: 1 of 1 check, first a."),
        (facts(A, check("b", None)), "First round not finished: 1 of 2 checks, first b."),
        (facts(A, check("b", age_s=900)), "Stale results: 1 of 2 checks, first b."),
        (facts(defined=False), "The checks have not been read yet."),
        (facts(), "No check is selected, so nothing proves that production works."),
        (facts(mode="run"), "No check is selected; `prodwatch list` shows what there is."),
        (facts(mode="run", allow_empty=True), "No check is selected, which --allow-empty allows."),
        (facts(mode="run", shard=(2, 3)), "No check falls into shard 2/3; merging the shards decides."),
        (
            facts(check("a", FAIL, advisory=True)),
            "Only advisory checks were selected, which never gate; not green: 1 of 1.",
        ),
        (
            facts(check("a", FAIL, advisory=True), check("b", advisory=True)),
            "Only advisory checks were selected, which never gate; not green: 1 of 2.",
        ),
        (
            facts(A, check("b", reason_code=Reason.INTERRUPTED), interrupted=130),
            "The run was interrupted: 1 of 2 checks had finished.",
        ),
        (facts(A, interrupted=143), "The run was terminated: 1 of 1 checks had finished."),
        (facts(A, sources=(source("alarms", SourcePhase.FAILED, message="denied"),)), "alarms cannot be read: denied."),
        (
            facts(A, sources=(source("alarms", SourcePhase.FAILED, message="denied", action="cloudwatch:X"),)),
            "alarms cannot be read: denied (needs cloudwatch:X).",
        ),
        (
            facts(A, sources=(source("alarms", SourcePhase.FAILED, message="no cloudwatch:X", action="cloudwatch:X"),)),
            "alarms cannot be read: no cloudwatch:X.",
        ),
        (facts(A, sources=(source("alarms", unread=("x", "y")),)), "alarms cannot be read as a whole: x; y."),
        (gate(A, comparisons=(WORSE,)), "The new version is worse: errors 5.1 % against 0.1 %."),
        (
            gate(A, comparisons=(WORSE, comparison(FAIL, "latency", evidence=0.1))),
            "The new version is worse: errors 5.1 % against 0.1 % (and 1 more).",
        ),
        (
            gate(A, signatures=(signature(FAIL),)),
            "The new version is worse: KeyError 'tenant': 5 requests, 0.4 % of the new version.",
        ),
        (
            gate(A, comparisons=(WORSE, comparison(FAIL, "latency")), signatures=(signature(FAIL),)),
            "The new version is worse: errors 5.1 % against 0.1 % (and 2 more).",
        ),
        (gate(A, comparisons=(comparison(UNSURE),)), "Harm is not excluded: errors 5.1 % against 0.1 %."),
        (gate(A, comparisons=()), "Harm is not excluded: the two versions were not compared."),
        (
            gate(A, comparisons=(), releases=(MOVING, OTHER)),
            "Harm is not excluded: the two versions of f, g were not compared.",
        ),
        (gate(A, not_compared=(MOVING,)), "No request since the release has been compared yet: f."),
        (facts(A, check("b", None), check("c", None)), "First round not finished: 2 of 3 checks, first b."),
        (
            gate(A, comparisons=(comparison(UNSURE), comparison(UNSURE, "latency"))),
            "Harm is not excluded: errors 5.1 % against 0.1 %.",
        ),
        (
            gate(A, comparisons=(comparison(PASS), *(comparison(WARN, "error_lines", message=text) for text in "xy"))),
            "x.",
        ),
        (facts(A, refused=Blocking(kind="run", id="account", status=ERROR, message="other account")), "other account"),
        (
            facts(A, refused=Blocking(kind="run", id="account", status=ERROR, message=None)),
            "The run could not measure anything.",
        ),
        (
            facts(check("a", None), sources=(source("session", SourcePhase.FAILED, message="no network"),)),
            "no network",
        ),
        (
            facts(check("a", None), sources=(source("session", SourcePhase.FAILED),)),
            "The session could not be started.",
        ),
        (gate(A, not_measured=("x y", "z")), "x y."),
        (gate(A, releases=(replace(BACK, function="g"), BACK)), "g: version 42 rolled back."),
        (
            facts(
                A, sources=tuple(source(name, SourcePhase.FAILED, message="denied") for name in ("alarms", "metrics"))
            ),
            "alarms cannot be read: denied.",
        ),
        (
            facts(A, sources=tuple(source(name, SourcePhase.STARTING, age_s=None) for name in ("alarms", "metrics"))),
            "Not read yet: alarms, metrics.",
        ),
        (gate(A, coverage=coverage(served=3)), "Too few routes: judged on 3 of 9 routes, 97 % of traffic."),
        (gate(A, coverage=coverage(served=9)), "1 of 1 check passed; judged on 9 of 9 routes, 97 % of traffic."),
        (gate(A, coverage=coverage(served=9), final=False), "1 of 1 check passed."),
        (gate(A, coverage=coverage(served=0, routes=0, needed=0.0)), "1 of 1 check passed."),
        (
            facts(**NO_CHECKS, require="errors", comparisons=(comparison(PASS),)),
            "No check was run then; harm is excluded.",
        ),
        (
            facts(**NO_CHECKS, require="none", signals=(signal(PASS),)),
            "No check was run then; no signal counts against it.",
        ),
        (
            facts(**NO_CHECKS, require="none"),
            "Nothing counts: no check runs in a window that is over, and no alarm or metric of it was measured.",
        ),
        (gate(A, comparisons=(comparison(PASS), comparison(WARN, "error_lines"))), "error_lines 5.1 % against 0.1 %."),
        (
            gate(A, check("b", WARN), comparisons=(comparison(PASS), comparison(WARN, "error_lines"))),
            "1 of 2 checks degraded, 1 passed.",
        ),
        (
            gate(A, signals=(signal(WARN),), comparisons=(comparison(PASS), comparison(WARN, "error_lines"))),
            "metric p95 degraded.",
        ),
        (gate(A, releases=(BACK,)), "f: version 42 rolled back."),
    ],
)
def test_the_sentence_of_a_verdict(given: Facts, sentence: str) -> None:
    assert decide(given).verdict.reason == sentence


@pytest.mark.parametrize(
    ("window", "sentence"),
    [
        (WindowFact(ended=True, incidents=("x", "y", "z"), worse_figures=("w",)), "x."),
        (WindowFact(ended=True, other_trouble=("x", "y"), worse_figures=("z",)), "x."),
        (WindowFact(ended=True, worse_figures=("x", "y", "z")), "x."),
        (WindowFact(ended=True, unseen=("x", "y")), "Not seen: x; y."),
        (WindowFact(ended=True, reading=("x",)), "The window is still being read."),
        (WindowFact(ended=True), "No trouble was seen, but no check was run then."),
        (WindowFact(ended=False, worse_figures=("x", "y", "z")), "Figures got worse: x."),
    ],
)
def test_the_sentence_about_a_window_names_the_first_of_what_was_seen(window: WindowFact, sentence: str) -> None:
    assert decide(facts(A, window=window, sources=(source(),))).verdict.reason == sentence


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (facts(check("a", FAIL, reason_code=Reason.TIMEOUT), check("b", FAIL, reason_code=Reason.CONNECT)), "timeout"),
        (
            facts(A, signals=(signal(FAIL, reason_code=Reason.NO_DATA), signal(FAIL, reason_code=Reason.TIMEOUT))),
            "no_data",
        ),
        (facts(A), None),
        (gate(A, comparisons=(WORSE,)), "assertion"),
        (
            facts(check("a", FAIL, reason_code=Reason.TIMEOUT), signals=(signal(FAIL, reason_code=Reason.NO_DATA),)),
            "timeout",
        ),
    ],
)
def test_the_first_check_or_signal_gives_the_code(given: Facts, code: str | None) -> None:
    assert decide(given).verdict.reason_code == code


def blocking(given: Facts) -> list[tuple[str, str, str, str | None]]:
    return [(each.kind, each.id, each.status.value, each.message) for each in decide(given).verdict.blocking]


NOT_COMPARED = "the two versions were not compared"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (gate(A, comparisons=()), [("comparison", "errors", "inconclusive", NOT_COMPARED)]),
        (gate(A, comparisons=(), releases=(MOVING,)), [("comparison", "f", "inconclusive", NOT_COMPARED)]),
        (
            gate(A, comparisons=(comparison(UNSURE),)),
            [("comparison", "f errors", "inconclusive", "errors 5.1 % against 0.1 %")],
        ),
        (
            gate(A, comparisons=(comparison(UNSURE),), releases=(OTHER,)),
            [
                ("comparison", "f errors", "inconclusive", "errors 5.1 % against 0.1 %"),
                ("comparison", "g", "inconclusive", NOT_COMPARED),
            ],
        ),
        (
            facts(check("a", SKIP, critical=True), check("b", FAIL), check("c", WARN), check("d", FAIL, advisory=True)),
            [
                ("check", "b", "fail", "because b"),
                ("check", "a", "inconclusive", "a critical check was skipped: because a"),
            ],
        ),
        (
            facts(A, check("b", SKIP, critical=True, message=None)),
            [("check", "b", "inconclusive", "a critical check was skipped: no reason given")],
        ),
        (facts(A, signals=(signal(FAIL, gate=False),)), []),
        (facts(A, signals=(signal(WARN),)), []),
        (
            facts(A, sources=(source("alarms", SourcePhase.STARTING, age_s=None),)),
            [("source", "alarms", "inconclusive", "not read yet")],
        ),
        (
            facts(A, sources=(source("alarms", SourcePhase.FAILED, message="denied"),)),
            [("source", "alarms", "inconclusive", "alarms cannot be read: denied")],
        ),
        (gate(A, comparisons=(comparison(PASS), comparison(WARN, "error_lines"))), []),
        (gate(A, not_measured=("x", "y")), [("run", "bake", "inconclusive", "x; y")]),
        (
            gate(A, coverage=coverage(served=3)),
            [("run", "coverage", "inconclusive", "judged on 3 of 9 routes, 97 % of traffic")],
        ),
        (facts(check("a", SKIP)), [("check", "a", "skipped", "because a")]),
        (facts(A, check("b", None)), [("check", "b", "inconclusive", "no round has finished")]),
        (
            gate(A, not_compared=(MOVING,)),
            [("comparison", "f", "inconclusive", "no request since the release has been compared yet")],
        ),
        (gate(A, releases=(BACK,)), [("release", "f", "fail", "f: version 42 rolled back")]),
        (facts(A, releases=(BACK,)), []),
        (
            facts(A, releases=(replace(BACK, weights={"41": 0.9, "42": 0.1}),)),
            [("release", "f", "inconclusive", "f: version 42 rolled back, and may still get traffic")],
        ),
    ],
)
def test_what_keeps_a_verdict_from_being_green(given: Facts, found: list[tuple[str, str, str, str | None]]) -> None:
    assert blocking(given) == found
