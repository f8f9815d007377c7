"""Keys and document of a `redis` check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prodwatch.model.spec import Field, Key, ProbeSpec


def _mutation(_params: Mapping[str, Any]) -> str:
    return "a Redis command may change data"


SPECS = (
    ProbeSpec(
        type="redis",
        title="Redis command",
        doc=(
            "Sends one command; the document is the reply. Needs the extra `prodwatch[redis]`. A server that"
            " refuses the connection or the command, also as one error in a list reply, is a `fail`; one that"
            " refuses the login is an `error`."
        ),
        keys=(
            Key(
                name="url",
                kind="text",
                required=True,
                doc="`redis://user:password@host:6379/0`, `rediss://` for TLS. Its password is never shown.",
            ),
            Key(
                name="command",
                kind="texts",
                required=True,
                doc='Command: `"GET greeting"`, split as by a shell, or a list of arguments: `["GET", "a key"]`.',
            ),
        ),
        fields=(
            Field(
                name="reply",
                kind="any",
                doc=(
                    "Text, integer, list or null, as Redis documents it for RESP2; bytes that are not UTF-8"
                    " are returned as base64 text."
                ),
            ),
            Field(name="latency", kind="duration", doc="Time from command to reply, on an open connection."),
            Field(name="connect", kind="duration", doc="Time for connecting and logging in."),
        ),
        example="""\
[[check]]
name = "cache answers"
type = "redis"
mutates = false
url = "redis://cache.shop.internal:6379/0"
command = "PING"
expect = ["reply == 'PONG'", "latency < 50ms"]
""",
        mutation=_mutation,
    ),
)
