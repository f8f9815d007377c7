"""Keys and document of a `tcp` check."""

from __future__ import annotations

from prodwatch.model.spec import Field, Key, ProbeSpec

SPECS = (
    ProbeSpec(
        type="tcp",
        title="TCP connect",
        doc=(
            "Opens a TCP connection and closes it; nothing is sent. Shows that the name resolves and that the"
            " port is open. A refused or timed-out connection is a `fail`."
        ),
        keys=(
            Key(name="host", kind="text", required=True, doc="Name or IP address."),
            Key(name="port", kind="integer", required=True, minimum=1, doc="Port, 1 to 65535."),
            Key(
                name="address_family",
                kind="text",
                choices=("ipv4", "ipv6"),
                doc="Addresses to connect to. Default: both, as in RFC 8305.",
            ),
        ),
        fields=(
            Field(name="connect", kind="duration", doc="Time for the TCP connect, without resolving the name."),
            Field(name="dns", kind="duration", doc="Time for resolving the name; absent for an IP address."),
            Field(name="address", kind="text", doc="IP address of the connection."),
        ),
        example="""\
[[check]]
name = "orders db reachable"
kind = "diagnostic"
type = "tcp"
host = "db.shop.internal"
port = 5432
expect = ["connect < 200ms"]
""",
    ),
)
