"""Observation of an `http` check: the document for assertions, and the exchange and notices for display."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from prodwatch.model.quantity import Duration, Headers
from prodwatch.model.result import Correlation, Exchange
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Failure, Observation
from prodwatch.probes.decode import JsonText, decode_text, read_json
from prodwatch.probes.http.conversation import Conversation
from prodwatch.probes.http.exchange import SHOWN_CHARS, curl_command, shown_body, shown_headers
from prodwatch.probes.http.request import Request, trace_root
from prodwatch.probes.http.wire import Answer
from prodwatch.text.units import format_bytes

_REQUEST_IDS = (
    "x-amzn-requestid",
    "apigw-requestid",
    "x-amz-apigw-id",
    "x-amz-request-id",
    "x-amz-cf-id",
    "x-request-id",
)


def observe(
    conversation: Conversation, request: Request, failure: Failure | None, *, started_s: float, ended_s: float
) -> Observation:
    """Return the observation of a finished conversation; `request` is its first one."""
    phases = conversation.timings.spans(ended_s)
    answer = conversation.answer
    document: dict[str, Any] = {}
    remarks: Mapping[str, str] = {}
    unreadable: Mapping[str, Failure] = {}
    text = ""
    if answer is not None:
        body = b"" if conversation.foreign_coding is not None else b"".join(conversation.chunks)
        text = decode_text(body, _charset(answer))
        if failure is None:
            document = _document(conversation, answer, text)
            document["latency"] = Duration.from_s(ended_s - started_s)
            document["phases"] = {name: Duration.from_s(span) for name, span in phases}
            remarks, unreadable = _add_content(document, conversation, answer, body)
            if answer.connection.tls is not None:
                now = conversation.context.clock.now()
                remarks = {**remarks, **_add_expiry(document, answer.connection.tls, now)}
    return Observation(
        document=document,
        failure=failure,
        remarks=remarks,
        unreadable=unreadable,
        complete=not conversation.truncated,
        exchange=_exchange(conversation, request, text, phases),
        correlation=_correlation(request, answer),
        notices=_notices(conversation),
    )


def _document(conversation: Conversation, answer: Answer, text: str) -> dict[str, Any]:
    document: dict[str, Any] = {
        "status": answer.status,
        "headers": Headers(tuple(answer.headers.items())),
        "body": text,
        "size": conversation.size,
        "url": conversation.request.url.shown,
        "redirects": conversation.redirects,
        "http_version": answer.http_version,
    }
    return document


def _add_expiry(document: dict[str, Any], tls: ssl.SSLObject, now: datetime) -> Mapping[str, str]:
    """Add when the server's certificates expire to `document`; return what to add to claims on it."""
    from prodwatch.probes.certificate import chain_of, expiry_fields, expiry_remarks

    try:
        chain = chain_of(tls)
    except ValueError as error:
        return {"tls": f"the server's certificate cannot be read: {error}"}
    if not chain:
        return {"tls": "the server sent no certificate"}
    document["tls"] = expiry_fields(chain, now)
    return expiry_remarks(chain, ("tls",))


def _add_content(
    document: dict[str, Any], conversation: Conversation, answer: Answer, body: bytes
) -> tuple[Mapping[str, str], Mapping[str, Failure]]:
    """Add what the body says to `document`; return why fields are absent, and those that cannot be read here."""
    stream, target = conversation.params.get("stream"), conversation.request.url.endpoint
    if conversation.request.method == "HEAD":
        # Nothing was sent that could be looked into, so nothing can be absent from it.
        del document["body"]
        return dict.fromkeys(("body", "json"), "a response to HEAD has no body"), {}
    if conversation.foreign_coding is not None:
        del document["body"], document["size"]
        message = (
            f"{target} sent a body with Content-Encoding {conversation.foreign_coding}, which was not asked for and"
            " cannot be decoded here"
        )
        failure = Failure(status=Status.ERROR, reason=Reason.UNAVAILABLE, message=message)
        return {}, dict.fromkeys(("body", "json", "size", "event"), failure)
    if stream is None:
        if conversation.truncated:
            return {}, {}
        return _add_json(document, read_json(body, answer.headers.get("Content-Type")), "the body", target)
    del document["body"]
    why = f"with `stream` the body is not read as a whole; `event` is its first {stream}"
    if conversation.event is None:
        why = 'with `stream = "headers"` the body is not read' if stream == "headers" else f"no {stream} came"
        return dict.fromkeys(("body", "json", "event"), why), {}
    document["event"] = conversation.event
    remarks, unreadable = _add_json(
        document, read_json(conversation.event["data"].encode()), f"the first {stream}", target
    )
    return {"body": why, **remarks}, unreadable


