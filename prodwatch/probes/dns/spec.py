"""What a `dns` check may say and what its answer looks like."""

from __future__ import annotations

from prodwatch.model.spec import Field, Key, ProbeSpec

RECORDS = ("A", "AAAA", "CAA", "CNAME", "MX", "NS", "SRV", "TXT")

SPECS = (
    ProbeSpec(
        type="dns",
        title="DNS query",
        doc=(
            "Asks a name server one question, past every cache of this machine. A name that does not exist"
            " or has no such record is a `fail` unless an assertion mentions `rcode` or `answers`. A server"
            " that does not answer is a `fail` too."
        ),
        keys=(
            Key(name="name", kind="text", required=True, doc="Name to look up, unless `host` says another."),
            Key(name="host", kind="text", doc="Name to look up, where the check itself wants a more telling `name`."),
            Key(name="record", kind="text", choices=RECORDS, default="A", doc="Record type."),
            Key(
                name="server",
                kind="text",
                doc="IP address or name of the server, with `:port` unless 53; this machine's resolver by default.",
            ),
        ),
        fields=(
            Field(
                name="answers",
                kind="list",
                doc=(
                    "Records of the asked type as texts, the way zone files write them, names without their final dot:"
                    ' `10.0.0.1`, `10 mail.example` (MX), `0 5 5060 sip.example` (SRV), `0 issue "ca.example"` (CAA);'
                    " a TXT record is its joined text. Empty when there are none."
                ),
            ),
            Field(name="rcode", kind="text", doc="Outcome: `NOERROR`, `NXDOMAIN`, `SERVFAIL`, `REFUSED` and the like."),
            Field(
                name="ttl", kind="integer", doc="Smallest time to live of the answers, in seconds; absent without any."
            ),
            Field(name="latency", kind="duration", doc="From question to answer."),
            Field(name="server", kind="text", doc="IP address of the server that answered."),
        ),
        example="""\
[[check]]
name = "the api's name points at the gateway"
type = "dns"
host = "api.shop.example"
record = "CNAME"
expect = ["answers contains 'gateway.shop.example'", "latency < 200ms"]
""",
    ),
)
