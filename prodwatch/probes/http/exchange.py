"""Request and response for display, and an equivalent curl command."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from prodwatch.probes.http.request import Request
from prodwatch.text.redact import MASK, SECRET_HEADERS

SHOWN_CHARS = 20_000
"""Longest body kept for display; `truncated` is set on a longer one."""

_OWN_HEADERS = frozenset({"x-amzn-trace-id", "traceparent"})
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


def shown_headers(pairs: Iterable[tuple[str, str]], secret: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return headers as name = value, repeated ones as a list, with those that carry secrets masked.

    `secret` holds further names in lower case.
    """
    shown: dict[str, Any] = {}
    for given, value in pairs:
        # A plain text, and none of the parser's own kind that would be looked at twice on its way out.
        name = str(given)
        lower = name.lower()
        if lower in SECRET_HEADERS or lower in secret:
            value = MASK  # noqa: PLW2901 -- what follows must not see the secret
        if name not in shown:
            shown[name] = value
        elif isinstance(shown[name], list):
            shown[name].append(value)
        else:
            shown[name] = [shown[name], value]
    return shown


def shown_body(body: bytes | None) -> str | None:
    """Return a request's body as text, capped."""
    if body is None:
        return None
    text = body[: SHOWN_CHARS * 4].decode(errors="replace")
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…"


def curl_command(
    request: Request, params: Mapping[str, Any], *, timeout_s: float, region: str | None, secret: frozenset[str]
) -> str:
    """Return a curl command for the same request, one line, safe to paste into a POSIX shell.

    Secrets are replaced by shell variables to be set first; control characters are escaped.
    """
    words = [
        _beginning(
            request.method if request.method != ("GET" if request.body is None else "POST") else None,
            timeout_s,
            follow=params.get("follow_redirects", True),
            verify=params.get("verify_tls", True),
            old=params.get("http_version") == "1.0",
        )
    ]
    words.extend(_header(name, value, secret) for name, value in request.pairs if name.lower() not in _OWN_HEADERS)
    words.extend(_credentials(params.get("auth"), region))
    if request.body_file is not None:
        words.append(f"--data-binary {quoted('@' + request.body_file)}")
    elif request.body is not None:
        words.append(f"--data-raw {quoted(shown_body(request.body) or '')}")
    words.append(quoted(request.url.shown))
    return " ".join(words)


@lru_cache(maxsize=256)
def _beginning(method: str | None, timeout_s: float, *, follow: bool, verify: bool, old: bool) -> str:
    words = ["curl", "--include", "--globoff", "--path-as-is", f"--max-time {timeout_s:g}"]
    if method == "HEAD":
        words.append("--head")
    elif method is not None:
        words.append(f"--request {quoted(method)}")
    options = (("--location", follow), ("--insecure", not verify), ("--http1.0", old))
    words.extend(option for option, wanted in options if wanted)
    return " ".join(words)


def _header(name: str, value: str, secret: frozenset[str]) -> str:
    lower = name.lower()
    if lower in SECRET_HEADERS or lower in secret:
        return _header_from_variable(name)
    return f"--header {quoted(f'{name}: {value}' if value else f'{name};')}"  # curl's way of writing an empty value


def quoted(text: str) -> str:
    """Return `text` as one shell word, with escapes for characters that a terminal would not display."""
    if not _UNPRINTABLE.search(text):
        return shlex.quote(text)
    body = text.replace("\\", "\\\\").replace("'", "\\'")
    escaped = _UNPRINTABLE.sub(
        lambda match: match[0] if match[0].isprintable() else "".join(f"\\x{byte:02x}" for byte in _bytes(match[0])),
        body,
    )
    return f"$'{escaped}'"


def _bytes(character: str) -> bytes:
    return character.encode(errors="surrogatepass")


def _header_from_variable(name: str) -> str:
    variable = re.sub(r"\W", "_", name.upper())
    return f'--header {quoted(f"{name}: ")}"${variable}"'


def _credentials(auth: Mapping[str, Any] | None, region: str | None) -> list[str]:
    if not auth:
        return []
    if "bearer" in auth:
        return ['--header "Authorization: Bearer $TOKEN"']
    if "basic" in auth:
        return [f'--user {quoted(str(auth["basic"]["user"]))}:"$PASSWORD"']
    if "header" in auth:
        return [_header_from_variable(auth["header"]["name"])]
    scope = f"aws:amz:{region or ''}:{auth['sigv4']['service']}"
    return [
        f"--aws-sigv4 {quoted(scope)}",
        '--user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"',
        '--header "X-Amz-Security-Token: $AWS_SESSION_TOKEN"',
    ]
