"""One self-contained HTML page of a run: no script, nothing from elsewhere, every text escaped."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import msgspec

from prodwatch import __version__
from prodwatch.model.comparison import ComparedVersion, ComparisonResult, SignatureResult
from prodwatch.model.result import Blocking, CheckResult, Exchange, RunResult
from prodwatch.model.signal import ReleaseEvent
from prodwatch.model.status import Status
from prodwatch.report.pictures import Line, charts, interval
from prodwatch.report.run_report import (
    GREEN,
    RunReport,
    certainty_of,
    grouped,
    not_green,
    several,
    url_of_signal,
    url_of_trace,
)
from prodwatch.report.status_mapping import GLYPHS, VERDICTS, counted_outcomes, failures_first, signal_value
from prodwatch.store.check_history import CheckTrack
from prodwatch.text.sanitize import encode_report
from prodwatch.text.units import format_age, format_ms
from prodwatch.views.check_detail import AssertionRow, CheckDetail, detail_of
from prodwatch.views.comparisons import difference_text, evidence_number, side_value, signature_standing
from prodwatch.views.release import version_label
from prodwatch.views.status_style import STATES, Tone
from prodwatch.views.timeline import LANE_NAMES, describe, tone_of
from prodwatch.views.waterfall import EIGHTHS, Bar, phases_waterfall, waterfall

if TYPE_CHECKING:
    import jinja2

MAX_BYTES = 5_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST_MS = 250_000_000_000_000
"""Epoch milliseconds beyond which the calendar ends."""
_LONGEST_TEXT = 2_000
"""Characters of a text in a full page."""
_SCALES = (1.0, 0.3, 0.1, 0.02)
"""Shares of all limits, tried in this order until a page fits."""
_SPANS = 120
"""Spans of a trace."""
_BAR_CELLS = 25
"""Width of bars in cells of eight units, 200 in all."""
_TONE_GLYPHS = {Tone.GOOD: "✔", Tone.BAD: "✘", Tone.WARN: "!", Tone.UNKNOWN: "?", Tone.ACCENT: "✎"}
_BAR_TONES = {"fault": ("fault", Tone.BAD), "error": ("error", Tone.BAD), "throttle": ("throttled", Tone.WARN)}
_OTHERS = ("other", "other second", "other third")


def render(report: RunReport) -> bytes:
    """Return the page, at most `MAX_BYTES` long; what is left out is counted in it."""
    page = b""
    for scale in _SCALES:
        page = encode_report(_Page(report, scale).text())
        if len(page) <= MAX_BYTES:
            return page
    raise ValueError(f"the report is {len(page):,} bytes long although only its worst items are in it")


class _Shown(msgspec.Struct, frozen=True):
    """A status as word, glyph and tone."""

    word: str
    glyph: str
    tone: str


class _Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a waterfall; places in 200 units."""

    name: str
    indent: str
    x: float
    width: float
    time: str
    kind: str = ""
    mark: str = ""
    """State in a word; empty for a span without a fault."""
    tone: str = ""
    note: str | None = None


class _Waterfall(msgspec.Struct, frozen=True):
    title: str
    rows: list[_Bar]


class _Event(msgspec.Struct, frozen=True, kw_only=True):
    at: str
    since: str
    lane: str
    subject: str
    text: str
    glyph: str
    tone: str
    detail: str | None


