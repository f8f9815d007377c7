"""One trace opened: it grows while one looks, says what is missing, and shows all that is known of a span."""

from __future__ import annotations

import json
from typing import Any

import pytest

from prodwatch.formats.lambda_record import LineParser
from prodwatch.model.signal import Batch, LogRecord, SourceStatus, Span, Trace, TraceSummary
from prodwatch.testing.clock import START
from prodwatch.text.redact import Redactor
from prodwatch.tui.preferences import Preferences
from prodwatch.tui.screens import trace as trace_screen
from prodwatch.tui.screens.trace import TraceScreen, span_lines
from prodwatch.tui.widgets.trace_list_panel import TraceListPanel
from prodwatch.tui.widgets.waterfall_panel import WaterfallPanel

ID = "1-5f84c7a5-cd52b1d2e1c4a3b2c1d0e9f8"
T = START.timestamp()


def span(id_: str, start: float, end: float | None, parent: str | None = None, **more: Any) -> Span:
    return Span(
        id=id_,
        parent_id=parent,
        name=more.pop("name", id_),
        start_s=T + start,
        end_s=None if end is None else T + end,
        **more,
    )


class Growing:
    """Answers with the next form of the trace each time it is asked; the last one stays."""

    def __init__(self, *forms: Trace | None) -> None:
        self.forms = list(forms)
        self.asked = 0

    async def __call__(self, trace_id: str) -> Trace | None:
        assert trace_id == ID
        self.asked += 1
        return self.forms.pop(0) if len(self.forms) > 1 else self.forms[0]


async def test_a_trace_fills_up_while_it_is_open_and_the_cursor_stays(run: Any) -> None:
    first = Trace(id=ID, spans=(span("api", 0, None), span("orders", 0.1, None, "api")), complete=False)
    whole = Trace(id=ID, spans=(span("api", 0, 2), span("orders", 0.1, 1.9, "api"), span("table", 0.2, 1.8, "orders")))
    async with run() as bench:
        fetch = bench.session.fetch_trace = Growing(None, first, whole)
        bench.app.open_trace(ID)
        await bench.sees("not in X-Ray yet: 1 attempt, next in 5 s")
        await bench.app.context.clock.advance(5)
        await bench.sees("incomplete: spans are still arriving")
        await bench.sees("orders open")
        await bench.press("j")
        await bench.app.context.clock.advance(5)
        await bench.sees("bottleneck table: self time 1.60 s, 80 %")
        assert bench.app.screen.query_one(WaterfallPanel).cursor_key == "orders"
        await bench.app.context.clock.advance(60)
        assert fetch.asked == 3


async def test_a_whole_trace_that_grows_later_is_asked_for_again(run: Any) -> None:
    one = Trace(id=ID, spans=(span("api", 0, 2),))
    more = Trace(id=ID, spans=(span("api", 0, 2), span("late child", 0.5, 1.5, "api")))
    async with run() as bench:
        bench.session.fetch_trace = Growing(one, more)
        bench.app.open_trace(ID)
        await bench.sees("bottleneck api")
        summary = TraceSummary(id=ID, start_ms=int(T * 1000), duration_s=2.0, revision=2)
        bench.store.apply(Batch(source="traces", records=(summary,)))
        await bench.app.context.clock.advance(5)
        await bench.sees("late child")


async def test_a_trace_too_large_for_x_ray_says_so_and_is_not_asked_for_for_ever(run: Any) -> None:
    async with run() as bench:
        fetch = bench.session.fetch_trace = Growing(Trace(id=ID, spans=(span("api", 0, 2),), complete=False, cut=True))
        bench.app.open_trace(ID)
        await bench.sees("X-Ray omitted spans: the trace is too large")
        await bench.app.context.clock.advance(60)
        assert fetch.asked == 1


@pytest.fixture
def few_looks(monkeypatch: pytest.MonkeyPatch) -> int:
    """Return how often a trace is asked for: less often than for users."""
    monkeypatch.setattr(trace_screen, "MAX_TRACE_POLLS", 3)
    return 3


