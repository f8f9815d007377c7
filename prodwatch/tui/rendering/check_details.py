"""The parts of a check's screen: assertions, phases, request, response, attempts, diagnostics, history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from statistics import median
from textwrap import wrap

from prodwatch.model.result import CheckResult, Exchange
from prodwatch.model.status import Status
from prodwatch.text.units import format_ms
from prodwatch.tui.rendering.waterfall_bars import phase_lines, phase_width
from prodwatch.tui.styled_line import Line, Piece, pad, safe
from prodwatch.tui.widget_context import WidgetContext
from prodwatch.views.check_detail import AssertionRow, CheckDetail, compact, pretty
from prodwatch.views.release import version_label
from prodwatch.views.status_style import STATES, Tone, state_of
from prodwatch.views.waterfall import phases_waterfall

BODY_LINES = 400
"""Most lines shown of one body; the rest is counted."""
DIAGNOSTIC_LINES = 30
"""Most lines shown of one diagnostic's response."""


def assertion_lines(detail: CheckDetail, width: int, context: WidgetContext) -> list[Line]:
    """Return the assertions, failed first, with expected and actual value, then the steps."""
    lines: list[Line] = []
    if detail.latest is None:
        return [(("no round of this check has finished yet", Tone.DIM),)]
    assertion_messages = {assertion.message for assertion in detail.assertions if not assertion.ok}
    if detail.latest.message and detail.status is not Status.PASS and detail.latest.message not in assertion_messages:
        tone = state_of(detail.status).tone
        lines += [((part, tone),) for part in wrap(safe(detail.latest.message), max(20, width))]
        lines.append(())
    for assertion in detail.assertions:
        lines += _assertion(assertion, width, context)
    if not detail.assertions:
        lines.append((("this check has no assertions of its own", Tone.DIM),))
    if detail.version:
        lines.append((("  served by ", Tone.DIM), (version_label(detail.version), Tone.STRONG)))
    if detail.latest.steps or detail.latest.cleanup:
        lines += ((), (("steps", Tone.HEAD),), *_steps(detail.latest, context))
    return lines


def _assertion(assertion: AssertionRow, width: int, context: WidgetContext) -> list[Line]:
    status = {
        True: Status.PASS,
        False: Status.DEGRADED if assertion.severity == "warn" else Status.FAIL,
        None: Status.INCONCLUSIVE,
    }
    state = state_of(status[assertion.ok])
    where = f"{assertion.step}: " if assertion.step else ""
    kind = f"  {assertion.severity}" if assertion.severity != "expect" else ""
    first: list[Piece] = [
        (f"{context.glyph(state)} ", state.tone),
        (f"{where}{assertion.expression}", Tone.PLAIN if assertion.ok else Tone.STRONG),
        (kind, Tone.DIM),
    ]
    if assertion.ok:
        if assertion.actual:
            first.append((f"  {assertion.actual}", Tone.DIM))
        return [first, *_facts(assertion, width)]
    lines: list[Line] = [first]
    if assertion.message:
        lines += [(("    " + part, state.tone),) for part in wrap(safe(assertion.message), max(20, width - 4))]
    lines.append((("    expected  ", Tone.DIM), (assertion.expected or "–", Tone.PLAIN)))
    lines.append((("    actual    ", Tone.DIM), (assertion.actual or "–", Tone.PLAIN)))
    lines += [((f"    {part}", _diff_tone(part)),) for part in assertion.diff]
    return [*lines, *_facts(assertion, width)]


def _facts(assertion: AssertionRow, width: int) -> list[Line]:
    parts = [part for fact in assertion.facts for part in wrap(safe(fact), max(20, width - 6))]
    return [((f"    | {part}", Tone.PLAIN),) for part in parts]


def _diff_tone(text: str) -> Tone:
    return {"+": Tone.BAD, "-": Tone.GOOD}.get(text[:1], Tone.DIM)


