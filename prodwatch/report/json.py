"""The document `prodwatch.result/1`, and the same as one line per finished check."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from prodwatch.model.result import SCHEMA, CheckResult, RunResult, Verdict
from prodwatch.text.sanitize import escape_json

_ENCODER = msgspec.json.Encoder(decimal_format="number")


def encode(result: RunResult) -> bytes:
    """Return the whole document, indented, with a final newline."""
    return msgspec.json.format(escape_json(_ENCODER.encode(result)), indent=2) + b"\n"


def decode(document: bytes) -> RunResult:
    """Read a document back; msgspec.ValidationError or DecodeError when it is not one."""
    result = msgspec.json.decode(document, type=RunResult)
    if result.schema != SCHEMA:
        raise msgspec.ValidationError(f"its schema is {result.schema!r}, this version reads {SCHEMA!r}")
    return result


def check_line(check: CheckResult) -> bytes:
    """Return one NDJSON line for a check that has just finished."""
    return escape_json(_ENCODER.encode({"event": "check", "check": check})) + b"\n"


def phase_line(phase: str, at: datetime, ends_at: datetime | None) -> bytes:
    """Return one NDJSON line for a gate that enters a phase; `ends_at` is None before its bake."""
    return escape_json(_ENCODER.encode({"event": "phase", "phase": phase, "at": at, "ends_at": ends_at})) + b"\n"


def verdict_line(verdict: Verdict, at: datetime) -> bytes:
    """Return one NDJSON line for a change of a gate's verdict; the last one is in the line of the result."""
    return escape_json(_ENCODER.encode({"event": "verdict", "at": at, "verdict": verdict})) + b"\n"


def result_line(result: RunResult) -> bytes:
    """Return the last NDJSON line: everything but the checks; a stream without it is a run that never ended."""
    rest: dict[str, Any] = {"event": "result"}
    fields = ((name, getattr(result, name)) for name in RunResult.__struct_fields__ if name != "checks")
    rest.update((name, value) for name, value in fields if value is not msgspec.UNSET)
    return escape_json(_ENCODER.encode(rest)) + b"\n"


def result_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the document."""
    schema = msgspec.json.schema(RunResult)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "prodwatch.result/1",
        "description": "What one run of prodwatch found. Fields are only ever added within a major version.",
        **schema,
    }
