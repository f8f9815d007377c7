"""What a `ping` check may say and what its answer looks like."""

from __future__ import annotations

from prodwatch.model.spec import Field, Key, ProbeSpec

SPECS = (
    ProbeSpec(
        type="ping",
        title="ICMP echo",
        doc=(
            "Sends ICMP echo requests without privileges and counts the answers. Where this machine may not"
            " send them the check is `skipped` with reason `unavailable`. AWS drops ICMP by default: `tcp`"
            " or `http` often say more. A host that answers none is a `fail` unless an assertion mentions"
            " `loss` or `received`."
        ),
        keys=(
            Key(name="host", kind="text", required=True, doc="Name or IP address."),
            Key(
                name="count",
                kind="integer",
                default=3,
                minimum=1,
                doc="Echo requests to send, a fifth of a second apart.",
            ),
        ),
        fields=(
            Field(name="loss", kind="number", doc="Share of requests without an answer, 0 to 1: `loss == 0%`."),
            Field(name="rtt", kind="duration", doc="Mean round-trip time."),
            Field(name="rtt_min", kind="duration", doc="Shortest round-trip time."),
            Field(name="rtt_max", kind="duration", doc="Longest round-trip time."),
            Field(name="sent", kind="integer", doc="Requests sent."),
            Field(name="received", kind="integer", doc="Answers received."),
            Field(name="address", kind="text", doc="IP address that was asked."),
        ),
        example="""\
[[check]]
name = "bastion answers ping"
type = "ping"
host = "bastion.shop.example"
expect = ["loss == 0%", "rtt < 50ms"]
""",
    ),
)
