"""The state behind all front ends, updated in batches, each in time proportional to its size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from prodwatch.clock import Clock
from prodwatch.model.check import CheckDefinition
from prodwatch.model.comparison import ComparisonResult, Coverage, SignatureResult
from prodwatch.model.event import CheckFinished, CheckStarted, RunEvent
from prodwatch.model.evidence import (
    CheckReported,
    ChecksDefined,
    Compared,
    Delivered,
    Evidence,
    Judged,
    Marked,
    NoticeAdded,
    SourceForgotten,
    Stalled,
    TraceFetched,
    UsageCounted,
)
from prodwatch.model.identity import FunctionId, GroupId, Place
from prodwatch.model.release import ReleaseId
from prodwatch.model.result import Notice, SignalResult, Usage, Verdict
from prodwatch.model.signal import (
    AlarmState,
    Batch,
    CountedErrors,
    EvaluatedSignals,
    LogRecord,
    MetricSeries,
    ReleaseEvent,
    ReleaseState,
    ServiceGraph,
    SourceStatus,
    Trace,
    TraceSummary,
)
from prodwatch.model.status import Status
from prodwatch.store.check_history import CheckState, CheckStore
from prodwatch.store.emf_metrics import EmbeddedMetrics
from prodwatch.store.error_signatures import ErrorShapes, Fingerprint, SignatureState, SignatureStore
from prodwatch.store.logs import LogState, LogStore
from prodwatch.store.metrics import MetricStore
from prodwatch.store.own_traffic import OwnTraffic
from prodwatch.store.release import ReleaseStore, mark_event
from prodwatch.store.request_ledger import RequestLedger, RequestStore
from prodwatch.store.state import OWN_IDS, GivenVerdict, StoreState
from prodwatch.store.traces import TraceStore
from prodwatch.store.under_release import NOTHING_RELEASED, UnderRelease


class Topic(StrEnum):
    """Parts of the store with a revision of their own."""

    CHECKS = "checks"
    LOGS = "logs"
    SIGNATURES = "signatures"
    TRACES = "traces"
    SERVICES = "services"
    METRICS = "metrics"
    ALARMS = "alarms"
    RELEASE = "release"
    SOURCES = "sources"
    COMPARISONS = "comparisons"
    VERDICT = "verdict"
    USAGE = "usage"


class StoreLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of what is kept; beyond them the oldest items are dropped and counted."""

    log_lines: int = 50_000
    traces: int = 2_000
    points_per_series: int = 1_440
    series: int = 2_000
    embedded_series: int = 200
    """Series from EMF metrics in log lines."""
    signatures: int = 500
    events: int = 5_000
    notices: int = 50


_NOT_AN_EVENT = frozenset((Status.PASS, Status.SKIPPED))
"""First statuses of a check that are not an event."""
DEFAULT_LIMITS = StoreLimits()
TRIAGE_LIMITS = StoreLimits(points_per_series=3 * 1_440)
"""For a window of up to 12 hours that stays open as long: itself, the window before, and the same hours a week ago."""


