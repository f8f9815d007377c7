"""Finds the first event or line of a response that does not end."""

from __future__ import annotations

import re
from typing import Any

from prodwatch.probes.decode import decode_text

_LINE_END = re.compile(r"\r\n|\r|\n")


def first_part(kind: str, body: bytes, *, ended: bool) -> dict[str, Any] | None:
    """Return the first server-sent event (`kind` is `event`) or the first line that is not empty (`line`) of `body`.

    None while it is not complete. `ended`: nothing follows, so that a last line needs no line end.
    """
    text = decode_text(body)
    if not ended and text.endswith("\r"):
        text = text[:-1]  # perhaps the first half of a line end
    lines = _LINE_END.split(text)
    complete = lines if ended else lines[:-1]
    if kind == "line":
        return next(({"data": line} for line in complete if line.strip()), None)
    return _first_event(complete)


def _first_event(lines: list[str]) -> dict[str, Any] | None:
    fields: dict[str, list[str]] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields.setdefault(name, []).append(value.removeprefix(" "))
        elif "data" in fields:
            event = {"name": fields.get("event", ["message"])[-1], "data": "\n".join(fields["data"])}
            return event | ({"id": fields["id"][-1]} if "id" in fields else {})
        else:
            fields = {}  # comments, which keep the connection alive, are not events
    return None
