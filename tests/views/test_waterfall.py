from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.model.signal import Span, Trace
from prodwatch.views.waterfall import EIGHTHS, phases_waterfall, place, waterfall

TIMES = st.floats(0, 1e6, allow_nan=False, width=32)
IDS = st.sampled_from("abcdefgh")


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    spans = []
    for span_id in draw(st.lists(IDS, unique=True, max_size=8)):
        start = draw(TIMES)
        length = draw(st.one_of(st.none(), st.floats(-5, 1e5, allow_nan=False, width=32)))
        spans.append(
            Span(
                id=span_id,
                parent_id=draw(st.one_of(st.none(), IDS)),
                name=span_id,
                start_s=start,
                end_s=None if length is None else start + length,
            )
        )
    return Trace(id="t", spans=tuple(spans))


@given(traces(), st.integers(1, 300))
def test_every_bar_lies_in_the_picture_and_is_seen(trace: Trace, width: int) -> None:
    fall = waterfall(trace, width)
    assert sorted(bar.key for bar in fall.bars) == sorted(span.id for span in trace.spans)
    for bar in fall.bars:
        assert 0 <= bar.x0 < bar.x1 <= width * EIGHTHS
        assert 0 <= bar.self_s <= bar.duration_s + 1e-6


@given(traces(), st.integers(1, 300))
def test_a_parent_covers_its_child_or_the_child_is_marked(trace: Trace, width: int) -> None:
    fall = waterfall(trace, width)
    bars = {bar.key: bar for bar in fall.bars}
    spans = {span.id: span for span in trace.spans}
    for bar in fall.bars:
        parent_id = spans[bar.key].parent_id
        if bar.orphan or parent_id is None:
            assert bar.depth == 0
            continue
        parent = bars[parent_id]
        assert bar.depth == parent.depth + 1
        # A millisecond of clock precision may show as one eighth where the picture is that fine.
        slack = 1 if fall.total_s == 0 else 1 + int(0.001 / fall.total_s * width * EIGHTHS)
        inside = parent.x0 - slack <= bar.x0 and bar.x1 <= parent.x1 + slack
        assert inside or bar.skewed


@given(traces())
def test_parents_come_before_their_children(trace: Trace) -> None:
    order = {bar.key: place for place, bar in enumerate(waterfall(trace, 80).bars)}
    orphans = {bar.key for bar in waterfall(trace, 80).bars if bar.orphan}
    for span in trace.spans:
        if span.parent_id and span.id not in orphans:
            assert order[span.parent_id] < order[span.id]


@given(TIMES, TIMES, st.integers(1, 200))
def test_place_is_monotone(first: float, second: float, width: int) -> None:
    low, high = sorted((first, second))
    assert place(low, low, 0, 1e6, width)[0] <= place(high, high, 0, 1e6, width)[0]


def span(span_id: str, start: float, end: float | None, parent: str | None = None, **more: object) -> Span:
    return Span(id=span_id, parent_id=parent, name=span_id, start_s=start, end_s=end, **more)  # type: ignore[arg-type]


def test_the_critical_path_is_the_chain_that_ends_last() -> None:
    trace = Trace(
        id="t",
        spans=(
            span("root", 0, 10),
            span("early", 1, 3, "root"),
            span("aside", 4, 6, "root"),
            span("late", 5, 9, "root"),
        ),
    )
    bars = {bar.key: bar.critical for bar in waterfall(trace, 80).bars}
    assert bars == {"root": True, "early": True, "aside": False, "late": True}


def test_the_bottleneck_is_the_span_with_most_time_of_its_own() -> None:
    trace = Trace(id="t", spans=(span("api", 0, 10), span("function", 1, 9, "api"), span("table", 2, 8, "function")))
    fall = waterfall(trace, 80)
    assert fall.bottleneck == "table"
    assert {bar.key: bar.self_s for bar in fall.bars} == {"api": 2, "function": 2, "table": 6}


def test_overlapping_children_are_counted_once() -> None:
    trace = Trace(id="t", spans=(span("a", 0, 10), span("b", 0, 6, "a"), span("c", 4, 8, "a")))
    assert waterfall(trace, 80).bars[0].self_s == 2


@pytest.mark.parametrize(
    ("spans", "mark"),
    [
        ((span("a", 0, 10), span("b", 9, 12, "a")), "skewed"),
        ((span("a", 0, 10), span("b", 2, 3, "gone")), "orphan"),
        ((span("a", 0, 10), span("b", 2, None, "a")), "open"),
    ],
    ids=["sticks-out", "parent-missing", "in-progress"],
)
def test_oddities_are_said(spans: tuple[Span, ...], mark: str) -> None:
    bar = next(bar for bar in waterfall(Trace(id="t", spans=spans), 80).bars if bar.key == "b")
    assert getattr(bar, mark) is True


