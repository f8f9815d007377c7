"""Keys and document of a `tls` check."""

from __future__ import annotations

from prodwatch.model.spec import Field, Key, ProbeSpec

SPECS = (
    ProbeSpec(
        type="tls",
        title="TLS certificate",
        doc=(
            "Makes a TLS handshake and reads the server's certificate. An expired, self-signed or wrong-host"
            " certificate is read completely too: `verified` is false, `error` is the reason, and the check is a"
            " `fail` unless an assertion mentions one of the two. `days_left > 14` alone therefore never passes"
            " with a certificate that browsers refuse."
        ),
        keys=(
            Key(name="host", kind="text", required=True, doc="Name or IP address to connect to."),
            Key(name="port", kind="integer", default=443, minimum=1, doc="Port, 1 to 65535."),
            Key(
                name="address_family",
                kind="text",
                choices=("ipv4", "ipv6"),
                doc="Addresses to connect to. Default: both, as in RFC 8305.",
            ),
            Key(
                name="server_name",
                kind="text",
                doc="Server name (SNI) that is sent and must match the certificate. Default: `host`.",
            ),
        ),
        fields=(
            Field(name="connect", kind="duration", doc="Time for the TCP connect, without resolving the name."),
            Field(name="handshake", kind="duration", doc="Time for the TLS handshake."),
            Field(
                name="days_left",
                kind="number",
                doc="Days until the first certificate of the chain expires, to two decimals; negative after that.",
            ),
            Field(name="expires", kind="time", doc="Time at which the first certificate of the chain expires, UTC."),
            Field(name="expires_first", kind="text", doc="Subject of the certificate of the chain that expires first."),
            Field(
                name="issuer", kind="text", doc="Issuer's distinguished name, such as `CN=R11,O=Let's Encrypt,C=US`."
            ),
            Field(name="subject", kind="text", doc="Subject's distinguished name; may be empty."),
            Field(name="sans", kind="list", doc="Names and IP addresses of the certificate, as texts."),
            Field(name="protocol", kind="text", doc="Negotiated version, such as `TLSv1.3`."),
            Field(name="cipher", kind="text", doc="Negotiated cipher suite."),
            Field(
                name="verified",
                kind="boolean",
                behind="error",
                doc="Whether this machine trusts the chain, and the certificate is valid now and for this name.",
            ),
            Field(name="error", kind="text", doc="Reason why it is not verified; absent when it is."),
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
