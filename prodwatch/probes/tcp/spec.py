"""What a `tcp` check may say and what its answer looks like."""

from __future__ import annotations

from prodwatch.model.spec import Field, Key, ProbeSpec

SPECS = (
    ProbeSpec(
        type="tcp",
        title="TCP connect",
        doc=(
            "Opens a TCP connection and closes it again; nothing is sent. Proves that a name resolves and"
            " that something listens. A refused or timed-out connection is a `fail`."
        ),
        keys=(
            Key(name="host", kind="text", required=True, doc="Name or IP address."),
            Key(name="port", kind="integer", required=True, minimum=1, doc="Port, 1 to 65535."),
        ),
        fields=(
            Field(name="connect", kind="duration", doc="From the first packet to the open connection, name resolved."),
            Field(name="dns", kind="duration", doc="Resolving the name; absent for an IP address."),
            Field(name="address", kind="text", doc="IP address that answered."),
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
