"""What an `http` check may say and what its answer looks like."""

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
        return "its `method` is known only when it runs"
    if not isinstance(method, str) or method.upper() in SAFE_METHODS:
        return None
    return f"HTTP {method.upper()} may change something on the server"


def _problems(params: Mapping[str, Any]) -> tuple[str, ...]:
    found = []
    auth = params.get("auth")
    if isinstance(auth, Mapping) and len(auth) != 1:
        found.append(f"`auth` needs exactly one of {', '.join(AUTH_KINDS)}, it has {len(auth)}")
    url = params.get("url")
    if isinstance(url, str) and not url.startswith(("http://", "https://", "${")):
        found.append(f'`url` must begin with http:// or https://, it is "{url}"')
    return tuple(found)


SPECS = (
    ProbeSpec(
        type="http",
        title="HTTP request",
        doc=(
            "Sends one HTTP/1.1 request and judges the answer. The URL goes out exactly as written: nothing"
            " in it is re-encoded, only spaces and letters outside ASCII, which HTTP cannot carry, are"
            " percent-encoded. Connections are kept alive and shared by all checks of a run; cookies are"
            " not: those a redirect sets live until the last answer. A request that may change something is"
            " sent once, on a connection of its own.\n"
            "\n"
            "Every request carries its own sampled `X-Amzn-Trace-Id` and a `traceparent` of the same id, so"
            " that the traces and log lines it caused can be found.\n"
            "\n"
            "Unless an assertion mentions `status`, `status < 400` is expected too. A refused, reset or"
            " timed-out connection, a name that does not resolve, a failed TLS handshake and an answer that"
            " breaks off before its end are a `fail`. Redirects to another host leave `auth` and headers"
            " that carry secrets behind. Proxies named in the environment are not used."
        ),
        keys=(
            Key(name="url", kind="text", required=True, doc="Where the request goes; `http://` or `https://`."),
            Key(
                name="method",
                kind="text",
                default="GET",
                doc="Any method. Every one but GET, HEAD and OPTIONS needs `mutates` on the check.",
            ),
            Key(name="headers", kind="table", doc="Header name = value; a list of values sends the header repeatedly."),
            Key(
                name="query",
                kind="table",
                doc="Parameters added to the URL, percent-encoded; a list of values repeats the parameter.",
            ),
            Key(name="json", kind="any", doc="Body as JSON; sends `Content-Type: application/json`."),
            Key(name="form", kind="table", doc="Body as a URL-encoded form; a list of values repeats the field."),
            Key(name="body", kind="text", doc="Body as text, in UTF-8, sent as it is."),
            Key(
                name="body_file",
                kind="text",
                doc="Body from a file, sent byte for byte; the path starts at the project root and may not leave it.",
            ),
            Key(
                name="auth",
                kind="table",
                doc=(
                    "Exactly one of `{ bearer = … }`, `{ basic = { user, password } }`, `{ header = { name, value } }`,"
                    " `{ sigv4 = { service, region } }`. SigV4 signs with the environment's AWS credentials; `region`"
                    " defaults to the environment's."
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
                        doc="A header of its own whose value is never shown.",
                        keys=(
                            Key(name="name", kind="text", required=True, doc="Header name, such as `x-api-key`."),
                            Key(name="value", kind="text", required=True, doc="Header value; masked wherever shown."),
                        ),
                    ),
                    Key(
                        name="sigv4",
                        kind="table",
                        doc="Signs the request as AWS wants it.",
                        keys=(
                            Key(
                                name="service",
                                kind="text",
                                required=True,
                                doc="Signing name: `execute-api` for API Gateway, `lambda` for function URLs.",
                            ),
                            Key(name="region", kind="text", doc="Signing region; the check's own by default."),
                        ),
                    ),
                ),
            ),
            Key(
                name="follow_redirects",
                kind="boolean",
                default=True,
                doc="`false` judges the 30x answer itself. At most 10 redirects are followed.",
            ),
            Key(
                name="verify_tls",
                kind="boolean",
                default=True,
                doc="`false` accepts any certificate; the result says so.",
            ),
            Key(
                name="http_version",
                kind="text",
                choices=("1.0", "1.1"),
                default="1.1",
                doc="Version of the request. HTTP/2 is not spoken; the document says what the server answered with.",
            ),
            Key(
                name="max_body",
                kind="size",
                default="1MiB",
                doc="Bytes of the body that are read; a longer body is cut there and the result says so.",
            ),
            Key(
                name="trace",
                kind="boolean",
                default=True,
                doc="`false` sends neither `X-Amzn-Trace-Id` nor `traceparent`.",
            ),
        ),
        at_most_one=(("json", "form", "body", "body_file"),),
        problems=_problems,
        fields=(
            Field(name="status", kind="integer", doc="Status code of the last answer."),
            Field(
                name="headers",
                kind="table",
                doc="Headers of the last answer, names in lower case, first values; `header('Name')` ignores case, "
                "`headers('Name')` gives all values.",
            ),
            Field(
                name="body",
                kind="text",
                doc="Body as text, decoded by its charset or UTF-8; undecodable bytes become U+FFFD.",
            ),
            Field(
                name="json",
                kind="any",
                doc="Body as JSON with exact decimals; absent when the body is not JSON or was cut.",
            ),
            Field(
                name="latency", kind="duration", doc="From sending the request to the last byte, redirects included."
            ),
            Field(name="phases.dns", kind="duration", doc="Resolving the name; absent on a kept-alive connection."),
            Field(name="phases.connect", kind="duration", doc="TCP connect; absent on a kept-alive connection."),
            Field(
                name="phases.tls",
                kind="duration",
                doc="TLS handshake; absent without TLS or on a kept-alive connection.",
            ),
            Field(name="phases.ttfb", kind="duration", doc="From the connection being ready to the answer's headers."),
            Field(name="phases.download", kind="duration", doc="From the answer's headers to its last byte."),
            Field(name="size", kind="size", doc="Bytes of the body, decompressed, as far as it was read."),
            Field(name="url", kind="text", doc="URL of the last answer, redirects followed."),
            Field(
                name="redirects",
                kind="list",
                doc="URLs that answered with a redirect that was followed, in order; empty without one.",
            ),
            Field(
                name="tls.days_left",
                kind="number",
                doc="Days until the server's certificate expires, to two decimals; absent without TLS.",
            ),
            Field(name="http_version", kind="text", doc="Version of the answer: `1.1` or `1.0`."),
            Field(
                name="version",
                kind="text",
                doc="Version that served the answer, where `attest` finds one in it.",
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
    ),
)
