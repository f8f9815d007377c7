"""Keys and document of a `ping` check."""

from __future__ import annotations

from prodwatch.model.spec import Field, Key, ProbeSpec

SPECS = (
    ProbeSpec(
        type="ping",
        title="ICMP echo",
        doc=(
            "Sends ICMP echo requests without privileges and counts the replies. Where this machine may not"
            " send them, the check is `skipped` with reason `unavailable`. AWS drops ICMP by default, so a `tcp`"
            " or `http` check is often more useful. A host that replies to none is a `fail` unless an assertion"
            " mentions `loss` or `received`."
        ),
        keys=(
            Key(name="host", kind="text", required=True, doc="Name or IP address."),
            Key(
                name="count",
                kind="integer",
                default=3,
                minimum=1,
                doc="Number of echo requests, sent 0.2 s apart.",
            ),
        ),
        fields=(
            Field(
                name="loss",
                kind="number",
                doc="Share of requests without a reply, from 0 to 1: `loss == 0%`.",
                timed=True,
            ),
            Field(name="rtt", kind="duration", doc="Mean round-trip time."),
            Field(name="rtt_min", kind="duration", doc="Shortest round-trip time."),
            Field(name="rtt_max", kind="duration", doc="Longest round-trip time."),
            Field(name="sent", kind="integer", doc="Number of requests sent."),
            Field(name="received", kind="integer", doc="Number of replies received.", timed=True),
            Field(name="address", kind="text", doc="IP address of the target."),
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