def test_spans_that_are_each_others_parents_are_shown() -> None:
    trace = Trace(id="t", spans=(span("a", 0, 1, "b"), span("b", 0, 1, "a"), span("c", 0, 1, "c")))
    assert {bar.key for bar in waterfall(trace, 10).bars} == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("more", "state", "note"),
    [
        ({"fault": True, "exceptions": ("KeyError: 'x'",)}, "fault", "KeyError: 'x'"),
        ({"throttle": True, "error": True}, "throttle", None),
        ({"error": True}, "error", None),
        ({"aws": {"operation": "GetItem", "table_name": "orders"}}, "ok", "GetItem orders"),
        ({"aws": {"operation": "Publish"}}, "ok", "Publish"),
        ({"sql": {"sanitized_query": "SELECT ?"}}, "ok", "SELECT ?"),
    ],
    ids=["fault", "throttle", "error", "aws-table", "aws", "sql"],
)
def test_states_and_notes(more: dict[str, object], state: str, note: str | None) -> None:
    bar = waterfall(Trace(id="t", spans=(span("a", 0, 1, None, **more),)), 10).bars[0]
    assert (bar.state, bar.note) == (state, note)


def test_an_empty_trace_is_empty() -> None:
    assert waterfall(Trace(id="t", spans=(), complete=False), 10).bars == ()


@given(st.dictionaries(st.text(max_size=5), st.floats(-1, 1e6, allow_nan=False), max_size=6), st.integers(1, 200))
def test_phases_follow_one_another(phases: dict[str, float], width: int) -> None:
    bars = phases_waterfall(phases, width)
    assert [bar.name for bar in bars] == list(phases)
    assert all(0 <= bar.x0 < bar.x1 <= width * EIGHTHS for bar in bars)
    assert [bar.x0 for bar in bars] == sorted(bar.x0 for bar in bars)


def test_the_bottleneck_lies_on_the_critical_path_and_is_marked() -> None:
    trace = Trace(
        id="t",
        spans=(
            span("api", 0, 10),
            span("aside", 0, 7, "api"),
            span("table", 1, 9.5, "api"),
            span("index", 2, 4, "table"),
        ),
    )
    fall = waterfall(trace, 80)
    assert fall.bottleneck_text() == "table: self time 6.50 s, 65 %"
    assert [bar.key for bar in fall.bars if bar.slowest] == ["table"]
    assert not next(bar for bar in fall.bars if bar.key == "aside").critical


def test_a_trace_without_any_time_has_no_bottleneck() -> None:
    fall = waterfall(Trace(id="t", spans=(span("a", 1, 1),)), 80)
    assert (fall.bottleneck, fall.bottleneck_text()) == (None, "")


def test_a_span_that_ends_before_it_begins_is_skewed_and_still_seen() -> None:
    (bar,) = waterfall(Trace(id="t", spans=(span("a", 5, 1),)), 80).bars
    assert bar.skewed
    assert bar.duration_s == 0


def test_below_a_circle_of_parents_spans_keep_their_place() -> None:
    fall = waterfall(Trace(id="t", spans=(span("a", 0, 1, "b"), span("b", 0, 1, "a"), span("c", 0, 1, "a"))), 80)
    assert {bar.key: (bar.depth, bar.orphan) for bar in fall.bars} == {"a": (0, True), "b": (0, True), "c": (1, False)}


def test_a_chain_of_five_thousand_is_laid_out() -> None:
    chain = tuple(span(str(n), n, 6000, str(n - 1) if n else None) for n in range(5000))
    fall = waterfall(Trace(id="t", spans=chain), 80)
    assert [bar.depth for bar in fall.bars] == list(range(5000))
    assert fall.bottleneck == "4999"


def test_a_call_answered_by_another_clock_was_waited_for_all_the_same() -> None:
    trace = Trace(
        id="t",
        spans=(span("api", 0, 0.043), span("call", 0.003, 0.042, "api"), span("function", 0, 0.0435, "call")),
    )
    fall = waterfall(trace, 80)
    assert fall.bottleneck == "function"
    late = Trace(id="t", spans=(span("api", 0, 1), span("asynchronous", 0.1, 5, "api")))
    assert waterfall(late, 80).bottleneck == "api"
