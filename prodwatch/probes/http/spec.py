"""Keys and document of an `http` check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prodwatch.model.spec import Field, Key, ProbeSpec
from prodwatch.probes.mutation_rules import is_open

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
AUTH_KINDS = ("bearer", "basic", "header", "sigv4")


def _mutation(params: Mapping[str, Any]) -> str | None:
    method = params.get("method", "GET")
    if is_open(method):
        return "its `method` is known only at run time"
    if not isinstance(method, str) or method.upper() in SAFE_METHODS:
        return None
    return f"HTTP {method.upper()} may change something on the server"


def auth_problems(params: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the sentence for an `auth` that is not exactly one kind of authentication."""
    auth = params.get("auth")
    if isinstance(auth, Mapping) and len(auth) != 1:
        return (f"`auth` needs exactly one of {', '.join(AUTH_KINDS)}, not {len(auth)}",)
    return ()


def _problems(params: Mapping[str, Any]) -> tuple[str, ...]:
    problems = list(auth_problems(params))
    url = params.get("url")
    if isinstance(url, str) and not url.startswith(("http://", "https://", "${")):
        hint = "; a flow's `base_url` goes before it" if url.startswith("/") else ""
        problems.append(f'`url` must begin with http:// or https://, not "{url}"{hint}')
    return tuple(problems)


AUTH = Key(
    name="auth",
    kind="table",
    can_be_off=True,
    doc=(
        "Exactly one of `{ bearer = … }`, `{ basic = { user, password } }`, `{ header = { name, value } }`,"
        " `{ sigv4 = { service, region } }`. SigV4 signs with the environment's AWS credentials; `region`"
        " defaults to the environment's. `false` sends none, in a flow with `auth` of its own."
    ),
    keys=(
        Key(name="bearer", kind="text", doc="Token sent as `Authorization: Bearer …`."),
        Key(
            name="basic",
            kind="table",
            doc="User and password sent as `Authorization: Basic …`.",
            keys=(
                Key(name="user", kind="text", required=True, doc="User name."),
                Key(name="password", kind="text", required=True, doc="Password."),
            ),
        ),
        Key(
            name="header",
            kind="table",
            doc="Any header, whose value is never shown.",
            keys=(
                Key(name="name", kind="text", required=True, doc="Header name, such as `x-api-key`."),
                Key(name="value", kind="text", required=True, doc="Header value, always masked."),
            ),
        ),
        Key(
            name="sigv4",
            kind="table",
            doc="Signs the request with AWS Signature Version 4.",
            keys=(
                Key(
                    name="service",
                    kind="text",
                    required=True,
                    doc="Signing name: `execute-api` for API Gateway, `lambda` for function URLs.",
                ),
                Key(name="region", kind="text", doc="Signing region. Default: that of the check."),
            ),
        ),
    ),
)
"""Keys of an authentication, which a flow has for its steps too."""

