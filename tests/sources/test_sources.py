"""Sources report new records once, report their status, and do not affect each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from prodwatch.aws.interface import AwsError
from prodwatch.errors import CannotVerifyError
from prodwatch.model.check import SourcePosition
from prodwatch.model.environment import (
    VERSION_MARK,
    AlarmTarget,
    Environment,
    FunctionTarget,
    LogTarget,
    MetricTarget,
    ReleaseTarget,
)
from prodwatch.model.signal import (
    AlarmState,
    Batch,
    EvaluatedSignals,
    LogRecord,
    MetricSeries,
    ReleaseEvent,
    ReleaseState,
    SourcePhase,
    SourceStatus,
    TraceSummary,
)
from prodwatch.model.status import Reason, Status
from prodwatch.sources.alarms import AlarmSource
from prodwatch.sources.backoff import Backoff
from prodwatch.sources.build_sources import build_sources
from prodwatch.sources.error_status import DENIED_EVERY_S
from prodwatch.sources.lambda_metrics import FunctionVersions, RawSeries, derived_series, raw_keys, series_key
from prodwatch.sources.logs.events import RawEvent
from prodwatch.sources.logs.source import LogSource
from prodwatch.sources.metrics import MetricSource
from prodwatch.sources.redaction import SignalRedactor
from prodwatch.sources.release.source import ReleaseSource
from prodwatch.sources.supervisor import Supervisor
from prodwatch.sources.traces import TraceSource
from prodwatch.store.store import Store
from prodwatch.testing.aws import ScriptedAws
from prodwatch.testing.clock import START, FakeClock
from prodwatch.text.redact import Redactor
from prodwatch.views.metric_rows import rows_of

SINCE = START - timedelta(minutes=10)
MS = int(START.timestamp() * 1000)


def calm() -> Backoff:
    return Backoff(uniform=lambda low, high: high)


def follow(source: Any, results: list[Batch]) -> asyncio.Task[None]:
    """Collect a source's batches in the background."""

    async def run() -> None:
        async with aclosing(source.batches()) as batches:
            async for batch in batches:
                results.append(batch)  # noqa: PERF401 -- others read the list meanwhile

    return asyncio.create_task(run())


