"""Fast paths give the same result as the general parser, for one line and for many at once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.formats.lambda_fast_paths import parse_fast
from prodwatch.formats.lambda_record import LineParser
from prodwatch.formats.lambda_text import normalise_newlines, parse_general, parse_text_line
from prodwatch.text.redact import MASK, Redactor

ID = "8f5d9e2a-1111-4222-8333-123456789ab1"
TRACE = "1-5f84c7a5-cd52b1d2e1c4a3b2c1d0e9f8"
DATE = "2026-11-20T10:00:00.123Z"
NUMBERS = "Duration: 12.34 ms\tBilled Duration: 13 ms\tMemory Size: 512 MB\tMax Memory Used: 90 MB\t"
XRAY = f"XRAY TraceId: {TRACE}\tSegmentId: 0a1b2c3d4e5f6071\tSampled: true\t\n"
QUICK = [
    f"START RequestId: {ID} Version: 7\n",
    f"START RequestId: {ID} Version: $LATEST\n",
    f"END RequestId: {ID}\n",
    f"REPORT RequestId: {ID}\t{NUMBERS}\n",
    f"REPORT RequestId: {ID}\t{NUMBERS}Init Duration: 301.50 ms\t\n",
    f"REPORT RequestId: {ID}\t{NUMBERS}Init Duration: 301.50 ms\t\n{XRAY}",
    f"[INFO]\t{DATE}\t{ID}\torder placed\n",
    f'[ERROR]\t{DATE}\t{ID}\tno currency\nTraceback (most recent call last):\n  File "a.py", line 3, in f\n',
    f"{DATE}\t{ID}\tWARN\tslow query\n",
    f"{DATE}\t{ID}\tINFO\t日本 \x1b[2J \u202e\n",
]
SLOW = [
    f"REPORT RequestId: {ID}\t{NUMBERS}Status: timeout\n",
    f"REPORT RequestId: {ID.upper()}\t{NUMBERS}\n",
    f"[INFO]\t{DATE}\t{ID}\tcalled with Root={TRACE}\n",
    f"[SOON]\t{DATE}\t{ID}\ttext\n",
    f"{DATE}\tundefined\tERROR\tUncaught\n",
    f"{DATE} {ID} Task timed out after 3.00 seconds\n\n",
    "Start of something\n",
    "",
]
PIECES = [
    ID,
    TRACE,
    DATE,
    XRAY,
    " Version: ",
    "\t",
    "\n",
    "\r",
    "1-",
    "REPORT RequestId: ",
    "Status: error",
    "1.2.3",
    "٣",
]


@pytest.mark.parametrize("line", QUICK, ids=lambda line: line[:50])
def test_the_usual_lines_are_read_quickly(line: str) -> None:
    assert parse_fast(normalise_newlines(line)) == parse_general(normalise_newlines(line))


@pytest.mark.parametrize("line", SLOW, ids=lambda line: line[:50] or "empty")
def test_what_is_not_quite_usual_is_left_to_the_general_reading(line: str) -> None:
    assert parse_fast(normalise_newlines(line)) is None


@st.composite
def nearly_usual(draw: st.DrawFn) -> str:
    """Common lines with text inserted or removed."""
    line = draw(st.sampled_from(QUICK))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(line)))
        end = min(len(line), start + draw(st.sampled_from([0, 0, 1, 3, 36])))
        line = line[:start] + draw(st.sampled_from(PIECES) | st.text(max_size=3)) + line[end:]
    return line


@given(nearly_usual())
def test_both_readings_agree(line: str) -> None:
    assert parse_text_line(line) == parse_general(normalise_newlines(line))


@dataclass(frozen=True)
class Sent:
    """One event."""

    message: str
    timestamp: int = 1000
    stream: str = "2026/11/20/[7]ab"
    event_id: str = "e"
    ingested_ms: int = 2000


@given(st.lists(nearly_usual() | st.text() | st.sampled_from(["hunter22 here", json.dumps({"msg": "hunter22"})])))
def test_many_lines_at_once_are_read_as_one_by_one(lines: list[str]) -> None:
    parser = LineParser(Redactor(["hunter22"]))
    sent = [Sent(line, timestamp=1000 + n, stream=f"[{n % 3}]") for n, line in enumerate(lines)]
    parsed = parser.parse_all(sent, "g", late_before_ms=1002, now_ms=5000)
    assert parsed == [
        LineParser(Redactor(["hunter22"])).parse(
            each.message,
            group="g",
            timestamp_ms=each.timestamp,
            stream=each.stream,
            event_id=each.event_id,
            ingested_ms=each.ingested_ms,
            late_ms=5000 - each.timestamp if each.timestamp < 1002 else 0,
        )
        for each in sent
    ]
    assert parsed == [parser.parse_event(each, "g", record.late_ms) for each, record in zip(sent, parsed, strict=True)]


def test_lines_of_a_request_share_its_id_and_their_stream() -> None:
    """A hundred thousand lines in memory contain mostly the same few names."""
    streams = json.loads(json.dumps(["2026/11/20/[7]ab"] * len(QUICK)))
    assert len({id(each) for each in streams}) > 1
    events = [Sent(line, stream=stream) for line, stream in zip(QUICK, streams, strict=True)]
    parsed = LineParser().parse_all(events, "g")
    assert len({id(each.request_id) for each in parsed}) == 1
    assert len({id(each.stream) for each in parsed}) == 1


UNICODE = st.text(st.characters(codec="utf-8"), min_size=6, max_size=20)


@given(st.lists(UNICODE, min_size=1, max_size=3), st.lists(st.text(max_size=10)), st.data())
def test_texts_are_masked_together_as_each_alone(secrets: list[str], texts: list[str], data: st.DataObject) -> None:
    redactor = Redactor(secrets)
    forms = st.sampled_from([form for secret in secrets for form in (secret, json.dumps(secret), quote(secret))])
    for at in data.draw(st.lists(st.integers(0, len(texts)))):
        texts.insert(at, f"<{data.draw(forms)}>")
    plainly = [redactor.text(text) for text in texts]
    assert redactor.texts(texts) == plainly


@pytest.mark.parametrize(
    "escaped",
    ["p%2fq%3ars", "p%2Fq%3ars", "p%252Fq%253Ars", "p%252fq%253ars"],
)
def test_percent_escapes_are_masked_in_either_case_escaped_once_or_twice(escaped: str) -> None:
    assert Redactor(["p/q:rs"]).text(f"url={escaped}&") == f"url={MASK}&"