class Store:
    """The current state. Used on one event loop only: written by sources and runs, read by views.

    Every write passes its listeners as evidence first, in the order in which it is applied; comparisons, which follow
    from evidence, after it.
    """

    def __init__(
        self, clock: Clock, *, limits: StoreLimits = DEFAULT_LIMITS, fingerprint: Fingerprint | None = None
    ) -> None:
        self._clock = clock
        self._limits = limits
        self._fingerprint = fingerprint or ErrorShapes().of
        self._listeners: list[Callable[[Evidence], None]] = []
        self._revisions = dict.fromkeys(Topic, 0)
        self.checks = CheckStore()
        self.own = OwnTraffic()
        """Ids of the requests of the checks."""
        self.logs = LogStore(limits.log_lines)
        self.signatures = SignatureStore(limits.signatures, self._fingerprint)
        self.requests = RequestStore(self._fingerprint, self.own)
        self.comparisons: tuple[ComparisonResult, ...] = ()
        """Comparisons of the versions of every release, as last made."""
        self.compared_signatures: tuple[SignatureResult, ...] = ()
        self.coverage: Coverage | None = None
        self.compared_functions: frozenset[FunctionId] = frozenset()
        """Functions whose releases are compared."""
        self.compared_releases: frozenset[ReleaseId] = frozenset()
        """Releases of which requests since their start were looked at, if only to find none."""
        self.traces = TraceStore(limits.traces)
        self.graphs: dict[tuple[str, Place], ServiceGraph] = {}
        """Service graphs by part (`before` the release and `now`), account and region."""
        self.metrics = MetricStore(limits.points_per_series, limits.series)
        self.embedded = EmbeddedMetrics(limits.embedded_series)
        self.release = ReleaseStore(limits.events)
        self.signals: dict[str, tuple[SignalResult, ...]] = {}
        """`metric` and `alarm` → every signal of that kind as last evaluated; a kind that was never read is absent."""
        self.sources: dict[str, SourceStatus] = {}
        self.usage = Usage()
        self.slow_ms: int | None = None
        """Longest stall of prodwatch itself in the last seconds, in ms; None while this machine is fast enough."""
        self.verdict: GivenVerdict | None = None
        """None before the first. It records changes; a screen words the verdict of the moment that it shows."""
        self.notices: list[Notice] = []
        """The latest notices, oldest first."""
        self.notice_count = 0
        """Notices in all, including dropped ones."""
        self._notice_limit = limits.notices
        self._under_release = NOTHING_RELEASED

    def revision(self, topic: Topic) -> int:
        """Return a number that grows with every change of the topic."""
        return self._revisions[topic]

    def subscribe(self, listener: Callable[[Evidence], None]) -> None:
        """Report every value of evidence to `listener` from now on; it must not raise."""
        self._listeners.append(listener)

    def note(self, evidence: Evidence) -> None:
        """Report evidence to the listeners; what a session decides outside of the store passes here, too."""
        for listener in self._listeners:
            listener(evidence)

    def define(self, checks: Iterable[CheckDefinition]) -> None:
        """Define the set of checks, so that checks without a result are known to be missing."""
        defined = tuple(checks)
        self.note(ChecksDefined(checks=defined))
        self.checks.define(defined)
        self._touch(Topic.CHECKS)

    def set_past_outcomes(self, past: Mapping[str, tuple[Status, ...]]) -> None:
        """Replace the outcomes of earlier runs by check id, oldest first."""
        self.checks.past = past
        self._touch(Topic.CHECKS)

    def apply(self, batch: Batch) -> None:
        """Add a batch of a source."""
        self.note(Delivered(batch=batch))
        if batch.records:
            self._add_records(batch.records)
        if batch.status:
            self.sources[batch.status.source] = batch.status
            self._touch(Topic.SOURCES)
        if batch.is_answered and self.sources.pop(batch.source, None) is not None:
            self._touch(Topic.SOURCES)

    def forget_source(self, source: str) -> None:
        """Drop the status of a source that others have taken the place of; nothing without one."""
        if source in self.sources:
            self.note(SourceForgotten(source=source))
            del self.sources[source]
            self._touch(Topic.SOURCES)

    def _add_records(self, records: Iterable[object]) -> None:
        logs: list[LogRecord] = []
        for record in records:
            match record:
                case LogRecord():
                    logs.append(record)
                case TraceSummary():
                    self.traces.add((record,))
                    self.requests.add_trace(record)
                    self._touch(Topic.TRACES)
                case ServiceGraph():
                    self.graphs[record.part, record.place] = record
                    self._touch(Topic.SERVICES)
                case MetricSeries():
                    self._add_series(record)
                case EvaluatedSignals() | CountedErrors():
                    self._replace(record)
                case AlarmState() | ReleaseEvent() | ReleaseState():
                    self._add_release_record(record)
        if logs:
            self._set_aside(self.own.learn_lines(logs))
            self.logs.add(logs, self._clock.monotonic_s(), self.own)
            self._touch(Topic.LOGS)
            self._add_embedded(logs)
            if self.signatures.add(logs, self.own, self._under_release):
                self._touch(Topic.SIGNATURES)
            self.requests.add(logs)

    def _replace(self, record: EvaluatedSignals | CountedErrors) -> None:
        """Replace the evaluated signals of one kind, or the errors counted before one release."""
        if isinstance(record, CountedErrors):
            self.signatures.add_counted(record)
            self._touch(Topic.SIGNATURES)
            return
        self.signals[record.kind] = record.results
        self._touch(Topic.METRICS if record.kind == "metric" else Topic.ALARMS)

    def watch_requests(
        self, function: FunctionId, group: GroupId, excluded: Sequence[str] = (), covered: Sequence[str] = ()
    ) -> RequestLedger:
        """Return the requests of a function that writes a group, counted from what is kept and all that follows.

        `excluded` are patterns of `[compare] exclude`, `covered` fields of `coverage_by`.
        """
        traces = self.traces.summaries.values()
        return self.requests.watch(function, group, self.logs.ring, traces, excluded, covered)

    def compare(self, functions: Iterable[FunctionId]) -> None:
        """Note that releases of these functions are compared: until one was, nothing of it is green."""
        known = self.compared_functions
        self.compared_functions |= frozenset(functions)
        if self.compared_functions != known:
            self._note_compared()

    def set_comparisons(
        self,
        comparisons: tuple[ComparisonResult, ...],
        signatures: tuple[SignatureResult, ...],
        coverage: Coverage | None = None,
        *,
        compared: frozenset[ReleaseId] = frozenset(),
    ) -> None:
        """Replace the comparisons of versions, the error signatures that they speak of, and the routes they cover.

        `compared` are the releases of which requests since their start were looked at.
        """
        looked_at_others = compared != self.compared_releases
        self.compared_releases = compared
        changed = (comparisons, signatures, coverage) != (self.comparisons, self.compared_signatures, self.coverage)
        if changed:
            self.comparisons, self.compared_signatures, self.coverage = comparisons, signatures, coverage
            self._touch(Topic.COMPARISONS)
        if changed or looked_at_others:
            self._note_compared()

    def _note_compared(self) -> None:
        self.note(
            Compared(
                comparisons=self.comparisons,
                signatures=self.compared_signatures,
                coverage=self.coverage,
                functions=tuple(sorted(self.compared_functions)),
                releases=tuple(sorted(self.compared_releases, key=repr)),
            )
        )

    def _add_series(self, series: MetricSeries) -> None:
        left_out = self.metrics.left_out
        self.metrics.add((series,), self._under_release)
        self._touch(Topic.METRICS)
        if self.metrics.left_out and not left_out:
            message = f"the environment has more than {self.metrics.capacity} metric series; some are not shown"
            self._add_notice(Notice(code="metrics", message=message))

    def _add_embedded(self, logs: Iterable[LogRecord]) -> None:
        refused = self.embedded.refused
        if series := self.embedded.read(logs, self._clock.now().timestamp(), self._under_release):
            self.metrics.drop_embedded(self.embedded.take_dropped())
            self.metrics.add_embedded(series)
            self._touch(Topic.METRICS)
        if self.embedded.refused and not refused:
            self._add_notice(Notice(code="embedded_metrics", message=self.embedded.refusal_message))

    def _add_release_record(self, record: AlarmState | ReleaseEvent | ReleaseState) -> None:
        match record:
            case AlarmState():
                self.release.set_alarm(record, self._clock.now())
                self._touch(Topic.ALARMS)
            case ReleaseEvent():
                self.release.add_event(record)
            case ReleaseState():
                self.release.set_state(record)
                under_release = UnderRelease.of(self.release.states.values(), self._clock.now())
                if under_release != self._under_release:
                    self._under_release = under_release
        self._touch(Topic.RELEASE)

    def apply_event(self, event: RunEvent) -> None:
        """Apply an event of a run; a change of a check's status becomes an event on the time line."""
        self.note(CheckReported(event=event))
        if isinstance(event, CheckStarted):
            self._set_aside(self.own.learn((event.trace_id,)))
            self.checks.started(event.id, event.at)
        elif isinstance(event, CheckFinished):
            self._set_aside(self.own.learn_result(event.result))
            before, after = self.checks.finished(event.result, self._clock.now())
            if before != after and (before is not None or after not in _NOT_AN_EVENT):
                track = self.checks.get(event.result.id)
                self.release.add_event(
                    ReleaseEvent(
                        at=(track.finished_at if track else None) or self._clock.now(),
                        source="check",
                        subject=event.result.title,
                        what="status",
                        from_=before,
                        to=after,
                        detail=event.result.message,
                    )
                )
                self._touch(Topic.RELEASE)
        else:
            self.checks.done, self.checks.total = event.done, event.total
        self._touch(Topic.CHECKS)

    def _set_aside(self, own_ids: Sequence[str]) -> None:
        """Take what these ids of own requests have written out of the counts."""
        # The ids of a trace may have become known before those of its requests, and so the other way round.
        lines = [record for id_ in own_ids for record in self.logs.find((id_,), id_)]
        linked = self.own.learn_lines(lines)
        if lines:
            self.logs.set_aside((*own_ids, *linked))
            self._touch(Topic.LOGS)
        if self.signatures.set_aside((*own_ids, *linked)):
            self._touch(Topic.SIGNATURES)
        if any(id_ in self.traces.summaries for id_ in own_ids):
            self._touch(Topic.TRACES)

    def add_trace(self, trace: Trace) -> None:
        """Add a fetched trace."""
        self.note(TraceFetched(trace=trace))
        self.traces.add_detail(trace)
        self._touch(Topic.TRACES)

    def set_usage(self, usage: Usage) -> None:
        """Replace the usage of AWS."""
        if usage != self.usage:
            self.note(UsageCounted(usage=usage))
            self.usage = usage
            self._touch(Topic.USAGE)

    def set_slow(self, slow_ms: int | None) -> None:
        """Replace the longest stall of the last seconds; the header shows it."""
        if slow_ms != self.slow_ms:
            self.note(Stalled(slow_ms=slow_ms))
            self.slow_ms = slow_ms

    def set_verdict(self, verdict: Verdict) -> None:
        """Replace the judge's verdict; a change of status becomes an event on the time line."""
        before = self.verdict
        if before is not None and before.verdict == verdict:
            return
        self.note(Judged(verdict=verdict))
        now = self._clock.now()
        unchanged = before is not None and before.verdict.status == verdict.status
        self.verdict = GivenVerdict(verdict, before.since if before and unchanged else now)
        if not unchanged:
            self.release.add_event(
                ReleaseEvent(
                    at=now,
                    source="verdict",
                    subject="verdict",
                    what="status",
                    from_=before.verdict.status if before else None,
                    to=verdict.status,
                    detail=verdict.reason,
                )
            )
            self._touch(Topic.RELEASE)
        self._touch(Topic.VERDICT)

    def mark(self, note: str) -> ReleaseEvent:
        """Add a user's note to the time line, now."""
        event = mark_event(self._clock.now(), note)
        self.add_mark(event)
        return event

    def add_mark(self, event: ReleaseEvent) -> None:
        """Add the event of a user's note."""
        self.note(Marked(event=event))
        self.release.add_event(event)
        self._touch(Topic.RELEASE)

    def notice(self, notice: Notice) -> None:
        """Add a notice; beyond the limit the oldest are dropped."""
        self.note(NoticeAdded(notice=notice))
        self._add_notice(notice)

    def _add_notice(self, notice: Notice) -> None:
        self.notices.append(notice)
        self.notice_count += 1
        del self.notices[: -self._notice_limit]
        self._touch(Topic.SOURCES)

    def state(self) -> StoreState:
        """Return everything that is known now, but the log lines and the requests that are being joined."""
        checks, logs, signatures, release = self.checks, self.logs, self.signatures, self.release
        return StoreState(
            checks=CheckState(
                defined=checks.defined, tracks=tuple(checks.tracks.values()), done=checks.done, total=checks.total
            ),
            own=self.own.latest(OWN_IDS),
            logs=LogState(
                groups=tuple((group, replace(tally)) for group, tally in logs.groups.items()),
                invocations=tuple((*key, replace(tally)) for key, tally in logs.invocations.items()),
                lost=logs.lost,
            ),
            signatures=SignatureState(
                signatures=tuple(signatures.signatures.values()),
                counted=signatures.counted,
                dropped=signatures.dropped,
                own=signatures.own,
            ),
            comparisons=self.comparisons,
            compared_signatures=self.compared_signatures,
            coverage=self.coverage,
            traces=tuple(self.traces.summaries.values()),
            trace_details=tuple(self.traces.details.values()),
            graphs=tuple(self.graphs.values()),
            series=self.metrics.from_sources,
            embedded_series=self.metrics.from_lines,
            compared_functions=tuple(sorted(self.compared_functions)),
            compared_releases=tuple(sorted(self.compared_releases, key=repr)),
            releases=release.all_states,
            alarms=tuple(release.alarms.values()),
            events=tuple(release.events),
            signals=dict(self.signals),
            sources=tuple(self.sources.values()),
            usage=self.usage,
            slow_ms=self.slow_ms,
            verdict=self.verdict,
            notices=tuple(self.notices),
            notice_count=self.notice_count,
        )

    def restore(self, state: StoreState, lines: Sequence[LogRecord]) -> None:
        """Replace everything by a state, and the log lines by the last ones before it.

        Numbers of log lines go on, so that none is reused. No listener is notified, and requests are not joined.
        """
        limits = self._limits
        self.own = OwnTraffic()
        self.own.learn(state.own)
        self.checks = CheckStore()
        self.checks.restore(state.checks)
        self.release = ReleaseStore(limits.events)
        self.release.restore(state.releases, state.alarms, state.events)
        self._under_release = UnderRelease.of(self.release.states.values(), self._clock.now())
        self.logs.restore(state.logs, lines, self.own)
        self.signatures = SignatureStore(limits.signatures, self._fingerprint)
        self.signatures.restore(state.signatures)
        self.requests = RequestStore(self._fingerprint, self.own)
        self.comparisons, self.compared_signatures = state.comparisons, state.compared_signatures
        self.coverage = state.coverage
        self.compared_functions = frozenset(state.compared_functions)
        self.compared_releases = frozenset(state.compared_releases)
        self.traces = TraceStore(limits.traces)
        self.traces.add(state.traces)
        for trace in state.trace_details:
            self.traces.add_detail(trace)
        self.graphs = {(each.part, each.place): each for each in state.graphs}
        self.metrics = MetricStore(limits.points_per_series, limits.series)
        self.metrics.add(state.series, self._under_release)
        self.metrics.add_embedded(state.embedded_series)
        self.embedded = EmbeddedMetrics(limits.embedded_series)
        self.embedded.restore(state.embedded_series)
        self.signals = dict(state.signals)
        self.sources = {each.source: each for each in state.sources}
        self.usage, self.slow_ms, self.verdict = state.usage, state.slow_ms, state.verdict
        self.notices, self.notice_count = list(state.notices), state.notice_count
        self._touch(*Topic)

    def _touch(self, *topics: Topic) -> None:
        for topic in topics:
            self._revisions[topic] += 1
