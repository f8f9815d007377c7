"""What a `tls` check may say and what its answer looks like."""

from __future__ import annotations

from prodwatch.model.spec import Field, Key, ProbeSpec

SPECS = (
    ProbeSpec(
        type="tls",
        title="TLS certificate",
        doc=(
            "Makes a TLS handshake and reads the server's certificate. An expired, self-signed or"
            " wrong-host certificate still gives all its facts: `verified` is then false, `error` says why,"
            " and the check is a `fail` unless an assertion mentions one of the two. So `days_left > 14`"
            " alone never passes a certificate that browsers refuse."
        ),
        keys=(
            Key(name="host", kind="text", required=True, doc="Name or IP address to connect to."),
            Key(name="port", kind="integer", default=443, minimum=1, doc="Port, 1 to 65535."),
            Key(
                name="server_name",
                kind="text",
                doc="Name asked for (SNI) and checked against the certificate; `host` by default.",
            ),
        ),
        fields=(
            Field(name="connect", kind="duration", doc="TCP connect, name resolved."),
            Field(name="handshake", kind="duration", doc="TLS handshake."),
            Field(
                name="days_left",
                kind="number",
                doc="Days until the certificate expires, to two decimals; negative after.",
            ),
            Field(name="expires", kind="time", doc="Last moment the certificate is valid, UTC."),
            Field(
                name="issuer", kind="text", doc="Issuer's distinguished name, such as `CN=R11,O=Let's Encrypt,C=US`."
            ),
            Field(name="subject", kind="text", doc="Subject's distinguished name; may be empty."),
            Field(name="sans", kind="list", doc="Names and IP addresses the certificate is for, as texts."),
            Field(name="protocol", kind="text", doc="Negotiated version, such as `TLSv1.3`."),
            Field(name="cipher", kind="text", doc="Negotiated cipher suite."),
            Field(
                name="verified",
                kind="boolean",
                doc="Whether the chain is trusted by this machine, in date and for this name.",
            ),
            Field(name="error", kind="text", doc="Why it is not verified; absent when it is."),
        ),
        example="""\
[[check]]
name = "certificate lasts two more weeks"
type = "tls"
host = "shop.example"
expect = ["verified == true", "days_left > 14"]
""",
    ),
)