SPECS = (
    ProbeSpec(
        type="http",
        title="HTTP request",
        doc=(
            "Sends one HTTP/1.1 request; the document is the response. The URL is sent exactly as written, except"
            " that spaces and non-ASCII letters, which HTTP does not allow, are percent-encoded. Connections are"
            " kept alive and shared by all checks of a run. Cookies are not shared: those that a redirect sets"
            " are used until the last response. A request that may change something is sent once, on its own"
            " connection.\n"
            "\n"
            "A body is asked for as it is or in `gzip` or `deflate`. One in another coding, such as `br` or `zstd`,"
            " cannot be decoded: assertions on `body`, `json` or `size` are then an `error`, reason `unavailable`,"
            " while `status` and `headers` are judged.\n"
            "\n"
            "Every request carries its own sampled `X-Amzn-Trace-Id` and a `traceparent` with the same id, so"
            " that its traces and log lines can be found.\n"
            "\n"
            "Unless an assertion mentions `status`, `status < 400` is expected too. A refused, reset or"
            " timed-out connection, a name that does not resolve, a failed TLS handshake and an incomplete"
            " response are a `fail`. Certificates are verified with those that this machine trusts, or with those of"
            " SSL_CERT_FILE or SSL_CERT_DIR, as in OpenSSL. Redirects to another host are sent without `auth` and"
            " without headers that contain secrets. Proxies of the environment are used as curl does; a proxy that"
            " cannot be used is an `error`. A server that speaks only HTTP/2 is an `error` too."
        ),
        keys=(
            Key(name="url", kind="text", required=True, doc="URL of the request, with `http://` or `https://`."),
            Key(
                name="method",
                kind="text",
                default="GET",
                doc="HTTP method. All except GET, HEAD and OPTIONS need `mutates` on the check.",
            ),
            Key(name="headers", kind="table", doc="Header name = value; a list of values sends the header repeatedly."),
            Key(
                name="query",
                kind="table",
                doc="Parameters added to the URL, percent-encoded; a list of values repeats the parameter.",
            ),
            Key(name="json", kind="any", doc="Body as JSON; sends `Content-Type: application/json`."),
            Key(name="form", kind="table", doc="Body as a URL-encoded form; a list of values repeats the field."),
            Key(name="body", kind="text", doc="Body as UTF-8 text, sent unchanged."),
            Key(
                name="body_file",
                kind="text",
                doc="Body from a file, sent unchanged; the path is relative to the project root and inside it.",
            ),
            AUTH,
            Key(
                name="follow_redirects",
                kind="boolean",
                default=True,
                doc="`false` returns the 30x response itself. At most 10 redirects are followed.",
            ),
            Key(
                name="verify_tls",
                kind="boolean",
                default=True,
                doc="`false` accepts any certificate, with a notice in the result.",
            ),
            Key(
                name="http_version",
                kind="text",
                choices=("1.0", "1.1"),
                default="1.1",
                doc="Version of the request; HTTP/2 is not supported. The response's version is in the document.",
            ),
            Key(
                name="client_certificate",
                kind="table",
                doc=(
                    "Certificate of the client for mutual TLS, sent only to the host of `url`. Each part is PEM, such"
                    " as `${secret.key}`, or a file, absolute or relative to the project root; a key with a password"
                    " is not supported."
                ),
                keys=(
                    Key(name="cert", kind="text", required=True, doc="Certificate and its chain."),
                    Key(name="key", kind="text", doc="Private key. Default: that in `cert`."),
                ),
            ),
            Key(
                name="proxy",
                kind="text",
                doc=(
                    "Proxy as `http://user:password@host:port`, or `direct` for none. Default: that of HTTP_PROXY,"
                    " HTTPS_PROXY or ALL_PROXY, unless NO_PROXY lists the host."
                ),
            ),
            Key(
                name="address_family",
                kind="text",
                choices=("ipv4", "ipv6"),
                doc="Addresses to connect to. Default: both, as in RFC 8305.",
            ),
            Key(
                name="stream",
                kind="text",
                choices=("headers", "event", "line"),
                doc=(
                    "For a response that does not end: judge it after its `headers`, its first server-sent `event` or"
                    " its first `line`, and close the connection."
                ),
            ),
            Key(
                name="max_body",
                kind="size",
                default="1MiB",
                doc="Largest part of the body that is read; a longer body is cut, with a notice in the result.",
            ),
            Key(
                name="trace",
                kind="boolean",
                default=True,
                doc="`false` omits `X-Amzn-Trace-Id` and `traceparent`.",
            ),
        ),
        at_most_one=(("json", "form", "body", "body_file"),),
        problems=_problems,
        fields=(
            Field(name="status", kind="integer", behind="body", doc="Status code of the last response."),
            Field(
                name="headers",
                kind="table",
                behind="body",
                doc="Headers of the last response, names in lower case, first values; `header('Name')` ignores case, "
                "`headers('Name')` returns all values.",
            ),
            Field(
                name="body",
                kind="text",
                doc="Body as text, in its charset or UTF-8; bytes that cannot be decoded become U+FFFD.",
            ),
            Field(
                name="json",
                kind="any",
                behind="body",
                doc=(
                    "Body as JSON with exact decimals; absent when it is not JSON or was cut. With `stream`, that of"
                    " `event.data`. A claim on a key that an object has twice is inconclusive."
                ),
            ),
            Field(
                name="event.data",
                kind="text",
                doc="First event or line with `stream`; absent without `stream`.",
            ),
            Field(name="event.name", kind="text", doc="Name of the first event: `message` unless the server sets one."),
            Field(name="event.id", kind="text", doc="Id of the first event; absent when it has none."),
            Field(
                name="latency",
                kind="duration",
                behind="phases",
                doc="Time from sending the request to the last byte, including redirects.",
            ),
            Field(
                name="phases.dns",
                kind="duration",
                doc="Time for resolving the name; absent on a kept-alive connection.",
            ),
            Field(
                name="phases.connect",
                kind="duration",
                doc="Time for the TCP connect; absent on a kept-alive connection.",
            ),
            Field(
                name="phases.tls",
                kind="duration",
                doc="Time for the TLS handshake; absent without TLS and on a kept-alive connection.",
            ),
            Field(name="phases.ttfb", kind="duration", doc="Time from the open connection to the response's headers."),
            Field(name="phases.download", kind="duration", doc="Time from the response's headers to its last byte."),
            Field(name="size", kind="size", behind="body", doc="Size of the body that was read, decompressed."),
            Field(name="url", kind="text", doc="URL of the last response, after redirects."),
            Field(
                name="redirects",
                kind="list",
                doc="URLs of the followed redirects, in order; empty without redirects.",
            ),
            Field(
                name="tls.days_left",
                kind="number",
                doc="Days until the first certificate of the chain expires, to two decimals; absent without TLS.",
            ),
            Field(name="tls.expires", kind="time", doc="Time at which that certificate expires, UTC."),
            Field(name="tls.expires_first", kind="text", doc="Subject of that certificate."),
            Field(name="http_version", kind="text", doc="Version of the response: `1.1` or `1.0`."),
            Field(
                name="version",
                kind="text",
                doc="Version that served the response; absent unless `attest` finds it.",
            ),
        ),
        example="""\
[[check]]
name = "orders api answers"
type = "http"
url = "https://shop.example/orders?limit=1"
headers = { Accept = "application/json" }
expect = ["status == 200", "json.orders exists", "latency < 1s"]
warn = ["latency < 300ms", "tls.days_left > 14"]
""",
        implicit_expect=("status < 400",),
        smoke_timeout_s=2.0,
        mutation=_mutation,
        deletes=lambda params: str(params.get("method")).upper() == "DELETE",
    ),
)
