"""Exceptions that a logger puts into an object of their own are read, searched and told apart."""

from __future__ import annotations

import json
from typing import Any

import pytest

from prodwatch.formats.lambda_record import LineParser
from prodwatch.model.signal import Level, LogRecord
from prodwatch.store.error_signatures import SignatureStore

STACK = "{name}: {text}\n    at charge (file:///var/task/index.mjs:3:9)"


def parsed(document: dict[str, Any]) -> LogRecord:
    return LineParser().parse(json.dumps(document), group="g", timestamp_ms=1, stream="2026/01/01/[42]a")


def powertools(name: str, text: str, *, level: str = "ERROR", place: str = "error") -> dict[str, Any]:
    """A line of Powertools for TypeScript: `logger.error("charge failed", error)`."""
    stack = STACK.format(name=name, text=text)
    described = {"name": name, "location": "file:///var/task/index.mjs:3", "message": text, "stack": stack}
    return {"level": level, "message": "charge failed", "function_request_id": "r-1", place: described}


@pytest.mark.parametrize("place", ["error", "err", "exception"])
def test_W14_the_exception_of_powertools_for_typescript_is_part_of_the_message(place: str) -> None:
    record = parsed(powertools("KeyError", "no currency", place=place))
    assert (record.level, record.request_id, record.version) == (Level.ERROR, "r-1", "42")
    assert record.message.startswith("charge failed\nKeyError: no currency")
    assert "index.mjs:3" in record.message


def test_W14_two_exceptions_below_one_sentence_are_two_signatures() -> None:
    book = SignatureStore(10)
    lines = [
        powertools("KeyError", "no currency"),
        powertools("TypeError", "no price"),
        powertools("KeyError", "no currency"),
    ]
    book.add(map(parsed, lines))
    assert sorted(each.count for each in book.signatures.values()) == [1, 2]


@pytest.mark.parametrize(
    ("keys", "version"),
    [({"version": "7"}, "7"), ({"functionVersion": "8"}, "8"), ({"revisionId": "rev-1"}, "rev-1")],
)
def test_W14_a_platform_event_names_its_version_or_revision(keys: dict[str, str], version: str) -> None:
    record = {"requestId": "r-1", **keys}
    event = {"time": "2026-01-01T00:00:00Z", "type": "platform.start", "record": record}
    line = LineParser().parse(json.dumps(event), group="g", timestamp_ms=1, stream="s")
    assert (line.version, line.request_id) == (version, "r-1")