class _Page:
    """Values of one rendering; counts what it leaves out."""

    def __init__(self, report: RunReport, scale: float) -> None:
        self._report = report
        self._scale = scale
        self._left_out: Counter[str] = Counter()
        self._cut = 0
        self._numbers: dict[tuple[str, str], str] = {}
        self._used: set[str] = set()

    def text(self) -> str:
        """Return the page."""
        report, result = self._report, self._report.result
        red = not_green(report)
        for index, each in enumerate(red):
            self._numbers.setdefault(("check", each.id), f"i-check-{index}")
        for kind, ids in (
            ("comparison", [each.id for each in result.comparisons]),
            ("signature", [each.id for each in result.signatures]),
            *((kind, [each.id for each in result.signals if each.kind == kind]) for kind in ("metric", "alarm")),
        ):
            for index, each_id in enumerate(ids):
                self._numbers.setdefault((kind, each_id), f"i-{kind}-{index}")
        css = _asset("page.css")
        status = VERDICTS[result.verdict.status]
        template = _environment(self._filters()).from_string(_asset("page.html.j2"))
        return template.render(
            report=report,
            result=result,
            css=css,
            policy=_policy(css),
            tool=__version__,
            verdict=_Shown(result.verdict.status.upper(), GLYPHS[status][0], STATES[status].tone.value),
            certainty=certainty_of(result),
            facts=_facts(report),
            why=grouped(result.verdict.blocking),
            charts=charts(result, report.series),
            red_checks=red,
            green_checks=[each for each in result.checks if each.status in GREEN],
            rounded=_rounded(result),
            happened=[_event(each, result) for each in reversed(report.events)],
            calls=sum(result.usage.calls.values()),
            status=_shown,
            holds=_holds,
            ordered=failures_first,
            difference=difference_text,
            side=_side,
            standing=signature_standing_title,
            value_of=signal_value,
            line_class=_line_class,
            detail_of=_detail,
            phases=_phases,
            links=_links,
            anchor=self._anchor_of_check,
            anchor_of=self._anchor_of,
            target_of=self._target_of,
            waterfall_of=self._waterfall_of,
            trace_url=lambda trace_id: url_of_trace(report, trace_id),
            signal_url=lambda signal: url_of_signal(report, signal),
            left_out=self._left_out_lines,
        )

    def _filters(self) -> Mapping[str, Callable[..., Any]]:
        return {
            "clip": self._clip,
            "keep": self._keep,
            "ms": format_ms,
            "when": lambda at: f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC",
            "clock": lambda at: f"{at.astimezone(UTC):%H:%M:%S} UTC",
            "epoch": lambda ms: f"{EPOCH + timedelta(milliseconds=min(ms, LATEST_MS)):%H:%M:%S} UTC",
            "number": evidence_number,
            "interval": interval,
            "several": several,
            "version": version_label,
        }

    def _clip(self, text: object, limit: int = _LONGEST_TEXT) -> str:
        """Return the beginning of a text; the number of characters left out follows it."""
        shown = str(text)
        limit = max(60, round(limit * self._scale))
        if len(shown) <= limit:
            return shown
        self._cut += 1
        return f"{shown[:limit]}… (+{len(shown) - limit:,} characters)"

    def _keep(self, items: Sequence[Any], name: str, limit: int) -> list[Any]:
        """Return the first items, and count the others under their name."""
        limit = max(1, round(limit * self._scale))
        left = len(items) - limit
        if left > 0:
            self._left_out[name] += left
        return list(items[:limit])

    def _left_out_lines(self) -> list[str]:
        lines = [f"{count:,} × {name}" for name, count in self._left_out.items()]
        if self._cut:
            lines.append(f"the ends of {self._cut:,} texts, each marked where it is cut")
        return lines

    def _anchor_of_check(self, check_id: str, depth: int) -> str:
        return self._anchor_of("check" if depth == 0 else "diagnostic", check_id)

    def _anchor_of(self, kind: str, item_id: str) -> str:
        """Return an id of the page that no other element has."""
        anchor = self._numbers.get((kind, item_id))
        if anchor is None or anchor in self._used:
            anchor = f"i-{kind}-x{len(self._used)}"
        self._used.add(anchor)
        return anchor

    def _target_of(self, blocking: Blocking) -> str | None:
        """Return the anchor of an item that the page shows; None where it is left out."""
        anchor = self._numbers.get((blocking.kind, blocking.id))
        limits = {"check": 60, "comparison": 60, "signature": 40, "metric": 200, "alarm": 200}
        if anchor is None or self._places(blocking) >= max(1, round(limits[blocking.kind] * self._scale)):
            return None
        return anchor

    def _places(self, blocking: Blocking) -> int:
        """Return the place of an item among those of its section."""
        result = self._report.result
        match blocking.kind:
            case "check":
                ids = [each.id for each in not_green(self._report)]
            case "comparison":
                ids = [each.id for each in failures_first(result.comparisons)]
            case "signature":
                ids = [each.id for each in failures_first(result.signatures)]
            case _:
                ids = [each.id for each in failures_first(result.signals)]
        return ids.index(blocking.id)

    def _waterfall_of(self, trace_id: str) -> _Waterfall | None:
        trace = self._report.traces.get(trace_id)
        if trace is None or not trace.spans:
            return None
        laid = waterfall(trace, _BAR_CELLS)
        title = "; ".join(
            filter(
                None,
                (
                    laid.bottleneck_text(),
                    "" if laid.complete else "not complete yet",
                    "X-Ray omitted spans" if laid.cut else "",
                ),
            )
        )
        return _Waterfall(title, [_bar(each) for each in self._keep(laid.bars, "span", _SPANS)])


def _asset(name: str) -> str:
    return files("prodwatch.report").joinpath(name).read_text(encoding="utf-8").rstrip("\n")


def _policy(css: str) -> str:
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _environment(filters: Mapping[str, Callable[..., Any]]) -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters.update(filters)
    return environment


