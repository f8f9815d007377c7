"""Keys and document of a `dns` check."""

from __future__ import annotations

from prodwatch.model.spec import Field, Key, ProbeSpec

RECORDS = ("A", "AAAA", "CAA", "CNAME", "MX", "NS", "SRV", "TXT")

SPECS = (
    ProbeSpec(
        type="dns",
        title="DNS query",
        doc=(
            "Sends one query to a name server, without using this machine's caches. A name that does not exist"
            " or has no such record is a `fail` unless an assertion mentions `rcode` or `answers`. A response with"
            " another code, such as `SERVFAIL`, is a `fail` unless an assertion mentions `rcode`: it proves neither"
            " that there are records nor that there are none. A server that does not respond is a `fail` too."
            " Without `server`, `localhost` and the names below it are this machine, as RFC 6761 demands: no server is"
            " asked."
        ),
        keys=(
            Key(
                name="name",
                kind="text",
                required=True,
                doc="Name of the check, and the name to look up unless `host` is given.",
            ),
            Key(name="host", kind="text", doc="Name to look up. Default: `name`."),
            Key(name="record", kind="text", choices=RECORDS, default="A", doc="Record type."),
            Key(
                name="server",
                kind="text",
                doc="IP address or name of the server, with `:port` unless 53. Default: this machine's resolver.",
            ),
        ),
        fields=(
            Field(
                name="answers",
                kind="list",
                doc=(
                    "Records of the queried type as texts in zone file format, names without the final dot:"
                    ' `10.0.0.1`, `10 mail.example` (MX), `0 5 5060 sip.example` (SRV), `0 issue "ca.example"` (CAA);'
                    " a TXT record is its joined text. Empty without records."
                ),
            ),
            Field(
                name="rcode",
                kind="text",
                behind="answers",
                doc="Response code: `NOERROR`, `NXDOMAIN`, `SERVFAIL`, `REFUSED` and others.",
            ),
            Field(
                name="ttl",
                kind="integer",
                doc="Smallest time to live of the records, in seconds; absent without records.",
            ),
            Field(name="latency", kind="duration", doc="Time from query to response."),
            Field(name="server", kind="text", doc="IP address of the server that responded; absent for `localhost`."),
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