def _steps(latest: CheckResult, context: WidgetContext) -> list[Line]:
    lines: list[Line] = []
    for label, steps in (("", latest.steps), ("cleanup ", latest.cleanup)):
        for step in steps:
            state = state_of(step.status)
            lines.append(
                (
                    (f"{context.glyph(state)} {state.word:<6} ", state.tone),
                    (f"{label}{step.name}", Tone.PLAIN),
                    (f"  {step.type}  {format_ms(step.duration_ms)}", Tone.DIM),
                    (f"  {step.message}" if step.message else "", state.tone),
                )
            )
            lines += [((f"    left behind: {leftover}", Tone.WARN),) for leftover in step.leftovers]
    return lines


def phases(detail: CheckDetail, width: int, context: WidgetContext) -> Sequence[Line]:
    """Return the request's phases as a waterfall, the ids it sent and where the check is defined."""
    lines: list[Line] = []
    for step, exchange in detail.exchanges:
        if exchange.phases_ms:
            lines += _step_title(step)
            bars = phases_waterfall(exchange.phases_ms, phase_width(width))
            lines += phase_lines(bars, width, ascii_only=context.preferences.ascii)
    if not lines:
        lines.append((("no timing phases for this type", Tone.DIM),))
    lines.append(())
    entries = [("trace", trace_id) for trace_id in detail.trace_ids]
    entries += [(_request_label(detail, request_id), request_id) for request_id in detail.request_ids]
    entries += list(detail.links.items())
    if detail.latest:
        entries.append(("defined in", str(detail.latest.source)))
    label_cells = max((len(label) for label, _ in entries), default=0) + 1
    return lines + [((pad(label, label_cells), Tone.DIM), (value, Tone.PLAIN)) for label, value in entries]


def _request_label(detail: CheckDetail, request_id: str) -> str:
    source = detail.request_sources.get(request_id)
    return f"request ({source})" if source else "request"


def request(detail: CheckDetail, width: int, context: WidgetContext) -> Sequence[Line]:
    """Return the requests, also as commands."""
    del width, context
    lines: list[Line] = []
    for step, exchange in detail.exchanges:
        lines += _step_title(step)
        lines += _mapping(exchange.request)
        for key, command in (("c copies ", exchange.curl), ("a copies ", exchange.aws_cli)):
            if command:
                lines += [(), ((key, Tone.DIM), (command, Tone.ACCENT))]
        lines.append(())
    return lines or [(("no request was sent", Tone.DIM),)]


def response(detail: CheckDetail, width: int, context: WidgetContext) -> Sequence[Line]:
    """Return the responses."""
    del width, context
    lines: list[Line] = []
    for step, exchange in detail.exchanges:
        lines += _step_title(step)
        lines += _response(exchange)
        lines.append(())
    return lines or [(("no response", Tone.DIM),)]


def _response(exchange: Exchange) -> list[Line]:
    body = exchange.response
    lines = _mapping(body) if isinstance(body, dict) else _body(body)
    if exchange.truncated:
        lines.append((("truncated: responses are kept up to a limit", Tone.WARN),))
    return lines


def _mapping(values: dict[str, object]) -> list[Line]:
    lines: list[Line] = []
    for name, value in values.items():
        if name == "body":
            lines += [(), *_body(value)] if lines else _body(value)
        elif name == "headers" and isinstance(value, dict):
            lines += [((f"{key}: ", Tone.DIM), (compact(item), Tone.PLAIN)) for key, item in value.items()]
        elif isinstance(value, dict | list) and value:
            lines.append(((f"{name}:", Tone.DIM),))
            lines += [(("  ", Tone.PLAIN), *line) for line in _body(value)]
        else:
            lines.append(((f"{name}: ", Tone.DIM), (compact(value), Tone.STRONG)))
    return lines


def _body(value: object) -> list[Line]:
    if value in (None, ""):
        return []
    lines = pretty(value)
    shown: list[Line] = [((line, Tone.PLAIN),) for line in lines[:BODY_LINES]]
    if len(lines) > BODY_LINES:
        shown.append(((f"… and {len(lines) - BODY_LINES} more lines", Tone.DIM),))
    return shown


def _step_title(step: str | None) -> list[Line]:
    return [((f"step {step}", Tone.HEAD),)] if step else []


