"""Sends the request of an `http` check and turns the answer, or its absence, into an observation."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp

from prodwatch.aws.api import AwsError
from prodwatch.model.quantity import Duration, Headers
from prodwatch.model.result import Correlation, Exchange
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Failure, Observation, ProbeContext
from prodwatch.probes.decode import decode_text, json_fields
from prodwatch.probes.failures import UnusableError, timed_out, unusable
from prodwatch.probes.http.conversation import Conversation, RedirectError
from prodwatch.probes.http.exchange import SHOWN_CHARS, curl_command, shown_body, shown_headers, shown_url
from prodwatch.probes.http.failure import transport_failure
from prodwatch.probes.http.request import DEFAULT_MAX_BODY, Request, build, max_body_bytes, target_of, trace_root
from prodwatch.probes.pool import Response, Timings
from prodwatch.text.units import format_bytes

_REQUEST_IDS = (
    "x-amzn-requestid",
    "apigw-requestid",
    "x-amz-apigw-id",
    "x-amz-request-id",
    "x-amz-cf-id",
    "x-request-id",
)


async def probe(params: Mapping[str, Any], context: ProbeContext) -> Observation:
    """Send the request; the document is that of the type's reference page."""
    now = context.clock.monotonic_s
    try:
        request = await build(params, context)
        max_body = max_body_bytes(params.get("max_body", DEFAULT_MAX_BODY))
    except UnusableError as error:
        return unusable(error)
    conversation = Conversation(params, context, request, max_body, Timings(now))
    started = now()
    response = None
    failure = None
    try:
        async with asyncio.timeout(context.timeout_s) as deadline:
            response = await conversation.run()
    except UnusableError as error:
        return unusable(error)
    except AwsError as error:
        failure = Failure(status=Status.ERROR, reason=error.reason, message=error.message, transient=error.transient)
    except RedirectError as error:
        failure = Failure(status=Status.FAIL, reason=Reason.PROTOCOL, message=str(error))
    except (aiohttp.ClientError, TimeoutError) as error:
        target = target_of(conversation.request.url)
        if deadline.expired():
            failure = timed_out(target, conversation.undone(), context.timeout_s)
        elif isinstance(error, aiohttp.ClientError):
            failure = transport_failure(error, target, conversation)
        else:
            raise
    ended = now()
    return Observation(
        document={} if response is None else _document(conversation, response, started, ended),
        failure=failure,
        complete=not conversation.truncated,
        exchange=_exchange(conversation, request, ended),
        correlation=_correlation(request, conversation.response),
        notices=_notices(conversation),
    )


def _document(conversation: Conversation, response: Response, started: float, ended: float) -> dict[str, Any]:
    body = b"".join(conversation.chunks)
    document: dict[str, Any] = {
        "status": response.status,
        "headers": Headers(tuple(response.headers.items())),
        "body": decode_text(body, _charset(response)),
        "latency": Duration.from_s(ended - started),
        "phases": {name: Duration.from_s(span) for name, span in _phases(conversation, ended)},
        "size": conversation.size,
        "url": str(conversation.request.url),
        "redirects": conversation.redirects,
        "http_version": f"{response.version.major}.{response.version.minor}" if response.version else "1.1",
    }
    if not conversation.truncated:
        document |= json_fields(body)
    if response.tls is not None:
        from prodwatch.probes.certificate import days_left, expiry

        not_after = expiry(response.tls)
        if not_after is not None:
            document["tls"] = {"days_left": days_left(not_after, conversation.context.clock.now())}
    return document


def _charset(response: Response) -> str | None:
    content_type = response.headers.get("Content-Type", "")
    return response.charset if "charset" in content_type.lower() else None


def _phases(conversation: Conversation, ended: float) -> list[tuple[str, float]]:
    """Return the phases that happened, in order, each with its seconds; of the last hop."""
    timings = conversation.timings
    found = []
    if timings.connecting is not None:
        begun = timings.connecting
        if timings.resolving is not None and timings.resolved is not None:
            found.append(("dns", timings.resolved - timings.resolving))
            begun = timings.resolved
        if timings.connected is not None:
            found.append(("connect", (timings.handshaking or timings.connected) - begun))
            if timings.handshaking is not None:
                found.append(("tls", timings.connected - timings.handshaking))
    if timings.sent is not None and conversation.headers_at is not None:
        found.extend(
            (
                ("ttfb", conversation.headers_at - timings.sent),
                ("download", ended - conversation.headers_at),
            )
        )
    return found


def _exchange(conversation: Conversation, request: Request, ended: float) -> Exchange:
    params, context, response = conversation.params, conversation.context, conversation.response
    auth = params.get("auth") or {}
    secret = frozenset({auth["header"]["name"].lower()}) if "header" in auth else frozenset()
    answer = None
    if response is not None:
        body = b"".join(conversation.chunks)[: SHOWN_CHARS * 4]
        answer = {
            "status": response.status,
            "reason": response.reason,
            "headers": shown_headers(response.headers.items()),
            "body": decode_text(body, _charset(response))[:SHOWN_CHARS],
            "size": conversation.size,
        }
    region = None
    if "sigv4" in auth:
        from prodwatch.probes.http.auth import signing_region

        region = signing_region(auth["sigv4"], context)
    return Exchange(
        request={
            "method": request.method,
            "url": shown_url(request.url),
            "headers": shown_headers(request.pairs),
            "body": shown_body(request.body),
        },
        response=answer,
        phases_ms={name: round(span * 1000, 3) for name, span in _phases(conversation, ended)},
        curl=curl_command(request, params, timeout_s=context.timeout_s, region=region, secret=secret),
        truncated=conversation.truncated or conversation.size > SHOWN_CHARS,
    )


def _correlation(request: Request, response: Response | None) -> Correlation:
    trace_id = request.sent_trace_id
    if response is None:
        return Correlation(trace_id=trace_id)
    headers = response.headers
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
    if not conversation.params.get("verify_tls", True) and conversation.request.url.scheme == "https":
        notices.append("the server's certificate was not checked: `verify_tls` is false")
    return tuple(notices)
