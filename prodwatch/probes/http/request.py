"""Builds the request of an `http` check from its keys."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from prodwatch.errors import UnusableError
from prodwatch.model.quantity import Duration, Headers
from prodwatch.probes.base import ProbeContext
from prodwatch.probes.http.url import Url, parse_url
from prodwatch.probes.project_files import read_inside
from prodwatch.probes.scalar_text import text_value
from prodwatch.text.units import parse_size

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
DEFAULT_MAX_BODY = "1MiB"

_FRAMING = frozenset({"content-length", "transfer-encoding"})
"""Headers that determine the end of the body; a wrong one would make the rest another request."""
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BREAKS_A_HEADER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
_JSON = msgspec.json.Encoder(decimal_format="number")


class Request(msgspec.Struct):
    """One request; `pairs` are its headers in order, without those that the HTTP client adds."""

    method: str
    url: Url
    pairs: list[tuple[str, str]]
    body: bytes | None
    body_file: str | None
    sent_trace_id: str | None
    """X-Ray trace id of the request; None without one."""

    def header(self, name: str) -> str | None:
        """Return the first header with this name, ignoring case; None without one."""
        lowered = name.lower()
        return next((value for key, value in self.pairs if key.lower() == lowered), None)


async def build(params: Mapping[str, Any], context: ProbeContext) -> Request:
    """Return the request of `params`. Raises UnusableError for a value that cannot be sent."""
    try:
        return await _build(params, context)
    except UnicodeEncodeError as error:
        raise UnusableError(
            "a text of the request contains an incomplete character (a lone surrogate), which UTF-8 cannot encode"
        ) from error


async def _build(params: Mapping[str, Any], context: ProbeContext) -> Request:
    method = params.get("method", "GET").upper()
    if not _TOKEN.fullmatch(method):
        raise UnusableError(f'"{method}" is not an HTTP method')
    url = params["url"]
    if query := params.get("query"):
        url = _with_query(url, query)
    request = Request(method, parse_url(url), [], None, None, None)
    if headers := params.get("headers"):
        request.pairs = [header_pair(name, each) for name, value in headers.items() for each in _values(value)]
    await _add_body(request, params, context)
    if params.get("trace", True):
        _add_trace(request, context.trace_id)
    return request


@lru_cache(maxsize=64)
def max_body_bytes(written: str | int) -> int:
    """Return `max_body` in bytes."""
    if isinstance(written, int):
        return written
    try:
        return parse_size(written)
    except ValueError as error:
        raise UnusableError(f"`max_body`: {error}") from error


def as_json(value: Any) -> bytes:
    """Return `value` as JSON, decimals with every digit, durations and times as text."""
    try:
        return _JSON.encode(_json_value(value))
    except UnicodeEncodeError:
        raise
    except (TypeError, ValueError, RecursionError) as error:
        raise UnusableError(f"`json` cannot be written as JSON: {error}") from error


def _json_value(value: Any) -> Any:
    # msgspec would write a duration as a table of its parts.
    if isinstance(value, dict):
        return {name: _json_value(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(each) for each in value]
    if isinstance(value, Duration):
        return str(value)
    return dict(value) if isinstance(value, Headers) else value


def _values(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else (value,)


def header_pair(name: str, value: Any) -> tuple[str, str]:
    """Return one header. Raises UnusableError when it would break the request."""
    text = text_value(value, f"header {name}")
    if name.lower() in _FRAMING:
        raise UnusableError(f"header {name} is set by prodwatch itself; leave it out")
    if not _TOKEN.fullmatch(name):
        raise UnusableError(f'"{name}" is not a header name')
    if _BREAKS_A_HEADER.search(text):
        raise UnusableError(f"header {name} has a line break or another control character in its value")
    return name, text


def _with_query(url: str, query: Mapping[str, Any]) -> str:
    base, hash_, fragment = url.partition("#")
    return f"{base}{'&' if '?' in base else '?'}{_encoded(query, quote)}{hash_}{fragment}"


def _encoded(fields: Mapping[str, Any], quoting: Any) -> str:
    return urlencode(
        [(name, text_value(each, f"`{name}`")) for name, value in fields.items() for each in _values(value)],
        quote_via=quoting,
    )


async def _add_body(request: Request, params: Mapping[str, Any], context: ProbeContext) -> None:
    if "json" in params:
        request.body, kind = as_json(params["json"]), "application/json"
    elif "form" in params:
        from urllib.parse import quote_plus

        request.body, kind = _encoded(params["form"], quote_plus).encode(), "application/x-www-form-urlencoded"
    elif "body" in params:
        request.body, kind = params["body"].encode(), "text/plain; charset=utf-8"
    elif "body_file" in params:
        request.body_file = params["body_file"]
        request.body, kind = await read_inside(context.root, params["body_file"]), "application/octet-stream"
    else:
        return
    if request.header("content-type") is None:
        request.pairs.append(("Content-Type", kind))


def _add_trace(request: Request, trace_id: str) -> None:
    own = request.header("x-amzn-trace-id") if request.pairs else None
    if own is not None:
        request.sent_trace_id = trace_root(own)
        return
    request.sent_trace_id = trace_id
    request.pairs.append(("X-Amzn-Trace-Id", f"Root={trace_id};Sampled=1"))
    if request.header("traceparent") is None:
        joined = trace_id[2:].replace("-", "")
        request.pairs.append(("traceparent", f"00-{joined}-{joined[16:]}-01"))


def trace_root(header: str) -> str | None:
    """Return the trace id in an `X-Amzn-Trace-Id` header; None when there is none."""
    for part in header.split(";"):
        name, _, value = part.strip().partition("=")
        if name == "Root":
            return value
    return None
