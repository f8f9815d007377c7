"""A run and its evidence: the document from which the page and the hand-over note are made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from prodwatch.model.identity import Place
from prodwatch.model.result import Blocking, CheckResult, RunResult, SignalResult
from prodwatch.model.signal import MetricSeries, ReleaseEvent, Trace, TraceSummary
from prodwatch.model.status import Status
from prodwatch.report.status_mapping import failures_first
from prodwatch.views.aws_console_links import alarm_page, trace_page
from prodwatch.views.comparisons import evidence_number, unproven
from prodwatch.views.evidence import certainty

GREEN = frozenset((Status.PASS, Status.SKIPPED))
_REGION = re.compile(r"[a-z]{2}[a-z0-9-]{3,30}")


class RunReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything to report about a run. A result's JSON holds `result` alone; the rest comes from its recording."""

    source: str
    """Name of the file, or `dashboard`."""
    result: RunResult
    recorded: bool = False
    """Whether the evidence behind the result was read, too."""
    digest: str | None = None
    """Digest of the last frame of a whole recording, in hex, by which a rewritten file is recognised."""
    warnings: tuple[str, ...] = ()
    """Reasons to read the report with care, such as damage of the file; each a sentence."""
    since: datetime | None = None
    """Time at which the verdict began to hold; None where it is not known."""
    red_since: Mapping[str, datetime] = {}
    """Check id → start of its present sequence of equal statuses."""
    traces: Mapping[str, Trace] = {}
    """Trace id → trace with its spans, as far as it was fetched."""
    summaries: Mapping[str, TraceSummary] = {}
    """Trace id → summary, of the traces of checks that are not green."""
    series: tuple[MetricSeries, ...] = ()
    events: tuple[ReleaseEvent, ...] = ()
    """Events of release, alarms, checks and verdict, oldest first."""


def certainty_of(result: RunResult) -> tuple[str, ...]:
    """Return how much the verdict rests on, in sentences without a full stop."""
    lines = []
    judged = [each for each in result.comparisons if each.gate and each.canary.requests]
    worse = [each for each in judged if each.status is Status.FAIL]
    if worse:
        first = max(worse, key=lambda each: each.evidence)
        lines.append(
            f"{first.id}: evidence of harm {evidence_number(first.evidence)}, a failure takes"
            f" {evidence_number(first.needed)}"
        )
    elif judged and all(each.status is Status.PASS for each in judged):
        several = "1 comparison excludes" if len(judged) == 1 else f"{len(judged)} comparisons exclude"
        lines.append(f"{several} harm at 99 % certainty each")
    elif (open_ := unproven(result.comparisons)) is not None:
        lines.append(open_)
    looks = min((each.measured for each in result.rounds), default=1)
    if result.verdict.status in {"pass", "degraded"} and result.summary.total and looks:
        lines.append(f"Checks: {certainty(looks)}")
    return tuple(f"{line[:1].upper()}{line[1:]}" if line.startswith(("harm", "versions")) else line for line in lines)


def url_of_trace(report: RunReport, trace_id: str) -> str | None:
    """Return the console's page of a trace; None where the region is not known."""
    summary = report.summaries.get(trace_id)
    region = _region(report, None if summary is None else summary.place)
    return None if region is None else trace_page(region, trace_id)


def url_of_signal(report: RunReport, signal: SignalResult) -> str | None:
    """Return the console's page of an alarm; None for a metric, or where its region is not known."""
    region = _region(report, None)
    own = signal.kind == "alarm" and signal.id == signal.name and not signal.name.endswith("*")
    return alarm_page(region, signal.name) if own and region is not None else None


def _region(report: RunReport, place: Place | None) -> str | None:
    """Return the region of an item; None where it is not known, or is not the name of one, which begins an address."""
    region = (place.region if place is not None else "") or report.result.environment.region or ""
    return region if _REGION.fullmatch(region) else None


def not_green(report: RunReport) -> list[CheckResult]:
    """Return the checks that are neither passed nor skipped, worst first."""
    return [each for each in failures_first(report.result.checks) if each.status not in GREEN]


def grouped(blocking: Iterable[Blocking]) -> list[list[Blocking]]:
    """Return the items in their order, those of one kind with the same message together."""
    groups: dict[tuple[str, Status, str | None], list[Blocking]] = {}
    for each in blocking:
        groups.setdefault((each.kind, each.status, each.message or each.id), []).append(each)
    return list(groups.values())


def several(kind: str) -> str:
    """Return the plural of a kind of blocking item."""
    return f"{kind}es" if kind.endswith("s") else f"{kind}s"