def attempts(detail: CheckDetail, width: int, context: WidgetContext) -> Sequence[Line]:
    """Return every attempt of retries, polls and holds."""
    del width
    lines: list[Line] = []
    for row in detail.attempts:
        state = state_of(row.attempt.status)
        at = context.time(row.attempt.started_at) if row.attempt.started_at else ""
        lines.append(
            (
                (f"{row.attempt.n:>3} {at:<8} ", Tone.DIM),
                (f"{context.glyph(state)} {state.word:<6} ", state.tone),
                (f"{row.attempt.kind:<8}", Tone.DIM),
                (pad(format_ms(row.attempt.duration_ms), 9, right=True), Tone.PLAIN),
                (f"  {row.step}" if row.step else "", Tone.DIM),
                (f"  {row.attempt.message}" if row.attempt.message else "", Tone.PLAIN),
            )
        )
    return lines or [(("one request, no retries", Tone.DIM),)]


def diagnostics(detail: CheckDetail, width: int, context: WidgetContext) -> Sequence[Line]:
    """Return the results of the diagnostics that ran because this check is not green."""
    lines: list[Line] = []
    for diagnostic in detail.diagnostics:
        state = state_of(diagnostic.status)
        lines.append(
            (
                (f"{context.glyph(state)} {state.word:<6} ", state.tone),
                (diagnostic.title, Tone.PLAIN),
                (f"  {format_ms(diagnostic.duration_ms)}", Tone.DIM),
            )
        )
        if diagnostic.message:
            lines += [((f"    {part}", Tone.PLAIN),) for part in wrap(safe(diagnostic.message), max(20, width - 4))]
        for assertion in diagnostic.assertions:
            if assertion.ok is not True and assertion.actual is not None:
                lines.append(
                    (
                        (f"    {assertion.expression}", Tone.STRONG),
                        (f"  actual {compact(assertion.actual)}", Tone.PLAIN),
                    )
                )
        if diagnostic.exchange and diagnostic.exchange.response not in (None, "", {}, []):
            lines += [(("    ", Tone.PLAIN), *line) for line in _response(diagnostic.exchange)[:DIAGNOSTIC_LINES]]
    return lines or [(("no diagnostic ran: none is defined, or the check is green", Tone.DIM),)]


def history(detail: CheckDetail, width: int, context: WidgetContext) -> Sequence[Line]:
    """Return the rounds in memory, newest first, below their statistics."""
    del width
    rounds: list[Line] = [
        (
            (f"{context.time(round_.at)}  ", Tone.DIM),
            (
                f"{context.glyph(state_of(round_.status))} {state_of(round_.status).word:<6} ",
                state_of(round_.status).tone,
            ),
            (pad(format_ms(round_.duration_ms), 9, right=True), Tone.PLAIN),
            ("  flaky" if round_.flaky else "", Tone.WARN),
        )
        for round_ in detail.history
    ]
    return [*_record(detail, context), *rounds] if rounds else [(("no round has finished yet", Tone.DIM),)]


def _record(detail: CheckDetail, context: WidgetContext) -> list[Line]:
    """Return counts by status, and median and maximum time."""
    counts = Counter(round_.status for round_ in detail.history)
    pieces: list[Piece] = [(f"{len(detail.history)} rounds: ", Tone.DIM)]
    pieces += [
        (f"{counts[status]} {context.glyph(state)} {state.word}  ", state.tone)
        for status, state in STATES.items()
        if counts[status]
    ]
    measured = [round_.duration_ms for round_ in detail.history if round_.status is not Status.SKIPPED]
    lines: list[Line] = [pieces]
    if measured:
        text = f"median {format_ms(median(measured))}, max {format_ms(max(measured))}"
        flaky = sum(round_.flaky for round_ in detail.history)
        lines.append(((text, Tone.DIM), (f", {flaky} flaky" if flaky else "", Tone.WARN)))
    return [*lines, ()]


Facet = Callable[[CheckDetail, int, WidgetContext], Sequence[Line]]

FACETS: dict[str, Facet] = {
    "phases": phases,
    "request": request,
    "response": response,
    "attempts": attempts,
    "diagnostics": diagnostics,
    "history": history,
}