def _shown(status: Status) -> _Shown:
    return _Shown(STATES[status].word, GLYPHS[status][0], STATES[status].tone.value)


def _holds(row: AssertionRow) -> str:
    return {True: "✔ holds:", False: "✘ false:", None: "? undecided:"}[row.ok]


def _side(side: ComparedVersion, result: ComparisonResult) -> str:
    value = side_value(side, result)
    count = f"{side.requests:,} {'periods' if result.kind == 'metric' else 'requests'}"
    return f"{value} of {count}" if value else count


def signature_standing_title(signature: SignatureResult) -> str:
    """Return `bound to v42: 1f3a…`."""
    return f"{signature_standing(signature)}: {signature.id}"


def _line_class(line: Line, place: int) -> str:
    return line.kind if line.kind != "other" else _OTHERS[place % len(_OTHERS)]


def _detail(check: CheckResult) -> CheckDetail:
    return detail_of(CheckTrack(id=check.id, latest=check))


def _phases(exchange: Exchange) -> list[_Bar]:
    return [_bar(each) for each in phases_waterfall(exchange.phases_ms, _BAR_CELLS)]


def _bar(bar: Bar) -> _Bar:
    mark, tone = _BAR_TONES.get(bar.state, ("", Tone.PLAIN))
    if not mark and bar.slowest:
        mark, tone = "bottleneck", Tone.WARN
    return _Bar(
        name=bar.name,
        indent="\u00a0\u00a0" * min(bar.depth, 12),
        x=bar.x0 * (200 / (_BAR_CELLS * EIGHTHS)),
        width=max(1.0, (bar.x1 - bar.x0) * (200 / (_BAR_CELLS * EIGHTHS))),
        time=format_ms(bar.duration_s * 1000),
        kind="slow" if mark == "bottleneck" else "" if bar.state == "ok" else bar.state,
        mark=mark,
        tone=tone.value,
        note=bar.note,
    )


def _links(detail: CheckDetail) -> list[tuple[str, str | None]]:
    """Return title and address of each link; one that is not of the web, or too long, is text without an address."""
    return [
        (title, url)
        if url.startswith(("https://", "http://")) and len(url) <= _LONGEST_TEXT
        else (f"{title}: {url}", None)
        for title, url in detail.links.items()
    ]


def _facts(report: RunReport) -> list[tuple[str, str]]:
    """Return names and values of the page's head."""
    result = report.result
    environment, release, run = result.environment, result.release, result.run
    counts = counted_outcomes(result.summary)
    if result.summary.flaky:
        counts.append(f"{result.summary.flaky} flaky")
    found = [("Environment", " · ".join(filter(None, (environment.name, environment.account, environment.region))))]
    if release is not None and release.version is not None:
        change = f" ({release.change})" if release.change else ""
        found.append(
            ("Release", f"{version_label(release.version)}, before it {version_label(release.previous)}{change}")
        )
        traffic = [f"{version_label(each)} {share * 100:.0f} %" for each, share in release.weights.items()]
        found.append(("State", " · ".join(filter(None, (release.state, ", ".join(traffic))))))
        if release.started_at is not None:
            found.append(("Release began", f"{release.started_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"))
    if report.since is not None:
        found.append(("Verdict since", f"{report.since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"))
    ended = run.ended_at.astimezone(UTC)
    found.append(("Observed", f"{format_ms(run.duration_ms)}, until {ended:%Y-%m-%d %H:%M:%S} UTC"))
    found.append(("Checks", ", ".join(counts) or "none finished"))
    if run.host:
        found.append(("Host", " · ".join(filter(None, (run.host, run.ci)))))
    return found


def _rounded(result: RunResult) -> str:
    """Return the number of rounds in a sentence; empty without one."""
    finished, planned = (sum(getattr(each, name) for each in result.rounds) for name in ("finished", "planned"))
    failed = sum(each.failed for each in result.rounds)
    return f"{finished:,} of {planned:,} rounds finished, {failed:,} failed" if finished or planned else ""


def _event(event: ReleaseEvent, result: RunResult) -> _Event:
    release = result.release
    since = ""
    if release is not None and release.started_at is not None:
        after = event.at - release.started_at
        sign = "+" if after >= timedelta() else "−"
        since = f"{sign}{format_age(abs(after.total_seconds()))}"
    tone = tone_of(event)
    return _Event(
        at=f"{event.at.astimezone(UTC):%m-%d %H:%M:%S}",
        since=since,
        lane=LANE_NAMES[event.source],
        subject="" if event.subject == event.source else event.subject,
        text=describe(event),
        glyph=_TONE_GLYPHS.get(tone, "·"),
        tone=tone.value,
        detail=event.detail,
    )