async def test_a_trace_never_shown_is_given_up_and_that_is_said(run: Any, few_looks: int) -> None:
    async with run() as bench:
        fetch = bench.session.fetch_trace = Growing(None)
        bench.app.open_trace(ID)
        for look in range(2, few_looks + 1):
            await bench.sees("1 attempt" if look == 2 else f"{look - 1} attempts")
            await bench.app.context.clock.advance(5)
        await bench.sees(f"{few_looks} attempts")
        await bench.app.context.clock.advance(5)
        await bench.sees("not in X-Ray: the request was not sampled")
        assert fetch.asked == few_looks


async def test_under_transaction_search_it_says_why_a_trace_is_not_there(run: Any, few_looks: int) -> None:
    async with run() as bench:
        status = SourceStatus(source="traces", message="Transaction Search is on: X-Ray has only the traces it indexes")
        bench.store.apply(Batch(source="traces", status=status))
        bench.session.fetch_trace = Growing(None)
        bench.app.open_trace(ID)
        for look in range(1, few_looks + 1):
            await bench.sees("1 attempt" if look == 1 else f"{look} attempts")
            await bench.app.context.clock.advance(5)
        await bench.sees("Transaction Search is on, and few traces are indexed; aws/spans has no line for it")


async def test_under_transaction_search_the_lines_of_aws_spans_make_the_waterfall(run: Any) -> None:
    parser = LineParser(Redactor())

    def line(document: dict[str, Any]) -> LogRecord:
        return parser.parse(json.dumps(document), group="aws/spans", timestamp_ms=int(T * 1000), stream="default")

    def told(id_: str, parent: str, start: float, end: float, **more: Any) -> dict[str, Any]:
        nano = {"startTimeUnixNano": int((T + start) * 1e9), "endTimeUnixNano": int((T + end) * 1e9)}
        return {"traceId": ID.replace("-", "")[1:], "spanId": id_, "parentSpanId": parent, **nano, **more}

    async with run() as bench:
        bench.session.fetch_trace = Growing(None)
        lines = (
            line(told("aa", "", 0, 2, name="POST /orders", kind="SERVER")),
            line(
                told("bb", "aa", 0.2, 1.9, name="DynamoDB.Query", attributes={"db.statement": "SELECT id FROM orders"})
            ),
        )
        bench.store.apply(Batch(source="logs", records=lines))
        bench.app.open_trace(ID)
        await bench.sees("bottleneck DynamoDB.Query: self time 1.70 s, 85 %")
        await bench.press("j")
        await bench.sees("sanitized_query: SELECT id FROM orders")


async def test_the_stack_trace_of_its_request_stands_among_its_lines(run: Any) -> None:
    told: dict[str, Any] = {"timestamp_ms": int(T * 1000), "group": "/aws/lambda/shop-orders", "request_id": "r-1"}
    async with run() as bench:
        bench.session.fetch_trace = Growing(Trace(id=ID, spans=(span("api", 0, 2),)))
        lines = (
            LogRecord(message="KeyError: 'nowhere'", **told),
            LogRecord(message="REPORT of r-1", trace_id=ID, **told),
            LogRecord(message="KeyError: 'of another'", **{**told, "request_id": "r-2"}),
        )
        bench.store.apply(Batch(source="logs", records=lines))
        bench.app.open_trace(ID)
        await bench.sees("REPORT of r-1")
        await bench.sees("KeyError: 'nowhere'")
        assert "of another" not in " ".join(bench.painted())


async def test_odd_times_and_parents_are_drawn_and_said(run: Any) -> None:
    spans = (
        span("api", 0, 2),
        span("backwards", 1, 0.5, "api"),
        span("sticks out", 1.5, 3, "api"),
        span("lost", 0.5, 1, "nobody"),
        span("a", 0, 1, "b"),
        span("b", 0, 1, "a"),
    )
    async with run() as bench:
        bench.session.fetch_trace = Growing(Trace(id=ID, spans=spans, unread=2))
        bench.app.open_trace(ID)
        await bench.sees("2 documents could not be read · clocks differ in 2 spans")
        await bench.sees("sticks out clock skew")
        await bench.sees("lost parent missing")
        await bench.press("j", "enter", "enter")
        assert bench.app.screen.query_one(WaterfallPanel).row_count() == len(spans)


