"""Traces as text and NDJSON: why they failed or were slow, and a waterfall that names what took the time."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

import pytest

from prodwatch.cli.live.colour import Style
from prodwatch.cli.live.trace_output import header, ndjson, text, waterfall_text
from prodwatch.model.signal import Span, Trace, TraceSummary
from prodwatch.text.cell_width import width

PLAIN = Style(color=False)
START_MS = 1_768_478_400_000


def summary(**more: Any) -> TraceSummary:
    return TraceSummary(id="1-a", start_ms=START_MS, **{"duration_s": 0.2, **more})


@pytest.mark.parametrize(
    ("told", "end"),
    [
        ({"fault": True, "root_cause": "orders → place: KeyError: 'c'"}, "KeyError: 'c' in orders → place"),
        ({"error": True, "root_cause": "api → Lambda"}, "api → Lambda"),
        ({"duration_s": 2.0, "slowest": "DynamoDB 1.7 s"}, "DynamoDB 1.7 s"),
        ({"duration_s": 2.0, "fault": True, "root_cause": "a: E", "slowest": "b 1.7 s"}, "E in a"),
        ({"slowest": "DynamoDB 100 ms"}, "1-a"),
    ],
    ids=["fault", "no exception", "slow", "failed and slow", "neither"],
)
def test_a_row_ends_in_why(told: dict[str, Any], end: str) -> None:
    assert text(PLAIN, 1.0, UTC)(summary(**told)).endswith(f"{end}  1-a" if end != "1-a" else end)


@pytest.mark.parametrize(
    ("columns", "lines"),
    [
        (None, ["12:00:00.000 fault       200 ms  500 v42     POST /orders  KeyError: 'c' in orders → place  1-a"]),
        (200, ["12:00:00.000 fault       200 ms  500 v42     POST /orders  KeyError: 'c' in orders → place  1-a"]),
        (
            80,
            [
                "12:00:00.000 fault       200 ms  500 v42     POST /orders",
                " " * 13 + "KeyError: 'c' in orders → place  1-a",
            ],
        ),
        (
            48,
            [
                "12:00:00.000 fault       200 ms  500 v42     PO…",
                " " * 13 + "KeyError: 'c' in orders → place",
                " " * 13 + "1-a",
            ],
        ),
    ],
    ids=["pipe", "wide", "80", "narrow"],
)
def test_a_row_fits_the_terminal_with_its_whole_id_last(columns: int | None, lines: list[str]) -> None:
    trace = summary(
        fault=True,
        root_cause="orders → place: KeyError: 'c'",
        method="POST",
        url="https://x/orders",
        status=500,
        version="42",
    )
    shown = text(PLAIN, 1.0, UTC, lambda: columns)(trace)
    assert [" ".join(line.split()) for line in shown.split("\n")] == [" ".join(line.split()) for line in lines]
    assert columns is None or all(width(line) <= columns for line in shown.split("\n"))


def test_the_columns_name_the_zone_of_the_times() -> None:
    assert header("CEST").split() == ["time", "CEST", "verdict", "took", "code", "version", "request"]


def test_ndjson_has_cause_and_slowest_node_whatever_the_verdict() -> None:
    document = json.loads(ndjson(1.0)(summary(root_cause="a: E", slowest="DynamoDB 100 ms")))
    assert (document["verdict"], document["root_cause"], document["slowest"]) == ("ok", "a: E", "DynamoDB 100 ms")


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        ({"fault": True, "error": True}, "fault"),
        ({"error": True, "throttle": True}, "throttle"),
        ({"error": True}, "error"),
        ({"duration_s": 1.1}, "slow"),
        ({"partial": True}, "open"),
        ({}, "ok"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_worst_is_said_in_one_word(flags: dict[str, Any], word: str) -> None:
    assert json.loads(ndjson(1.0)(summary(**flags)))["verdict"] == word


SPANS = (
    Span(id="a", name="api", start_s=0.0, end_s=2.0),
    Span(id="b", parent_id="a", name="注文サービス", start_s=0.1, end_s=1.9, fault=True, exceptions=("KeyError: 'c'",)),
    Span(id="c", parent_id="b", name="DynamoDB", start_s=0.2, end_s=1.8),
    Span(id="d", parent_id="gone", name="lost", start_s=0.2, end_s=None),
)


@pytest.mark.parametrize(("unicode", "mark"), [(True, "◆"), (False, "*")])
def test_a_waterfall_names_the_bottleneck_and_keeps_its_columns_in_every_script(unicode: bool, mark: str) -> None:
    lines = waterfall_text(Trace(id="1-a", spans=SPANS[:3]), PLAIN, width=80, unicode=unicode)
    assert lines[-1] == "bottleneck: DynamoDB: self time 1.60 s, 80 %"
    rows = [line for line in lines if " s " in line and "own" not in line and "spans" not in line]
    assert {width(line[: line.index(" s ")]) for line in rows} == {42}
    assert [line.startswith("    DynamoDB") for line in lines if mark in line] == [True]
    assert any("fault · KeyError: 'c'" in line for line in lines)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"cut": True, "complete": False}, "X-Ray left spans out: the trace is too large"),
        ({"complete": False}, "not complete yet"),
        ({"unread": 1}, "1 segment could not be read"),
        ({}, "parent span missing"),
        ({}, "still open"),
    ],
    ids=["cut", "partial", "unread", "orphan", "open"],
)
def test_what_is_missing_or_doubtful_is_said(more: dict[str, Any], words: str) -> None:
    assert words in "\n".join(waterfall_text(Trace(id="1-a", spans=SPANS, **more), PLAIN, width=100))


def test_a_chain_of_a_thousand_spans_keeps_its_names_readable() -> None:
    chain = tuple(
        Span(id=str(n), parent_id=str(n - 1) if n else None, name=f"step {n}", start_s=n, end_s=2000)
        for n in range(1000)
    )
    lines = waterfall_text(Trace(id="1-a", spans=chain), PLAIN, width=100)
    assert lines[-2].strip().startswith("step 999")