async def collect(source: Any, clock: FakeClock, seconds: float) -> list[Batch]:
    """Run a source for some virtual time."""
    results: list[Batch] = []
    task = follow(source, results)
    for _ in range(int(seconds * 2)):
        await clock.advance(0.5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return results


def records(batches: list[Batch], kind: type[Any]) -> list[Any]:
    return [record for batch in batches for record in batch.records if isinstance(record, kind)]


def phases(batches: list[Batch]) -> list[SourcePhase]:
    seen: list[SourcePhase] = []
    for batch in batches:
        if batch.status and batch.status.phase not in seen[-1:]:
            seen.append(batch.status.phase)
    return seen


def line(event: RawEvent, group: str, late_ms: int) -> LogRecord:
    return LogRecord(event.timestamp, event.message, group, event_id=event.event_id, late_ms=late_ms)


def log_events(*numbers: int) -> dict[str, Any]:
    return {
        "events": [
            {"timestamp": MS + n, "message": f"line {n}", "eventId": str(n), "logStreamName": "s", "ingestionTime": MS}
            for n in numbers
        ]
    }


def log_source(aws: ScriptedAws, clock: FakeClock, *groups: str) -> LogSource:
    targets = [LogTarget(group=group) for group in groups]
    return LogSource(aws, targets, clock=clock, parse=line, since=SINCE, backoff=calm)


async def test_lines_of_several_groups_are_reported_once(aws: ScriptedAws) -> None:
    clock = FakeClock()
    aws.answers["logs:FilterLogEvents"] = lambda params: log_events(1, 2) if params["logGroupName"] == "a" else {}
    results = await collect(log_source(aws, clock, "a", "b"), clock, 20)
    assert [record.message for record in records(results, LogRecord)] == ["line 1", "line 2"]
    assert {batch.status.source for batch in results if batch.status} == {"logs:a", "logs:b"}


async def test_a_prefix_brings_groups_that_appear_while_watching(aws: ScriptedAws) -> None:
    clock = FakeClock()
    aws.answers["logs:DescribeLogGroups"] = lambda _: {
        "logGroups": [{"logGroupName": "/x/a"}] + ([{"logGroupName": "/x/b"}] if clock.monotonic_s() > 25 else [])
    }
    aws.answers["logs:FilterLogEvents"] = lambda params: log_events(1) if params["logGroupName"] == "/x/b" else {}
    results = await collect(log_source(aws, clock, "/x/*"), clock, 40)
    assert [record.group for record in records(results, LogRecord)] == ["/x/b"]


async def test_a_prefix_waits_until_its_groups_are_listed_and_again_after_an_error(aws: ScriptedAws) -> None:
    clock = FakeClock()
    aws.answers["logs:DescribeLogGroups"] = lambda _: {"logGroups": [{"logGroupName": "/x/a"}]}
    aws.answers["logs:FilterLogEvents"] = lambda _: {}
    store = Store(clock)
    store.apply(Batch(source="logs:/x/*", status=SourceStatus(source="logs:/x/*")))
    aws.fail("logs:DescribeLogGroups", Reason.THROTTLED, "ThrottlingException")
    results: list[Batch] = []
    task = follow(log_source(aws, clock, "/x/*"), results)
    await clock.advance(10)
    for each in results:
        store.apply(each)
    assert store.sources["logs:/x/*"].phase is SourcePhase.THROTTLED
    aws.failing.clear()
    await clock.advance(60)
    for each in results:
        store.apply(each)
    assert set(store.sources) == {"logs:/x/a"}
    task.cancel()


@pytest.mark.parametrize(
    ("reason", "code", "phase"),
    [
        (Reason.THROTTLED, "ThrottlingException", SourcePhase.THROTTLED),
        (Reason.ACCESS_DENIED, "AccessDeniedException", SourcePhase.DENIED),
        (Reason.EXPIRED_CREDENTIALS, "ExpiredTokenException", SourcePhase.EXPIRED),
        (Reason.API_ERROR, "ResourceNotFoundException", SourcePhase.WAITING),
        (Reason.SERVICE, "ServiceUnavailable", SourcePhase.FAILED),
        (Reason.LIMIT, "LimitReached", SourcePhase.STOPPED),
    ],
    ids=["throttled", "denied", "expired", "missing", "down", "limit"],
)
async def test_trouble_is_a_state_and_ends(aws: ScriptedAws, reason: Reason, code: str, phase: SourcePhase) -> None:
    clock = FakeClock()
    aws.answers["logs:FilterLogEvents"] = lambda _: log_events(1)
    aws.fail("logs:FilterLogEvents", reason, code)
    source = log_source(aws, clock, "a")
    results: list[Batch] = []
    task = follow(source, results)
    await clock.advance(10)
    assert phases(results) == [SourcePhase.STARTING, phase]
    status = results[1].status
    assert status is not None
    assert status.retry_at is not None
    assert status.action == ("logs:FilterLogEvents" if phase is SourcePhase.DENIED else None)
    aws.failing.clear()
    await clock.advance(120)
    assert phases(results)[-1] is SourcePhase.LIVE
    assert len(records(results, LogRecord)) == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def summary(id_: str, revision: int, **more: Any) -> dict[str, Any]:
    return {"Id": id_, "StartTime": START, "Duration": 0.5, "Revision": revision, **more}


async def test_a_trace_is_reported_again_only_when_it_has_grown(aws: ScriptedAws) -> None:
    clock = FakeClock()
    aws.answers["xray:GetTraceSummaries"] = lambda _: {
        "TraceSummaries": [summary("1-a-b", 1 if clock.monotonic_s() < 25 else 2, IsPartial=clock.monotonic_s() < 25)]
    }
    source = TraceSource(aws, clock=clock, since=SINCE, signal_redactor=SignalRedactor(Redactor()), backoff=calm)
    results = records(await collect(source, clock, 60), TraceSummary)
    assert [(trace.revision, trace.partial) for trace in results] == [(1, True), (2, False)]


async def test_trace_windows_overlap_and_never_reach_before_the_session(aws: ScriptedAws) -> None:
    clock = FakeClock()
    source = TraceSource(aws, clock=clock, since=SINCE, signal_redactor=SignalRedactor(Redactor()), backoff=calm)
    await collect(source, clock, 300)
    windows = [
        (params["StartTime"], params["EndTime"]) for name, params in aws.calls if name == "xray:GetTraceSummaries"
    ]
    for (_, end), (start, _) in pairwise(windows):
        assert start <= end - timedelta(seconds=60)
    assert min(start for start, _ in windows) == SINCE


@pytest.mark.parametrize(
    ("destination", "status", "on"),
    [("CloudWatchLogs", "ACTIVE", True), ("CloudWatchLogs", "PENDING", False), ("XRay", "ACTIVE", False)],
)
async def test_transaction_search_is_reported_and_its_spans_are_read(
    aws: ScriptedAws, destination: str, status: str, *, on: bool
) -> None:
    clock = FakeClock()
    aws.answers["xray:GetTraceSegmentDestination"] = lambda _: {"Destination": destination, "Status": status}
    sources = build_sources(
        environment(functions=(FunctionTarget(name="shop-orders"),)),
        aws,
        clock=clock,
        redactor=Redactor(),
        logs_since=SINCE,
        since=SINCE,
    )
    traces, logs = (next(each for each in sources if each.name == name) for name in ("traces", "logs"))
    lines: list[Batch] = []
    reading = follow(logs, lines)
    results = await collect(traces, clock, 30)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    reported = [batch.status.message for batch in results if batch.status]
    assert all(("Transaction Search is on" in (message or "")) is on for message in reported)
    requested = {params["logGroupName"]: params for name, params in aws.calls if name == "logs:FilterLogEvents"}
    assert ("aws/spans" in requested) is on
    assert not on or requested["aws/spans"]["filterPattern"] == '?"shop-orders"'
    assert aws.count("xray:GetTraceSegmentDestination") == 1


async def test_a_role_that_may_not_ask_for_the_destination_still_reads_traces(aws: ScriptedAws) -> None:
    clock = FakeClock()
    aws.fail("xray:GetTraceSegmentDestination", Reason.ACCESS_DENIED)
    source = TraceSource(aws, clock=clock, since=SINCE, signal_redactor=SignalRedactor(Redactor()), backoff=calm)
    assert phases(await collect(source, clock, 30)) == [SourcePhase.LIVE]


async def test_alarms_are_read_where_nothing_is_deployed(aws: ScriptedAws) -> None:
    clock = FakeClock()
    told = {"AlarmName": "errors", "StateValue": "OK", "StateTransitionedTimestamp": SINCE}
    aws.answers["cloudwatch:DescribeAlarms"] = lambda _: {"MetricAlarms": [told]}
    sources = build_sources(
        environment(alarms=(AlarmTarget(names=("errors",)),)),
        aws,
        clock=clock,
        redactor=Redactor(),
        logs_since=SINCE,
        since=SINCE,
    )
    (alarms,) = sources
    assert SourcePhase.STARTING not in phases(await collect(alarms, clock, 20))


async def test_metric_series_follow_the_versions_and_old_minutes_are_settled(aws: ScriptedAws) -> None:
    clock = FakeClock()
    minute = START - timedelta(minutes=5)

    def answer(params: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "MetricDataResults": [
                {"Id": query["Id"], "Timestamps": [minute, START - timedelta(minutes=1)], "Values": [1.0, 2.0]}
                for query in params["MetricDataQueries"]
            ]
        }

    aws.answers["cloudwatch:GetMetricData"] = answer
    functions = [FunctionTarget(name="f", alias="live")]
    source = MetricSource(
        aws, functions, [], clock=clock, since=SINCE, versions_of=lambda _: FunctionVersions(("41", "42")), backoff=calm
    )
    results = records(await collect(source, clock, 5), MetricSeries)
    assert {series.key.version for series in results} == {None, "41", "42"}
    assert {series.key.label for series in results} == {"errors", "p95", "p50", "p99", "requests/s", "throttles"}
    requested = {
        tuple((each["Name"], each["Value"]) for each in query["MetricStat"]["Metric"]["Dimensions"])
        for _, params in aws.calls
        for query in params["MetricDataQueries"]
    }
    assert (("FunctionName", "f"), ("Resource", "f:live"), ("ExecutedVersion", "42")) in requested
    assert [point.settled for point in results[0].points] == [True, False]
    assert not any("Expression" in query for _, params in aws.calls for query in params["MetricDataQueries"])


def raw(function: FunctionTarget, version: str | None, metric: str, stat: str, **minutes: float) -> Any:
    key = series_key(function, metric, stat, version)
    return key, RawSeries({int(minute[1:]) * 60: value for minute, value in minutes.items()}, 0.0, 360.0)


def test_no_data_is_no_zero_and_minutes_before_the_split_belong_to_the_old_version() -> None:
    function = FunctionTarget(name="f", alias="live")
    known = dict(
        [
            raw(function, None, "Invocations", "Sum", m1=100.0, m2=100.0, m3=100.0),
            raw(function, None, "Errors", "Sum", m1=2.0, m3=6.0),
            raw(function, "41", "Invocations", "Sum", m3=90.0),
            raw(function, "42", "Invocations", "Sum", m3=10.0),
            raw(function, "42", "Errors", "Sum", m3=5.0),
        ]
    )
    versions = FunctionVersions(("41", "42"))
    for key in raw_keys(function, versions):
        known.setdefault(key, RawSeries({}, 0.0, 360.0))
    series = derived_series(function, versions, known, settles_after_s=180, label_suffix=None)
    errors = {each.key.version: each.points for each in series if each.key.label == "errors"}
    assert [(point.timestamp_s, point.value) for point in errors["41"]] == [(60, 2.0), (120, 0.0), (180, 0.0)]
    assert [(point.timestamp_s, point.value) for point in errors["42"]] == [(180, 50.0)]
    assert not [each for each in series if each.key.label == "p95"]
    assert [point.settled for point in errors["41"]] == [True, True, False]


async def test_an_alarm_that_changes_brings_its_history_once(aws: ScriptedAws) -> None:
    clock = FakeClock()
    changed = START + timedelta(seconds=20)
    aws.answers["cloudwatch:DescribeAlarms"] = lambda params: {
        "MetricAlarms": [{"AlarmName": "shop-errors", "StateValue": "ALARM" if clock.now() > changed else "OK"}],
        "CompositeAlarms": [{"AlarmName": "shop-all", "StateValue": "OK"}],
        "asked": params["AlarmTypes"],
    }
    aws.answers["cloudwatch:DescribeAlarmHistory"] = lambda params: {
        "AlarmHistoryItems": [{"Timestamp": changed, "HistorySummary": "Alarm updated from OK to ALARM"}]
        if params["AlarmName"] == "shop-errors" and clock.now() > changed
        else []
    }
    source = AlarmSource(
        aws, [AlarmTarget(prefix="shop-")], clock=clock, since=SINCE, clean=lambda text: text, backoff=calm
    )
    results = await collect(source, clock, 70)
    assert records(results, AlarmState)[-2].state == "ALARM"
    assert {alarm.kind for alarm in records(results, AlarmState)} == {"metric", "composite"}
    assert [(event.from_, event.to) for event in records(results, ReleaseEvent)] == [("OK", "ALARM")]


def environment(**more: Any) -> Environment:
    return Environment(name="prod", title="Prod", source=SourcePosition("config/prod.toml"), **more)


async def test_alias_weights_become_a_state_and_a_change_an_event(aws: ScriptedAws) -> None:
    clock = FakeClock()
    aws.answers["lambda:GetAlias"] = lambda _: {
        "FunctionVersion": "41",
        "RoutingConfig": {"AdditionalVersionWeights": {"42": 0.1} if clock.monotonic_s() > 7 else {}},
    }
    aws.fail("codedeploy:ListDeploymentGroups", Reason.ACCESS_DENIED)
    function = FunctionTarget(name="f", alias="live")
    source = ReleaseSource(
        aws,
        environment(functions=(function,), release=ReleaseTarget(codedeploy=("shop",))),
        clock=clock,
        since=SINCE,
        clean=lambda text: text,
        backoff=calm,
    )
    results = await collect(source, clock, 20)
    assert records(results, ReleaseState)[-1].weights == {"41": 0.9, "42": 0.1}
    assert [(event.from_, event.to, event.weight) for event in records(results, ReleaseEvent)] == [("41", "42", 0.1)]
    assert source.versions_of(function).versions == ("41", "42")
    last = [batch.status for batch in results if batch.status][-1]
    assert last.message == "CodeDeploy: codedeploy:ListDeploymentGroups failed"


@pytest.mark.parametrize(
    ("before", "after", "what", "change"),
    [
        (("41", {}), ("42", {"41": 0.9}), "weights changed", ("41", "42", 0.1)),
        (("41", {}), ("41", {"42": 0.1}), "weights changed", ("41", "42", 0.1)),
        (("42", {"41": 0.9}), ("42", {"41": 0.5}), "weights changed", ("41", "42", 0.5)),
        (("42", {"41": 0.9}), ("41", {}), "alias moved", ("42", "41", 1.0)),
        (("41", {"42": 0.1}), ("41", {}), "weights changed", ("42", "41", 1.0)),
        (("41", {"42": 0.1}), ("42", {}), "alias moved", ("41", "42", 1.0)),
        (("41", {}), ("42", {}), "alias moved", ("41", "42", 1.0)),
        (("42", {}), ("41", {}), "alias moved", ("42", "41", 1.0)),
        (("41", {"42": 0.1}), ("40", {}), "alias moved", ("42", "40", 1.0)),
    ],
)
async def test_K27_a_change_of_the_alias_is_told_as_the_state_shows_it(
    aws: ScriptedAws, before: Any, after: Any, what: str, change: tuple[str, str, float]
) -> None:
    clock = FakeClock()

    def alias(_params: Any) -> dict[str, Any]:
        primary, weights = after if clock.monotonic_s() > 7 else before
        return {"FunctionVersion": primary, "RoutingConfig": {"AdditionalVersionWeights": weights}}

    aws.answers["lambda:GetAlias"] = alias
    source = ReleaseSource(
        aws,
        environment(functions=(FunctionTarget(name="f", alias="live"),)),
        clock=clock,
        since=SINCE,
        clean=lambda text: text,
        backoff=calm,
    )
    (event,) = records(await collect(source, clock, 20), ReleaseEvent)
    assert (event.what, event.from_, event.to, event.weight) == (what, *change[:2], pytest.approx(change[2]))


class Broken:
    name = "broken"

    def __init__(self) -> None:
        self.starts = 0

    async def batches(self) -> AsyncIterator[Batch]:
        self.starts += 1
        yield Batch(source=self.name)
        raise RuntimeError("boom")


class Steady:
    name = "steady"

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.closed = False

    async def batches(self) -> AsyncIterator[Batch]:
        try:
            while True:
                yield Batch(source=self.name)
                await self.clock.sleep(1)
        finally:
            self.closed = True


async def test_a_source_that_dies_is_restarted_and_disturbs_no_other(caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    broken, steady = Broken(), Steady(clock)
    applied: list[Batch] = []
    supervisor = Supervisor([broken, steady], applied.append, clock=clock, backoff=calm)
    supervisor.start()
    await clock.advance(30)
    await supervisor.stop()
    assert broken.starts > 3
    assert sum(batch.source == "steady" for batch in applied) >= 30
    failed = next(batch.status for batch in applied if batch.status)
    assert (failed.phase, failed.message) == (SourcePhase.FAILED, "failed: RuntimeError: boom")
    assert failed.retry_at is not None
    assert steady.closed
    assert "boom" in caplog.text


class Foreign:
    name = "foreign"

    def __init__(self) -> None:
        self.starts = 0

    async def batches(self) -> AsyncIterator[Batch]:
        self.starts += 1
        if self.starts < 3:
            raise CannotVerifyError("the credentials belong to AWS account 9", Reason.WRONG_ACCOUNT)
        yield Batch(source=self.name)
        await asyncio.Event().wait()


async def test_a_source_of_several_parts_that_failed_once_is_shown_as_recovered_and_loses_no_line(
    aws: ScriptedAws, caplog: pytest.LogCaptureFixture
) -> None:
    clock, store = FakeClock(), Store(FakeClock())
    broken_at_s = 20.0

    def respond(_: Mapping[str, Any]) -> dict[str, Any]:
        if broken_at_s <= clock.monotonic_s() - began_s < broken_at_s + 5:
            raise RuntimeError("boom")
        return log_events(*range(int(clock.monotonic_s() - began_s)))

    began_s = clock.monotonic_s()
    aws.answers["logs:FilterLogEvents"] = respond
    source = LogSource(aws, [LogTarget(group="a")], clock=clock, parse=line, since=SINCE, backoff=calm)
    supervisor = Supervisor([source], store.apply, clock=clock, backoff=calm)
    supervisor.start()
    await clock.advance(broken_at_s + 2)
    failed = store.sources["logs"]
    assert (failed.phase, failed.message) == (SourcePhase.FAILED, "failed: RuntimeError: boom")
    await clock.advance(60)
    await supervisor.stop()
    assert "logs" not in store.sources
    assert store.sources["logs:a"].phase is SourcePhase.LIVE
    messages = [record.message for record in store.logs.ring]
    assert len(messages) == len(set(messages)) >= broken_at_s + 30
    assert "boom" in caplog.text


async def test_credentials_of_another_account_are_a_state_and_no_bug(caplog: pytest.LogCaptureFixture) -> None:
    clock, foreign = FakeClock(), Foreign()
    applied: list[Batch] = []
    supervisor = Supervisor([foreign], applied.append, clock=clock, backoff=calm)
    supervisor.start()
    await clock.advance(DENIED_EVERY_S - 1)
    assert foreign.starts == 1, "what is somebody else's is not asked for every second"
    await clock.advance(DENIED_EVERY_S + 1)
    await supervisor.stop()
    status = applied[0].status
    assert status is not None
    assert (status.phase, status.message) == (SourcePhase.FAILED, "the credentials belong to AWS account 9")
    assert applied[-1] == Batch(source="foreign")
    assert not caplog.records


def test_backoff_doubles_to_its_cap_and_recovers_at_once() -> None:
    backoff = calm()
    assert [backoff.next_s() for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    backoff.reset()
    assert backoff.next_s() == 1


def test_remote_texts_are_cleaned_on_entry() -> None:
    signal_redactor = SignalRedactor(Redactor(["hunter22"]))
    assert signal_redactor.text("a\x1b[2Jb hunter22\nc") == "a␛[2Jb •••⏎c"
    shown = signal_redactor.summary(
        TraceSummary(id="1", start_ms=0, duration_s=1.0, url="http://x/?k=hunter22", annotations={"version": "v\x07"})
    )
    assert (shown.url, shown.version) == ("http://x/?k=•••", "v␇")


async def test_an_unparsable_line_does_not_affect_the_others(
    aws: ScriptedAws, caplog: pytest.LogCaptureFixture
) -> None:
    clock = FakeClock()
    aws.answers["logs:FilterLogEvents"] = lambda _: log_events(*range(10))

    def parse(event: RawEvent, group: str, late_ms: int) -> LogRecord:
        if event.message == "line 5":
            raise RuntimeError("no such line")
        return line(event, group, late_ms)

    source = LogSource(aws, [LogTarget(group="a")], clock=clock, parse=parse, since=SINCE, backoff=calm)
    results = [record.message for record in records(await collect(source, clock, 20), LogRecord)]
    assert len(results) == 10
    assert results[5] == "this line could not be parsed (RuntimeError); it has 6 characters"
    assert "no such line" in caplog.text


@pytest.mark.parametrize(
    ("code", "reason", "tokens"),
    [
        ("ThrottlingException", Reason.THROTTLED, [None, "t1", "t1"]),
        ("InvalidParameterException", Reason.API_ERROR, [None, "t1", None]),
        ("ExpiredNextTokenException", Reason.API_ERROR, [None, "t1", None]),
    ],
)
async def test_a_scan_continues_behind_its_last_page_unless_its_token_was_refused(
    aws: ScriptedAws, code: str, reason: Reason, tokens: list[str | None]
) -> None:
    clock = FakeClock()
    sent: list[str | None] = []

    def answer(params: Mapping[str, Any]) -> dict[str, Any]:
        sent.append(params.get("nextToken"))
        if len(sent) == 1:
            return {**log_events(1), "nextToken": "t1"}
        if len(sent) == 2:
            raise AwsError(code, code=code, reason=reason, service="logs", operation="FilterLogEvents")
        return log_events(1, 2)

    aws.answers["logs:FilterLogEvents"] = answer
    results = await collect(log_source(aws, clock, "a"), clock, 20)
    assert sent[:3] == tokens
    assert [record.message for record in records(results, LogRecord)] == ["line 1", "line 2"]


async def test_what_was_read_before_a_break_is_handed_over_after_it(aws: ScriptedAws) -> None:
    clock = FakeClock()
    aws.answers["logs:FilterLogEvents"] = lambda _: log_events(*range(40_000))
    source: Any = log_source(aws, clock, "a")
    first: list[Batch] = []
    async with aclosing(source.batches()) as batches:
        async for batch in batches:
            first.append(batch)
            if len(first) == 3:
                break
    later = await collect(source, clock, 30)
    shown = [record.message for record in records([*first, *later], LogRecord)]
    assert len(shown) == len(set(shown)) == 40_000


async def test_a_page_that_waits_for_its_turn_at_a_break_is_handed_over_after_it(aws: ScriptedAws) -> None:
    clock = FakeClock()
    pages: list[str | None] = []

    def respond(params: Mapping[str, Any]) -> dict[str, Any]:
        pages.append(params.get("nextToken"))
        if params.get("nextToken"):
            return log_events(*range(40_000, 40_010))
        return {**log_events(*range(40_000)), "nextToken": "2"}

    aws.answers["logs:FilterLogEvents"] = respond
    source: Any = log_source(aws, clock, "a")
    first: list[Batch] = []
    async with aclosing(source.batches()) as batches:
        async for batch in batches:
            first.append(batch)
            if len(first) == 3:
                while "2" not in pages:
                    await clock.advance(0.5)
                break
    later = await collect(source, clock, 30)
    shown = [record.message for record in records([*first, *later], LogRecord)]
    assert len(shown) == len(set(shown)) == 40_010


def by_version_metric(**changes: Any) -> MetricTarget:
    values: dict[str, Any] = {"name": "checkout", "namespace": "Shop", "metric": "CheckoutMs", **changes}
    return MetricTarget(**values, dimensions={"version": "41"}, by_version={"version": VERSION_MARK})


async def test_a_metric_with_the_version_in_a_dimension_is_read_for_both_versions_of_the_release(
    aws: ScriptedAws,
) -> None:
    clock = FakeClock()
    minute = START - timedelta(minutes=5)
    aws.answers["cloudwatch:GetMetricData"] = lambda params: {
        "MetricDataResults": [
            {"Id": query["Id"], "Timestamps": [minute], "Values": [float(dimensions(query)["version"])]}
            for query in params["MetricDataQueries"]
        ]
    }
    states: list[ReleaseState | None] = [None]
    metric = by_version_metric(expect=("value <= 41",))
    source = MetricSource(
        aws,
        [],
        [metric],
        clock=clock,
        since=SINCE,
        versions_of=lambda _: FunctionVersions(),
        release_of=lambda: states[-1],
        backoff=calm,
    )
    (unknown,) = [each for each in await source.poll() if isinstance(each, EvaluatedSignals)]
    assert [(each.status, each.reason_code) for each in unknown.results] == [(Status.INCONCLUSIVE, Reason.NO_DATA)]
    states.append(ReleaseState(function="pay", version="42", previous="41"))
    read = await source.poll()
    series = [each for each in read if isinstance(each, MetricSeries)]
    assert [(each.key.version, each.key.function, each.points[-1].value) for each in series] == [
        ("42", "pay", 42.0),
        ("41", "pay", 41.0),
    ]
    assert {each.key.label for each in series} == {"checkout"}
    (evaluated,) = [each for each in read if isinstance(each, EvaluatedSignals)]
    assert [(each.status, each.value) for each in evaluated.results] == [(Status.FAIL, 42.0)]


def dimensions(query: Mapping[str, Any]) -> dict[str, str]:
    return {each["Name"]: each["Value"] for each in query["MetricStat"]["Metric"]["Dimensions"]}


async def test_durations_above_a_limit_are_read_per_version_where_a_comparison_needs_them(aws: ScriptedAws) -> None:
    clock = FakeClock()
    aws.answers["cloudwatch:GetMetricData"] = lambda params: {
        "MetricDataResults": [
            {"Id": query["Id"], "Timestamps": [START - timedelta(minutes=9)], "Values": [3.0]}
            for query in params["MetricDataQueries"]
        ]
    }
    source = MetricSource(
        aws,
        [FunctionTarget(name="f", alias="live")],
        [],
        clock=clock,
        since=SINCE,
        versions_of=lambda _: FunctionVersions(("41", "42")),
        exceedances_of=lambda _: [("42", "TC(440.000:)")],
        backoff=calm,
    )
    (counted,) = [
        each for each in await source.poll() if isinstance(each, MetricSeries) and each.key.stat.startswith("TC(")
    ]
    assert dict(counted.key.dimensions) == {"FunctionName": "f", "Resource": "f:live", "ExecutedVersion": "42"}
    assert [(each.value, each.settled) for each in counted.points] == [(3.0, True)]
    assert counted.key.is_exceedance
    assert rows_of([counted]) == {}
