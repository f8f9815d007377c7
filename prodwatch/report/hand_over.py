"""The hand-over note: a run in a few lines of Markdown for a ticket or chat, with links to the evidence."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import quote

import msgspec

from prodwatch.model.comparison import ComparisonResult
from prodwatch.model.result import CheckResult
from prodwatch.model.status import Status
from prodwatch.report.github import md_text
from prodwatch.report.run_report import (
    RunReport,
    certainty_of,
    grouped,
    not_green,
    several,
    url_of_signal,
    url_of_trace,
)
from prodwatch.report.status_mapping import GLYPHS, VERDICTS, counted_outcomes, failures_first, headline
from prodwatch.store.check_history import CheckTrack
from prodwatch.text.sanitize import sanitize
from prodwatch.text.units import format_ms
from prodwatch.views.check_detail import detail_of
from prodwatch.views.comparisons import signature_standing, unproven
from prodwatch.views.release import version_label
from prodwatch.views.status_style import Tone
from prodwatch.views.timeline import LANE_NAMES, describe, tone_of

MAX_CHARS = 4_000
"""Longest note: the limit of common chats."""
_LONGEST = 220
"""Characters of one text in the note."""
_LONGEST_REASON = 500
_CHANGES = frozenset(("lambda", "codedeploy", "appconfig", "cloudformation", "alarm", "mark"))
"""Sources of events that are a change of the system, rather than a result of prodwatch."""


class _Section(msgspec.Struct):
    title: str
    lines: list[str]
    shown: int
    """Lines that are in the note; the others are counted."""
    weight: int
    """Share of the note in relation to other sections."""

    def text(self) -> str:
        left = len(self.lines) - self.shown
        more = [f"- … {left:,} more"] if left else []
        return "\n".join([f"**{self.title}**", *self.lines[: self.shown], *more])


def hand_over(report: RunReport) -> str:
    """Return the note, at most `MAX_CHARS` long; lines that are left out are counted."""
    head = _head(report)
    sections = [
        _Section(title=title, lines=lines, shown=min(len(lines), most), weight=weight)
        for title, lines, most, weight in (
            ("Why", _why(report), 8, 3),
            ("Numbers", _numbers(report), 8, 2),
            ("What changed", _changes(report), 8, 1),
            ("Evidence", _evidence(report), 8, 4),
            ("Tried", _tried(report), 6, 1),
            ("Missing", _missing(report), 6, 1),
        )
        if lines
    ]
    foot = _foot(report)
    while True:
        note = "\n\n".join([head, *(each.text() for each in sections), foot]) + "\n"
        longest = max(sections, key=lambda each: sum(map(len, each.lines[: each.shown])) / each.weight, default=None)
        if len(note) <= MAX_CHARS or longest is None or not longest.shown:
            return note
        longest.shown -= 1


def _head(report: RunReport) -> str:
    result = report.result
    glyph = GLYPHS[VERDICTS[result.verdict.status]][0]
    environment = result.environment
    place = ", ".join(filter(None, (environment.name, environment.account, environment.region)))
    lines = [
        f"**{glyph} {result.verdict.status.upper()}** {_text(environment.title)} ({_text(place)})",
        _text(result.verdict.reason, _LONGEST_REASON),
    ]
    release = result.release
    if release is not None and release.version is not None:
        change = f", {release.change}" if release.change else ""
        begun = "" if release.started_at is None else f", began {_time(release.started_at)}"
        state = "" if release.state is None else f", {release.state}"
        traffic = ", ".join(f"{version_label(each)} {share * 100:.0f} %" for each, share in release.weights.items())
        versions = f"release {version_label(release.version)}, before it {version_label(release.previous)}"
        lines.append(_text(f"{versions}{change}{begun}{state}{f' ({traffic})' if traffic else ''}"))
    since = f"since {_time(report.since)}; " if report.since is not None else ""
    after = f", after {format_ms(result.run.duration_ms)}" if result.run.duration_ms else ""
    lines.append(f"{since}as of {_time(result.run.ended_at)}{after}")
    lines += [f"! {_text(each)}" for each in report.warnings]
    return "  \n".join(lines)


def _why(report: RunReport) -> list[str]:
    lines = []
    for group in grouped(report.result.verdict.blocking):
        first = group[0]
        message = f": {_text(first.message)}" if first.message else ""
        if len(group) == 1:
            lines.append(f"- {_status(first.status)} {first.kind} {_text(first.id)}{message}")
        else:
            ids = ", ".join(f"`{_code(each.id)}`" for each in group[:3])
            more = f" and {len(group) - 3} more" if len(group) > 3 else ""
            lines.append(f"- {_status(first.status)} {len(group)} {several(first.kind)}{message}: {ids}{more}")
    return lines


def _numbers(report: RunReport) -> list[str]:
    result = report.result
    lines = [f"- {_text(each)}" for each in certainty_of(result)]
    lines += [
        f"- {_status(each.status)} {_text(each.id)}: {_text(each.message)}"
        for each in failures_first(result.comparisons)
        if each.canary.requests
    ]
    if result.coverage is not None and result.coverage.routes:
        lines.append(f"- {_text(result.coverage.message)}")
    counts = counted_outcomes(result.summary)
    lines.append(f"- checks: {', '.join(counts) or 'none finished'}")
    return lines


def _changes(report: RunReport) -> list[str]:
    """Return the events of the system, newest first: bad news before the rest of them."""
    events = [each for each in reversed(report.events) if each.source in _CHANGES]
    events.sort(key=lambda each: tone_of(each) is not Tone.BAD)
    return [
        f"- {_time(each.at)} {LANE_NAMES[each.source]} {_text(each.subject)}: {_text(describe(each))}"
        for each in events
    ]


def _evidence(report: RunReport) -> list[str]:
    """Return the ids and links by which the red things are found; `Why` has the messages of those that block."""
    result = report.result
    known = {(each.kind, each.id) for each in result.verdict.blocking}
    red = not_green(report)
    lines = [_check(report, each, with_message=False) for each in red if ("check", each.id) in known]
    for signature in failures_first(result.signatures):
        if signature.status is Status.FAIL:
            trace = f", {_trace(report, signature.trace_id)}" if signature.trace_id else ""
            request = f", request `{_code(signature.request_id)}`" if signature.request_id else ""
            standing = _text(signature_standing(signature))
            lines.append(f"- error `{_code(signature.id)}` {standing}: {_text(signature.example)}{trace}{request}")
    for signal in failures_first(result.signals):
        url = url_of_signal(report, signal)
        if signal.status is Status.FAIL:
            name = f"[{_text(signal.id)}]({url})" if url else _text(signal.id)
            message = "" if (signal.kind, signal.id) in known else f": {_text(headline(signal))}"
            lines.append(f"- {signal.kind} {name}{message}")
    lines += [_check(report, each, with_message=True) for each in red if ("check", each.id) not in known]
    return lines


def _check(report: RunReport, check: CheckResult, *, with_message: bool) -> str:
    detail = detail_of(CheckTrack(id=check.id, latest=check))
    since = report.red_since.get(check.id)
    message = f": {_text(headline(check))}" if with_message else ""
    parts = [f"- {_status(check.status)} `{_code(check.id)}`{message}"]
    if since is not None:
        parts.append(f"since {_time(since)}")
    parts += [_trace(report, each) for each in detail.trace_ids[:1]]
    parts += [f"request `{_code(each)}`" for each in detail.request_ids[:1]]
    parts += [
        f"[{_text(title)}]({_address(url)})"
        for title, url in list(detail.links.items())[:2]
        if url.startswith(("https://", "http://"))
    ]
    return ", ".join(parts)


def _tried(report: RunReport) -> list[str]:
    result = report.result
    lines = []
    rounds = {each.check: each for each in result.rounds}
    for check in not_green(report):
        detail = detail_of(CheckTrack(id=check.id, latest=check))
        parts = []
        if len(detail.attempts) > 1:
            parts.append(f"{len(detail.attempts)} requests in {format_ms(check.duration_ms)}")
        counted = rounds.get(check.id)
        if counted is not None and counted.finished:
            parts.append(f"{counted.failed} of {counted.finished} rounds failed")
        parts += [f"{_status(each.status)} {_text(each.title)}" for each in check.diagnosed_by]
        if parts:
            lines.append(f"- `{_code(check.id)}`: {', '.join(parts)}")
    return lines


def _missing(report: RunReport) -> list[str]:
    """Return the evidence that is not available, without the blocking items, which are under `Why`."""
    result = report.result
    known = {each.message for each in result.verdict.blocking}
    lines = []
    undecided: Sequence[ComparisonResult] = [each for each in result.comparisons if each.message not in known]
    open_ = unproven(undecided)
    if open_ is not None:
        lines.append(f"- {_text(open_)}")
    if result.coverage is not None:
        for function in result.coverage.functions:
            if function.missing:
                routes = ", ".join(f"`{_code(each.route)}`" for each in function.missing[:3])
                more = f" and {len(function.missing) - 3} more" if len(function.missing) > 3 else ""
                lines.append(f"- {_text(function.function)} has not served {routes}{more}")
    lines += [f"- {_text(each.message)}" for each in result.notices]
    return lines


def _foot(report: RunReport) -> str:
    result = report.result
    parts = [f"run `{_code(result.run.id)}`"] if result.run.id else []
    parts.append(f"from `{_code(report.source)}`")
    if report.digest is not None:
        parts.append(f"recording digest `{_code(report.digest)}`")
    return f"{', '.join(parts)}, prodwatch {_text(result.tool.version)}"


def _trace(report: RunReport, trace_id: str) -> str:
    url = url_of_trace(report, trace_id)
    return f"trace [{_text(trace_id)}]({url})" if url else f"trace `{_code(trace_id)}`"


def _status(status: Status) -> str:
    glyph, word = GLYPHS[status]
    return f"{glyph} {word}"


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _text(text: str | None, limit: int = _LONGEST) -> str:
    """Return the beginning of a text as one line of Markdown."""
    return md_text(sanitize(text or "", limit=limit))


def _code(text: str) -> str:
    """Return the beginning of a text as the content of inline code."""
    return " ".join(sanitize(text, limit=_LONGEST).replace("`", "'").split())


def _address(url: str) -> str:
    """Return an address that cannot end its link."""
    return quote(url, safe=":/?#@!$&'*+,;=%-._~")
