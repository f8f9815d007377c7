"""What prodwatch's own requests cause is counted apart, in whatever order their ids become known."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from prodwatch.model.check import SourcePosition
from prodwatch.model.event import CheckFinished, CheckStarted, RunEvent
from prodwatch.model.identity import GroupId
from prodwatch.model.result import CheckResult, Correlation, StepResult
from prodwatch.model.signal import (
    Batch,
    LambdaReport,
    Level,
    LogRecord,
    MetricKey,
    MetricPoint,
    MetricSeries,
    ReleasePhase,
    ReleaseState,
    ServiceGraph,
    SourcePhase,
    SourceStatus,
    TraceSummary,
)
from prodwatch.model.status import Status
from prodwatch.store import Store, StoreLimits
from prodwatch.store.own_traffic import OwnTraffic
from prodwatch.testing.clock import START, FakeClock
from prodwatch.views.alarm_and_error_rows import signature_rows
from prodwatch.views.events_in_window import changes
from prodwatch.views.evidence import requests_on
from prodwatch.views.service_map import service_map
from prodwatch.views.time_window import Window
from prodwatch.views.traces import trace_table
from tests.support.read_logs import note_read

GROUP = "/aws/lambda/pay"
NOW_MS = int(START.timestamp() * 1000)
HERE = SourcePosition("checks/a.toml", 1, 1)
TRACE = "1-6566b2a5-0123456789abcdef01234567"
RELEASE = ReleaseState(
    function="pay",
    alias="live",
    phase=ReleasePhase.SHIFTING,
    version="42",
    previous="41",
    started_at=START - timedelta(minutes=10),
)


def line(
    message: str, *, request: str | None = None, trace: str | None = None, ago_s: float = 60, report: bool = False
) -> LogRecord:
    return LogRecord(
        timestamp_ms=NOW_MS - int(ago_s * 1000),
        message=message,
        group=GROUP,
        version="42",
        level=Level.PLATFORM if report else Level.ERROR,
        kind="report" if report else "app",
        request_id=request,
        trace_id=trace,
        event_id=f"{message}{request}{ago_s}",
        report=LambdaReport(duration_ms=5.0) if report else None,
    )


def lines(*records: LogRecord) -> Batch:
    return Batch(source=f"logs:{GROUP}", records=records)


STARTED = CheckStarted(id="a", at=START, trace_id=TRACE)
OWN_ERROR = line("MalformedMessageError", request="r-1")
REPORT = line("REPORT", request="r-1", trace=TRACE, report=True)
USERS = line("MalformedMessageError", request="r-2", ago_s=30)


def finished(**more: str) -> CheckFinished:
    ids = tuple(more.values())
    step = StepResult(
        name="s", type="http", status=Status.PASS, correlation=Correlation(trace_id=TRACE, request_ids=ids)
    )
    return CheckFinished(
        result=CheckResult(
            id="a", name="a", title="a", kind="smoke", type="flow", source=HERE, status=Status.PASS, steps=(step,)
        )
    )


def store_of(*told: RunEvent | Batch) -> Store:
    store = Store(FakeClock())
    store.apply(Batch(source="release", records=(RELEASE,)))
    for each in told:
        if isinstance(each, Batch):
            store.apply(each)
        else:
            store.apply_event(each)
    if f"logs:{GROUP}" not in store.sources:
        note_read(store, (GroupId(GROUP),), START - timedelta(hours=2))
    return store


ORDERS = list(itertools.permutations((STARTED, lines(OWN_ERROR), lines(REPORT))))


@pytest.mark.parametrize("order", [*ORDERS, (lines(OWN_ERROR, REPORT), STARTED), (STARTED, lines(OWN_ERROR, REPORT))])
def test_B12_an_error_of_an_own_request_is_not_the_releases(order: tuple[RunEvent | Batch, ...]) -> None:
    store = store_of(*order)
    table = signature_rows(store, START)
    (row,) = table.rows
    assert (row.new, row.on_new, table.new) == (False, 0, 0)
    assert (row.signature.count, row.signature.own, store.signatures.own) == (0, 1, 1)


@pytest.mark.parametrize(
    "order", list(itertools.permutations((finished(request="r-1"), lines(OWN_ERROR), lines(USERS))))
)
def test_B12_the_same_error_of_a_user_is_new_since_its_own_first_line(order: tuple[RunEvent | Batch, ...]) -> None:
    (row,) = signature_rows(store_of(*order), START).rows
    assert (row.new, row.on_new, row.signature.count, row.signature.own) == (True, 1, 1, 1)
    assert row.signature.first_ms == USERS.timestamp_ms


@pytest.mark.parametrize("order", [*ORDERS, (lines(OWN_ERROR, REPORT), STARTED), (STARTED, lines(OWN_ERROR, REPORT))])
def test_B12_lines_of_own_requests_are_counted_once_and_only_while_they_are_kept(
    order: tuple[RunEvent | Batch, ...],
) -> None:
    store = store_of(lines(USERS), *order)
    assert store.logs.own_lines == 2
    store.logs.set_aside(("r-1", TRACE, "r-0"))
    assert store.logs.own_lines == 2
    small = Store(FakeClock(), limits=StoreLimits(log_lines=2))
    small.apply_event(STARTED)
    for batch in (lines(OWN_ERROR, REPORT), lines(USERS), lines(line("other"))):
        small.apply(batch)
    assert small.logs.own_lines == 0


def test_B12_an_own_error_is_no_change_of_the_window() -> None:
    store = store_of(STARTED, lines(OWN_ERROR, REPORT))
    window = Window(start=START - timedelta(minutes=30))
    assert [each for each in changes(store, window, START).rows if each.kind == "errors"] == []
    store.apply(lines(USERS))
    assert [each.kind for each in changes(store, window, START).rows].count("errors") == 1


def trace(id_: str, *, fault: bool = False) -> TraceSummary:
    return TraceSummary(id=id_, start_ms=NOW_MS - 1000, duration_s=0.1, fault=fault)


def test_B12_own_traces_are_counted_apart() -> None:
    told: tuple[RunEvent | Batch, ...] = (
        Batch(source="traces", records=(trace(TRACE, fault=True), trace("1-b", fault=True), trace("1-c"))),
        STARTED,
    )
    for order in itertools.permutations(told):
        table = trace_table(store_of(*order))
        assert (table.faults, table.total, table.own) == (1, 2, 1)
        assert {row.id: row.own for row in table.rows} == {TRACE: True, "1-b": False, "1-c": False}
        assert [row.id for row in trace_table(store_of(*order), only_problems=True).rows] == ["1-b"]
        assert [row.id for row in trace_table(store_of(*order), needle="is:own").rows] == [TRACE]


@pytest.mark.parametrize(("until_ms", "included"), [(0, 1), (NOW_MS - 1000, 1), (NOW_MS - 999, 0)])
def test_B12_the_service_map_says_how_many_requests_are_own(until_ms: int, included: int) -> None:
    graph = ServiceGraph(
        part="now", start_ms=NOW_MS - 60_000, end_ms=NOW_MS, own_taken_out=7, without_own_until_ms=until_ms
    )
    store = store_of(STARTED, Batch(source="x", records=(graph, trace(TRACE), trace("1-b"))))
    found = service_map(store)
    assert found is not None
    assert (found.own, found.own_taken_out) == (included, 7)


def test_B12_own_traces_are_known_by_the_second_in_their_id() -> None:
    own = OwnTraffic()
    own.learn((TRACE, "r-1", "1-6566b2a6-0123456789abcdef01234567", "1-6566b2a5-short"))
    assert own.traces_between(0x6566B2A5, 0x6566B2A6) == [TRACE]
    assert own.traces_between(0x6566B2A4, 0x6566B2A5) == []


def test_B12_the_evidence_names_own_requests() -> None:
    key = MetricKey(
        "AWS/Lambda", "Invocations", (("FunctionName", "pay"), ("Resource", "pay:live")), "rate", "42", "requests/s"
    )
    points = (MetricPoint(int(START.timestamp()) // 60 * 60 - 120, 2.0),)
    store = store_of(
        STARTED, Batch(source="metrics", records=(MetricSeries(key=key, points=points, unit="Count/Second"),))
    )
    store.apply(lines(REPORT, line("REPORT", request="r-2", trace="1-b", report=True)))
    assert store.logs.invocations[GroupId(GROUP), "42"].count == 2
    assert requests_on(store, RELEASE) == "120 requests on v42, at least 1 of them prodwatch's own"


@pytest.mark.parametrize(
    ("before_s", "new"), [(None, False), (600, True), (60, True), (59, False), (0, False), (-30, False)]
)
def test_B12_an_error_is_new_only_where_lines_from_before_were_read(before_s: float | None, new: bool) -> None:
    assert RELEASE.started_at is not None
    read_from = None if before_s is None else RELEASE.started_at - timedelta(seconds=before_s)
    status = SourceStatus(source=f"logs:{GROUP}", phase=SourcePhase.LIVE, read_from=read_from)
    other = SourceStatus(source="logs:/aws/lambda/orders", phase=SourcePhase.LIVE, read_from=START)
    store = store_of(lines(USERS), Batch(source=status.source, status=status), Batch(source=other.source, status=other))
    assert signature_rows(store, START).new == int(new)


@pytest.mark.parametrize("status", list(Status))
def test_B12_the_first_outcome_of_a_check_is_no_change(status: Status) -> None:
    store = Store(FakeClock())
    result = CheckResult(id="a", name="a", title="a", kind="smoke", type="http", source=HERE, status=status)
    store.apply_event(CheckFinished(result=result))
    window = Window(start=START - timedelta(minutes=30))
    assert [each for each in changes(store, window, START).rows if each.kind == "check"] == []


def test_B12_known_ids_are_bounded_and_the_oldest_goes() -> None:
    own = OwnTraffic(capacity=2)
    assert own.learn(("a", None, "b", "a")) == ["a", "b"]
    assert own.learn(("b", "c")) == ["c"]
    assert ("a" in own, "b" in own, "c" in own, None in own) == (False, True, True, False)
