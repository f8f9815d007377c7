"""X-Ray's documents: order of spans, repeated and missing segments, and completeness of a trace."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.formats.xray_documents import parse_summary, parse_trace, self_times_s, trace_id_of

TRACE = "1-5f84c7a5-cd52b1d2e1c4a3b2c1d0e9f8"


def segment(id_: str, *, parent: str | None = None, start: float = 0.0, end: float | None = 1.0, **more: Any) -> Any:
    document = {"id": id_, "name": more.pop("name", id_), "start_time": start, "trace_id": TRACE} | more
    if parent:
        document["parent_id"] = parent
    document |= {"in_progress": True} if end is None else {"end_time": end}
    return document


def trace(*documents: Any, **more: Any) -> Any:
    return parse_trace({"Id": TRACE, "Segments": [{"Document": json.dumps(each)} for each in documents], **more})


def test_parents_come_before_children_and_siblings_by_start() -> None:
    parsed = trace(
        segment("c", parent="a", start=0.5, subsegments=[segment("d", start=0.7), segment("e", start=0.6)]),
        segment("a", subsegments=[segment("b", start=0.1)]),
    )
    assert [span.id for span in parsed.spans] == ["a", "b", "c", "e", "d"]
    assert {span.id: span.parent_id for span in parsed.spans} == {"a": None, "b": "a", "c": "a", "d": "c", "e": "c"}
    assert parsed.complete
    assert parsed.duration_s == 1.0


@pytest.mark.parametrize(
    ("documents", "more", "complete"),
    [
        ([segment("a")], {}, True),
        ([], {}, False),
        ([segment("a", end=None)], {}, False),
        ([segment("a", subsegments=[segment("b", end=None)])], {}, False),
        ([segment("a"), segment("b", parent="lost", start=0.2)], {}, False),
        ([segment("a", parent="untraced caller"), segment("b", parent="a", start=0.2)], {}, True),
        ([segment("a")], {"LimitExceeded": True}, False),
    ],
)
def test_a_trace_knows_whether_it_is_whole(documents: list[Any], more: dict[str, Any], complete: bool) -> None:
    assert trace(*documents, **more).complete is complete


@pytest.mark.parametrize("skew_s", [-600.0, -0.05, 0.0, 0.05, 600.0])
@pytest.mark.parametrize("parent", [None, "untraced caller"])
def test_K21_the_clock_of_a_child_does_not_decide_whether_a_trace_is_whole(skew_s: float, parent: str | None) -> None:
    entry = segment("a", parent=parent, start=1000.0, end=1001.0)
    child = segment("b", parent="a", start=1000.1 + skew_s, end=1000.5 + skew_s)
    assert trace(entry, child).complete
    assert trace(child, entry).complete
    assert not trace(entry, child, segment("c", parent="lost", start=1000.2 + skew_s)).complete


def test_K21_spans_without_a_root_are_no_whole_trace() -> None:
    assert not trace(segment("a", parent="b"), segment("b", parent="a")).complete


@pytest.mark.parametrize("order", [1, -1])
def test_a_segment_sent_again_replaces_its_open_form(order: int) -> None:
    sent = [segment("a", end=None), segment("a", end=2.0, fault=True)]
    (span,) = trace(*sent[::order]).spans
    assert (span.end_s, span.fault) == (2.0, True)


def test_broken_pieces_do_not_spoil_the_rest() -> None:
    pieces = ["not json", "[]", '{"id": 3}', '{"name": "no start", "id": "x"}', json.dumps(segment("a"))]
    parsed = parse_trace({"Id": TRACE, "Segments": [{"Document": each} for each in pieces]})
    assert [span.id for span in parsed.spans] == ["a"]


def test_what_cannot_be_read_is_counted_and_leaves_the_trace_incomplete() -> None:
    pieces = ["not json", json.dumps(segment("a", subsegments=[{"name": "no id"}, "odd", segment("b")]))]
    parsed = parse_trace({"Id": TRACE, "Segments": [{"Document": each} for each in pieces]})
    assert [span.id for span in parsed.spans] == ["a", "b"]
    assert (parsed.unread, parsed.complete, parsed.cut) == (2, False, False)
    assert parse_trace({"Id": TRACE, "LimitExceeded": True}).cut


@pytest.mark.parametrize("moment", ["NaN", "Infinity", "1e999", "1e300", '"1"', "null", "true", "1" + "0" * 400])
def test_no_moment_anybody_lives_to_see_is_a_start(moment: str) -> None:
    document = f'{{"id": "a", "name": "a", "start_time": {moment}, "end_time": 2}}'
    parsed = parse_trace({"Id": TRACE, "Segments": [{"Document": document}]})
    assert (parsed.spans, parsed.unread) == ((), 1)


def test_an_end_that_is_no_moment_leaves_the_span_open() -> None:
    document = '{"id": "a", "name": "a", "start_time": 1, "end_time": 1e300}'
    (span,) = parse_trace({"Id": TRACE, "Segments": [{"Document": document}]}).spans
    assert span.end_s is None


def test_five_thousand_subsegments_and_a_deep_nest_are_read() -> None:
    flat = segment("0", subsegments=[segment(str(n)) for n in range(1, 5001)])
    deep = segment("d200", name="deepest")
    for n in reversed(range(200)):
        deep = segment(f"d{n}", subsegments=[deep])
    parsed = trace(flat, deep)
    assert len(parsed.spans) == 5001 + 201
    assert parsed.spans[-1].name == "deepest"


def test_a_document_nested_beyond_any_reader_is_counted_as_unread() -> None:
    document = "[" * 100_000 + "]" * 100_000
    parsed = parse_trace({"Id": TRACE, "Segments": [{"Document": document}, {"Document": json.dumps(segment("a"))}]})
    assert ([span.id for span in parsed.spans], parsed.unread) == (["a"], 1)


def test_spans_that_are_each_others_parents_are_shown() -> None:
    parsed = trace(segment("a", parent="b"), segment("b", parent="a"), segment("c", parent="c"))
    assert {span.id for span in parsed.spans} == {"a", "b", "c"}


def test_a_span_keeps_what_it_says() -> None:
    (span,) = trace(
        segment(
            "a",
            origin="AWS::Lambda::Function",
            resource_arn="arn:f:7",
            error=True,
            throttle=True,
            namespace="aws",
            http={"response": {"status": 429}},
            annotations={"k": 1},
            metadata={"ns": {"m": 2}},
            cause={"exceptions": [{"type": "KeyError", "message": "'x'"}, {"message": "only"}, "odd"]},
        )
    ).spans
    assert span.exceptions == ("KeyError: 'x'", "only")
    assert (span.error, span.throttle, span.fault) == (True, True, False)
    assert span.http == {"response": {"status": 429}}
    assert span.metadata == {"ns": {"m": 2}}


@pytest.mark.parametrize(
    ("text", "id_"),
    [
        (TRACE, TRACE),
        (TRACE.upper().replace("1-", "1-"), TRACE),
        ("5f84c7a5cd52b1d2e1c4a3b2c1d0e9f8", TRACE),
        (f"Root={TRACE};Parent=53995c3f42cd8ad8;Sampled=1", TRACE),
        ("00-5f84c7a5cd52b1d2e1c4a3b2c1d0e9f8-53995c3f42cd8ad8-01", TRACE),
        ("1-5f84c7a5-tooshort", None),
        ("zz84c7a5cd52b1d2e1c4a3b2c1d0e9f8", None),
        ("", None),
        (None, None),
        (17, None),
    ],
)
def test_ids_in_every_form(text: Any, id_: str | None) -> None:
    assert trace_id_of(text) == id_


def test_own_time_leaves_out_children_that_overlap_or_outlive_their_parent() -> None:
    parsed = trace(
        segment("a", end=10.0, subsegments=[
            segment("b", start=1, end=4), segment("c", start=3, end=6), segment("d", start=9, end=12),
        ])
    )  # fmt: skip
    assert self_times_s(parsed.spans) == pytest.approx({"a": 4.0, "b": 3.0, "c": 3.0, "d": 3.0})


def test_a_summary_says_its_root_cause_and_slowest_node() -> None:
    summary = parse_summary(
        {
            "Id": TRACE,
            "StartTime": datetime(2026, 1, 1, tzinfo=UTC),
            "Duration": 1.5,
            "ResponseTime": 1.2,
            "HasFault": True,
            "IsPartial": True,
            "Revision": 4,
            "Http": {"HttpMethod": "POST", "HttpURL": "https://x/orders", "HttpStatus": 502},
            "EntryPoint": {"Name": "shop-api"},
            "Annotations": {"release": [{"AnnotationValue": {"StringValue": "7"}}], "n": [{"AnnotationValue": {}}]},
            "FaultRootCauses": [
                {
                    "Services": [
                        {
                            "Name": "shop-orders",
                            "EntityPath": [{"Name": "place", "Exceptions": [{"Name": "KeyError", "Message": "'c'"}]}],
                        }
                    ]
                }
            ],
            "ResponseTimeRootCauses": [
                {
                    "Services": [
                        {"Name": "api", "EntityPath": [{"Name": "api", "Coverage": 0.2}]},
                        {"Name": "orders", "EntityPath": [{"Name": "DynamoDB", "Coverage": 0.81234}]},
                    ]
                }
            ],
        }
    )
    assert summary.root_cause == "shop-orders → place: KeyError: 'c'"
    assert summary.slowest == "orders → DynamoDB 1.0 s"
    assert summary.annotations == {"release": "7"}
    assert (summary.start_ms, summary.status, summary.method, summary.service) == (
        1767225600000,
        502,
        "POST",
        "shop-api",
    )
    assert (summary.fault, summary.error, summary.partial, summary.revision) == (True, False, True, 4)


def test_a_summary_knows_the_services_it_passed_each_once() -> None:
    ids = [{"Name": "api", "Type": "API"}, {"Name": "api", "Type": "API"}, {"Name": "x", "Type": "client"}]
    parsed = parse_summary({"Id": TRACE, "ServiceIds": ids})
    assert [(node.name, node.kind) for node in parsed.services] == [("api", "API"), ("clients", "client")]


def test_an_empty_summary_is_one() -> None:
    assert parse_summary({"Id": TRACE}).id == TRACE


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 12), st.floats(0, 9), st.booleans()), max_size=12),
    st.randoms(),
)
def test_order_of_arrival_never_matters_and_no_span_is_lost(
    pieces: list[tuple[int, int, float, bool]], dice: random.Random
) -> None:
    documents = list(
        {
            id_: segment(str(id_), parent=str(parent), start=start, end=start + 1 if ended else None)
            for id_, parent, start, ended in pieces
        }.values()
    )
    shuffled = documents[:]
    dice.shuffle(shuffled)
    one, other = trace(*documents), trace(*shuffled)
    assert {span.id for span in one.spans} == {each["id"] for each in documents}
    assert sorted(one.spans, key=lambda span: span.id) == sorted(other.spans, key=lambda span: span.id)
    assert one.complete == other.complete
    self_times_s(one.spans)


LINKED = "1-5f84c7a6-aa52b1d2e1c4a3b2c1d0e9f8"


@pytest.mark.parametrize(
    ("links", "ids"),
    [
        ([{"trace_id": LINKED, "id": "2974158e19d0f339"}], (LINKED,)),
        ([{"trace_id": LINKED.replace("-", "")[1:]}, {"trace_id": LINKED}], (LINKED,)),
        ([{"trace_id": "7"}, {"id": "2974158e19d0f339"}, None, "x"], ()),
        ({"trace_id": LINKED}, ()),
        (None, ()),
    ],
)
def test_D_the_links_of_a_segment_are_ids_of_traces(links: Any, ids: tuple[str, ...]) -> None:
    assert trace(segment("a", links=links)).spans[0].links == ids
