"""Equal facts give equal verdicts, whichever front end fills them in: a run's document or the dashboard's store."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from prodwatch.judge.decide import decide
from prodwatch.judge.decision import Decision, Rule
from prodwatch.model.check import CheckDefinition
from prodwatch.model.event import CheckFinished
from prodwatch.model.result import CheckResult, SignalResult
from prodwatch.model.signal import AlarmState, Batch, EvaluatedSignals, SourcePhase, SourceStatus
from prodwatch.model.status import WORST_FIRST, Status
from prodwatch.runner.run_result_document import run_facts
from prodwatch.session.gate_evidence import GateEvidence
from prodwatch.store import Store
from prodwatch.testing.clock import START, FakeClock
from prodwatch.testing.definitions import HERE, environment
from prodwatch.views.verdict import judge_session, verdict_line

FLAGS: tuple[tuple[str, ...], ...] = (
    (),
    ("advisory",),
    ("critical",),
    ("critical", "advisory"),
    ("muted",),
    ("muted", "critical"),
    ("muted", "advisory"),
    ("supporting",),
    ("flaky",),
    ("unattested",),
    ("mutating",),
)
KINDS = tuple(itertools.product(Status, FLAGS))
"""Every status with every flag that a result may carry."""
SIGNALS = tuple(itertools.product(Status, (True, False)))
SOURCES = (
    SourceStatus(source="alarms", phase=SourcePhase.LIVE, fresh_at=START),
    SourceStatus(source="alarms", phase=SourcePhase.STARTING),
    SourceStatus(source="alarms", phase=SourcePhase.THROTTLED),
    SourceStatus(source="alarms", phase=SourcePhase.DENIED, action="cloudwatch:DescribeAlarms"),
    SourceStatus(source="alarms", phase=SourcePhase.EXPIRED),
    SourceStatus(source="alarms", phase=SourcePhase.FAILED, message="no route"),
    SourceStatus(source="alarms", phase=SourcePhase.STOPPED),
    SourceStatus(source="alarms", phase=SourcePhase.LIVE, fresh_at=START, unread=("one account",)),
    SourceStatus(source="alarms", phase=SourcePhase.LIVE, fresh_at=START.replace(hour=11)),
    SourceStatus(source="traces", phase=SourcePhase.DENIED),
)


def result(check_id: str, status: Status, flags: tuple[str, ...]) -> CheckResult:
    return CheckResult(
        id=check_id,
        name=check_id,
        title=check_id,
        kind="smoke",
        type="http",
        status=status,
        flags=flags,
        message="because",
        started_at=START,
        source=HERE,
    )


def signal(number: int, status: Status, gate: bool) -> SignalResult:
    return SignalResult(kind="metric", id=f"m{number}", name=f"m{number}", status=status, gate=gate)


def filled(
    results: Iterable[CheckResult], signals: tuple[SignalResult, ...] = (), sources: Iterable[SourceStatus] = ()
) -> Store:
    """Return the store of a dashboard that saw these results, signals and sources."""
    store = Store(FakeClock())
    for each in results:
        store.apply_event(CheckFinished(result=each))
    store.apply(Batch(source="metrics", records=(EvaluatedSignals(kind="metric", results=signals),)))
    for status in sources:
        store.apply(Batch(source=status.source, status=status))
    return store


def same(run: Decision, session: Decision) -> bool:
    """Return whether two verdicts agree; without any check a run is empty, while a session goes on waiting for one."""
    if run.verdict.status == "empty":
        return (session.verdict.status, session.headline.rule) == ("inconclusive", Rule.NOTHING_SELECTED)
    return (
        (run.verdict.status, run.verdict.exit_code) == (session.verdict.status, session.verdict.exit_code)
        and run.headline.rule is session.headline.rule
        and run.verdict.reason == session.verdict.reason
        and run.verdict.blocking == session.verdict.blocking
    )


def test_every_pair_of_check_results_has_one_verdict() -> None:
    for one, other in itertools.product(KINDS, repeat=2):
        results = (result("a", *one), result("b", *other))
        store = filled(results)
        assert same(decide(run_facts(results)), judge_session(store, START).decision), (one, other)
        assert verdict_line(store, START).status == judge_session(store, START).decision.verdict.status


def test_every_pair_of_a_check_and_a_signal_has_one_verdict() -> None:
    for kind, of_signal in itertools.product(KINDS, SIGNALS):
        results, signals = (result("a", *kind),), (signal(1, *of_signal),)
        run, session = decide(run_facts(results, signals)), judge_session(filled(results, signals), START).decision
        if run.verdict.status == "empty" or not {Rule.NOTHING_SELECTED} & {each.rule for each in session.findings}:
            assert same(run, session), (kind, of_signal)
        else:  # a run may rest on signals alone; in a session, no check is a doubt that a red signal outweighs
            assert session.verdict.status == run.verdict.status != "pass", (kind, of_signal)


@pytest.mark.parametrize("source", SOURCES, ids=lambda each: f"{each.source} {each.phase} {each.fresh_at}")
def test_every_state_of_a_source_weighs_the_same_in_every_mode(source: SourceStatus) -> None:
    for kind in KINDS:
        results = (result("a", *kind), result("b", Status.PASS, ()))
        session = judge_session(filled(results, sources=(source,)), START)
        run = decide(replace(run_facts(results), sources=session.facts.sources))
        assert same(run, session.decision), kind


@pytest.mark.parametrize("status", Status)
def test_a_flag_of_the_definition_counts_like_one_of_the_result(status: Status) -> None:
    for advisory, critical in itertools.product((False, True), repeat=2):
        flags = tuple(name for name, on in (("advisory", advisory), ("critical", critical)) if on)
        outcome = result("a", status, ())
        store = Store(FakeClock())
        store.define(
            [
                CheckDefinition(
                    id="a", name="a", title="a", type="http", source=HERE, advisory=advisory, critical=critical
                )
            ]
        )
        store.apply_event(CheckFinished(result=outcome))
        flagged = decide(run_facts([replace(outcome, flags=flags)]))
        assert judge_session(store, START).decision.verdict.status == flagged.verdict.status


def test_a_check_that_a_round_by_hand_ran_for_another_one_still_counts() -> None:
    store = Store(FakeClock())
    store.define([CheckDefinition(id="a", name="a", title="a", type="http", source=HERE)])
    store.apply_event(CheckFinished(result=result("a", Status.FAIL, ("supporting",))))
    assert judge_session(store, START).decision.verdict.status == "fail"


EVIDENCE = st.tuples(
    st.lists(st.sampled_from(KINDS), max_size=5),
    st.lists(st.sampled_from(SIGNALS), max_size=3),
    st.lists(st.sampled_from(SOURCES), max_size=2, unique_by=lambda each: each.source),
)
GREENNESS = {str(status): place for place, status in enumerate(WORST_FIRST)}


@given(EVIDENCE, st.randoms(use_true_random=False))
def test_the_order_of_facts_never_matters(drawn: tuple[Any, Any, Any], random: Any) -> None:
    kinds, signals, sources = drawn
    results = [result(f"c{number}", *each) for number, each in enumerate(kinds)]
    measured = tuple(signal(number, *each) for number, each in enumerate(signals))
    shuffled = list(results)
    random.shuffle(shuffled)
    one = judge_session(filled(results, measured, sources), START).decision.verdict
    other = judge_session(filled(shuffled, measured[::-1], sources[::-1]), START).decision.verdict
    assert (one.status, one.exit_code) == (other.status, other.exit_code)


@given(EVIDENCE, st.sampled_from(KINDS), st.sampled_from(SIGNALS))
def test_more_evidence_never_makes_a_verdict_greener_unless_it_is_the_first_that_counts(
    drawn: tuple[Any, Any, Any], kind: Any, of_signal: Any
) -> None:
    kinds, signals, sources = drawn
    results = [result(f"c{number}", *each) for number, each in enumerate(kinds)]
    measured = tuple(signal(number, *each) for number, each in enumerate(signals))
    before = judge_session(filled(results, measured, sources), START).decision
    more = judge_session(filled([*results, result("new", *kind)], measured, sources), START).decision
    further = judge_session(filled(results, (*measured, signal(99, *of_signal)), sources), START).decision
    assert GREENNESS[further.verdict.status] <= GREENNESS[before.verdict.status]
    nothing_counted = {Rule.NOTHING_SELECTED, Rule.NOTHING_DEFINED, Rule.ALL_SKIPPED, Rule.ADVISORY_ONLY}
    if not nothing_counted & {each.rule for each in before.findings}:
        assert GREENNESS[more.verdict.status] <= GREENNESS[before.verdict.status]


@pytest.mark.parametrize(("state", "status"), [("ALARM", "fail"), ("OK", "pass"), ("INSUFFICIENT_DATA", "pass")])
def test_an_alarm_whose_state_is_known_counts_although_none_was_evaluated(state: Any, status: str) -> None:
    store = filled([result("a", Status.PASS, ())])
    store.apply(Batch(source="alarms", records=(AlarmState(name="errors", state=state),)))
    assert judge_session(store, START).decision.verdict.status == status


ONLY_OF_A_GATE = {Rule.UNCONFIRMED, Rule.UNATTESTED}
"""Rules that a gate alone has before its bake is over."""


def gate_decision(store: Store, *, final: bool = False) -> Decision:
    """Return the verdict of a gate whose checks count, over the store of a dashboard."""
    evidence = GateEvidence(environment(), store)
    evidence.plan((), START, START, None)
    evidence.begin(START)
    return decide(evidence.facts(START, (), final=final))


def test_the_same_facts_have_one_verdict_in_a_gate_and_in_the_dashboard() -> None:
    for kind, of_signal in itertools.product(KINDS, SIGNALS):
        results, signals = (result("a", *kind), result("b", Status.PASS, ())), (signal(1, *of_signal),)
        store = filled((*results, *results, *results), signals)  # red in three rounds, which is enough for both
        gate, session = gate_decision(store), judge_session(store, START).decision
        if not ONLY_OF_A_GATE & {each.rule for each in gate.findings}:
            assert same(gate, session), (kind, of_signal)
        assert GREENNESS[gate.verdict.status] <= GREENNESS[session.verdict.status], (kind, of_signal)


@pytest.mark.parametrize("source", SOURCES, ids=lambda each: f"{each.source} {each.phase} {each.fresh_at}")
def test_every_state_of_a_source_weighs_the_same_in_a_gate(source: SourceStatus) -> None:
    for status in Status:
        results = (result("a", status, ()),) * 2
        store = filled(results, sources=(source,))
        assert same(gate_decision(store), judge_session(store, START).decision), status


@given(EVIDENCE)
def test_a_gate_is_never_greener_than_the_dashboard_unless_a_check_was_red_once(drawn: tuple[Any, Any, Any]) -> None:
    kinds, signals, sources = drawn
    results = [result(f"c{number}", *each) for number, each in enumerate(kinds)]
    measured = tuple(signal(number, *each) for number, each in enumerate(signals))
    store = filled(results, measured, sources)
    session = judge_session(store, START).decision.verdict
    for final in (False, True):
        gate = gate_decision(store, final=final)
        if gate.of(Rule.UNCONFIRMED) is None:
            assert GREENNESS[gate.verdict.status] <= GREENNESS[session.status]
        else:
            assert gate.verdict.status != "pass"