def _add_json(
    document: dict[str, Any], found: JsonText, name: str, target: str
) -> tuple[Mapping[str, str], Mapping[str, Failure]]:
    document |= found.fields
    if found.problem is None:
        return {}, {}
    if found.beyond_limits:
        message = f"{name} of {target} {found.problem}; nothing was measured"
        return {}, {"json": Failure(status=Status.ERROR, reason=Reason.LIMIT, message=message)}
    return {"json": f"{name} {found.problem}"}, {}


def _charset(answer: Answer) -> str | None:
    content_type = answer.headers.get("Content-Type")
    if content_type is None or "charset" not in content_type.lower():
        return None
    return _charset_in(content_type)


@lru_cache(maxsize=64)
def _charset_in(content_type: str) -> str | None:
    from email.message import Message

    message = Message()
    message["Content-Type"] = content_type
    return message.get_content_charset()


def _exchange(conversation: Conversation, request: Request, text: str, phases: list[tuple[str, float]]) -> Exchange:
    params, context, answer = conversation.params, conversation.context, conversation.answer
    auth = params.get("auth")
    secret: frozenset[str] = frozenset()
    region = None
    if auth:
        if "header" in auth:
            secret = frozenset({auth["header"]["name"].lower()})
        elif "sigv4" in auth:
            from prodwatch.probes.http.auth import signing_region

            region = signing_region(auth["sigv4"], context)
    shown_answer = None
    if answer is not None:
        shown_answer = {
            "status": answer.status,
            "reason": answer.reason,
            "headers": shown_headers(answer.headers.items()),
            "body": text[:SHOWN_CHARS],
            "size": conversation.size,
        }
    return Exchange(
        request={
            "method": request.method,
            "url": request.url.shown,
            "headers": shown_headers(request.pairs, secret),
            "body": shown_body(request.body),
            **({} if conversation.proxied is None else {"proxy": conversation.proxied}),
        },
        response=shown_answer,
        phases_ms={name: round(span * 1000, 3) for name, span in phases},
        curl=curl_command(request, params, timeout_s=context.timeout_s, region=region, secret=secret),
        truncated=conversation.truncated or len(text) > SHOWN_CHARS,
    )


def _correlation(request: Request, answer: Answer | None) -> Correlation:
    trace_id = request.sent_trace_id
    if answer is None:
        return Correlation(trace_id=trace_id)
    headers = answer.headers
    returned = headers.get("X-Amzn-Trace-Id")
    return Correlation(
        trace_id=(trace_root(returned) if returned else None) or trace_id,
        request_ids=tuple(headers[name] for name in _REQUEST_IDS if name in headers),
    )


def _notices(conversation: Conversation) -> tuple[str, ...]:
    notices = []
    if conversation.truncated:
        notices.append(
            f"the body is longer than {format_bytes(conversation.max_body)}: only that much was read;"
            " raise `max_body` to judge all of it"
        )
    if not conversation.params.get("verify_tls", True) and conversation.request.url.tls:
        notices.append("the server's certificate was not verified, because `verify_tls` is false")
    return tuple(notices)
