"""Keys and document of an `smtp` check."""

from __future__ import annotations

from prodwatch.model.spec import Field, Key, ProbeSpec

SPECS = (
    ProbeSpec(
        type="smtp",
        title="SMTP greeting",
        doc=(
            "Connects to a mail server, reads its greeting, sends EHLO, upgrades to TLS if `starttls` is set, and"
            " quits. Sends no mail and does not log in."
        ),
        keys=(
            Key(name="host", kind="text", required=True, doc="Name or IP address."),
            Key(name="port", kind="integer", default=25, minimum=1, doc="Port, 1 to 65535."),
            Key(
                name="starttls",
                kind="boolean",
                default=False,
                doc="`true` upgrades the connection and sends EHLO again; a server without STARTTLS is a `fail`.",
            ),
            Key(name="verify_tls", kind="boolean", default=True, doc="`false` accepts any certificate."),
        ),
        fields=(
            Field(name="banner", kind="text", doc="Text of the greeting, without its code."),
            Field(name="code", kind="integer", doc="Code of the greeting, 220 when the server is ready."),
            Field(name="extensions", kind="list", doc="ESMTP extensions in lower case, such as `starttls`, `size`."),
            Field(name="auth", kind="list", doc="Login methods offered, in lower case."),
            Field(name="connect", kind="duration", doc="Time for the TCP connect, without resolving the name."),
            Field(name="latency", kind="duration", doc="Duration of the whole session."),
            Field(name="tls", kind="boolean", doc="Whether the session was upgraded to TLS."),
        ),
        example="""\
[[check]]
name = "mail relay offers TLS"
type = "smtp"
host = "relay.shop.example"
port = 587
starttls = true
expect = ["code == 220", "extensions contains 'size'"]
""",
    ),
)