async def test_five_thousand_spans_stay_walkable(run: Any) -> None:
    spans = (span("s0", 0, 9), *(span(f"s{n}", n / 1000, n / 1000 + 1, f"s{n - 1}") for n in range(1, 5000)))
    async with run() as bench:
        bench.session.fetch_trace = Growing(Trace(id=ID, spans=spans))
        bench.app.open_trace(ID)
        await bench.sees("s0")
        await bench.press("G")
        await bench.sees("4999 s4999")
        await bench.press("g", "enter")
        assert bench.app.screen.query_one(WaterfallPanel).row_count() == 1


async def test_hostile_names_are_drawn_as_text(run: Any) -> None:
    evil = "[/x] \x1b[2J 注文 [@click=app.bell]y[/]"
    spans = (span("a", 0, 1, name=evil, exceptions=(evil,), sql={"sanitized_query": evil}, annotations={evil: evil}),)
    async with run(preferences=Preferences(fps=0, ascii=True)) as bench:
        bench.session.fetch_trace = Growing(Trace(id=ID, spans=spans))
        bench.app.open_trace(ID)
        await bench.sees("[/x]")
        await bench.sees("sanitized_query: [/x]")
        assert "\x1b" not in bench.text
        assert isinstance(bench.app.screen, TraceScreen)


def told_of(each: Span, own_s: float | None = None) -> str:
    return "\n".join("".join(text for text, _ in line) for line in span_lines(each, own_s))


def test_a_span_tells_what_went_wrong_first_and_then_all_that_is_known() -> None:
    text = told_of(
        span(
            "orders",
            0,
            2,
            fault=True,
            throttle=True,
            exceptions=("KeyError: 'c'",),
            sql={"sanitized_query": "SELECT 1", "database_type": "PostgreSQL"},
            annotations={"release": "42"},
            http={"request": {"method": "POST"}, "response": {"status": 500}},
            metadata={"order": {"lines": [1, 2], "empty": {}}},
            resource_arn="arn:f",
        ),
        0.5,
    )
    order = [
        "2.00 s, self time 500 ms",
        "fault, throttle",
        "KeyError: 'c'",
        "sanitized_query: SELECT 1",
        "release: 42",
    ]
    order += ["request.method: POST", "response.status: 500", "order.lines: [1", "order.empty: {}", "arn:f"]
    places = [text.find(each) for each in order]
    assert places == sorted(places)
    assert min(places) >= 0


@pytest.mark.parametrize(("end", "words"), [(None, "in progress"), (-1, "ends before it starts")])
def test_a_span_without_a_usable_end_says_so(end: float | None, words: str) -> None:
    assert words in told_of(span("a", 0, end))


def test_a_table_with_too_many_values_is_cut_and_says_how_to_have_them_all() -> None:
    text = told_of(span("a", 0, 1, metadata={f"k{n}": n for n in range(1000)}))
    assert "… and more; Y copies the trace as JSON" in text
    assert text.count("\n") < 220


async def test_faults_and_slow_ones_stand_first_and_s_changes_the_order(run: Any) -> None:
    async with run(keys=["3"]) as bench:
        panel = bench.app.screen.query_one(TraceListPanel)
        traces = [panel.trace_at(panel.row_key(index)) for index in range(panel.row_count())]
        assert [trace.own for trace in traces] == sorted(trace.own for trace in traces)
        states = [trace.verdict for trace in traces if not trace.own]
        ranks = ["fault", "throttle", "slow", "error", "open", "ok"]
        assert states == sorted(states, key=ranks.index)
        await bench.sees("KeyError: 'currency' in shop-api → shop-orders")
        await bench.sees("dynamodb 0.84 s")
        assert [panel.cycle_sort() for _ in range(3)] == ["newest", "slowest", "worst"]
        await bench.press("slash")
        await bench.write("is:slow")
        await bench.press("enter")
        assert panel.row_count() == 1


async def test_a_wide_table_says_what_took_the_time_where_nothing_went_wrong(run: Any) -> None:
    async with run((200, 60), keys=["3"]) as bench:
        await bench.sees("shop-orders 97 ms")
