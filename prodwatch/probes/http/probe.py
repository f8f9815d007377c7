"""Sends the request of an `http` check and returns the response or the failure as an observation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import ClientError, ClientPayloadError, ServerDisconnectedError
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from msgspec.structs import replace

from prodwatch.aws.interface import AwsError
from prodwatch.errors import CannotVerifyError, UnusableError
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Failure, Observation, ProbeContext
from prodwatch.probes.certificate import load_reader
from prodwatch.probes.connect import Timings
from prodwatch.probes.deadline import Deadline
from prodwatch.probes.failures import connection_failure, first_line, text_of, timed_out, unavailable, unusable
from prodwatch.probes.http.auth import load_signing
from prodwatch.probes.http.content_coding import CodingError
from prodwatch.probes.http.conversation import Conversation, RedirectError
from prodwatch.probes.http.observation import observe
from prodwatch.probes.http.request import DEFAULT_MAX_BODY, build, max_body_bytes
from prodwatch.probes.http.wire import MAX_HEADER_BYTES
from prodwatch.probes.http_pool import HTTP1, Means, ProxyError
from prodwatch.probes.tls_contexts import client_certificate, client_context
from prodwatch.settings.template import Reference, parse_template
from prodwatch.text.units import format_bytes, format_ms

CREDENTIALS_S = 60.0
"""Longest wait for the credentials of a signature, which is not part of a check's timeout."""
_HTTP2_SETTINGS = b"\x04\x00\x00\x00\x00\x00"
"""Type, flags and stream of the frame with which an HTTP/2 server begins, after three bytes of length."""
_WANTS_CERTIFICATE = frozenset({"TLSV13_ALERT_CERTIFICATE_REQUIRED", "SSLV3_ALERT_BAD_CERTIFICATE"})
_HTTP2_ONLY = frozenset({"NO_APPLICATION_PROTOCOL", "TLSV1_ALERT_NO_APPLICATION_PROTOCOL"})


def warm(params: Mapping[str, Any], fill: Callable[[str], Any]) -> None:
    """Load what HTTPS and signatures need, which takes tens of milliseconds and more.

    A URL whose scheme is not known before the run may turn out to be HTTPS.
    """
    url = str(params.get("url", ""))
    if url.startswith("${") and isinstance(first := parse_template(url).parts[0], Reference):
        url = str(fill(first.source))  # the rest of the text has no say, and is different in every check
    if url.lower().startswith(("https:", "${")):
        client_context(alpn=HTTP1)
        load_reader()
    if "sigv4" in (params.get("auth") or {}):
        load_signing()


async def prepare(params: Mapping[str, Any], context: ProbeContext) -> Observation | None:
    """Do what a request needs on this machine before it is measured; an observation when it cannot be sent."""
    try:
        if str(params.get("url", "")).lower().startswith("https:"):
            Means(params.get("verify_tls", True), client_certificate(params, context.root)).tls_context()
        if "sigv4" in (params.get("auth") or {}):
            load_signing()
            async with asyncio.timeout(CREDENTIALS_S):
                await context.aws.credentials(context.account)
    except UnusableError as error:
        return unusable(error)
    except (AwsError, CannotVerifyError) as error:
        return Observation(failure=_no_credentials(error))
    except TimeoutError:
        return unavailable(f"AWS credentials were not available within {CREDENTIALS_S:g} s, so nothing was sent")
    return None


async def probe(params: Mapping[str, Any], context: ProbeContext) -> Observation:
    """Send the request; the document is described on the type's reference page."""
    now = context.clock.monotonic_s
    try:
        request = await build(params, context)
        max_body = max_body_bytes(params.get("max_body", DEFAULT_MAX_BODY))
        certificate = client_certificate(params, context.root)
        if request.url.tls:
            Means(params.get("verify_tls", True), certificate).tls_context()  # made now, so that it is not measured
    except UnusableError as error:
        return unusable(error)
    conversation = Conversation(params, context, request, max_body, Timings(now), certificate)
    started_s = now()
    failure = None
    try:
        with Deadline(context.timeout_s) as deadline:
            await conversation.run()
        failure = _refused_by_proxy(conversation) or conversation.refused or _without_event(conversation)
    except UnusableError as error:
        return unusable(error, unsent=not conversation.redirects)
    except (AwsError, CannotVerifyError) as error:
        failure = _no_credentials(error)
    except RedirectError as error:
        failure = Failure(status=Status.FAIL, reason=Reason.PROTOCOL, message=str(error))
    except CodingError as error:
        message = f"{conversation.request.url.endpoint} sent a body {error}"
        failure = Failure(status=Status.FAIL, reason=Reason.PROTOCOL, message=message)
    except ProxyError as error:
        failure = _not_sent(str(error))
    except (OSError, ClientError, HttpProcessingError) as error:
        failure = _failure(error, conversation, timed_out=deadline.expired)
    if failure is not None:
        unsent = not conversation.redirects and conversation.timings.sent is None
        failure = replace(failure, unsent=unsent)
    return observe(conversation, request, failure, started_s=started_s + conversation.signing_s, ended_s=now())


def _no_credentials(error: AwsError | CannotVerifyError) -> Failure:
    transient = isinstance(error, AwsError) and error.transient
    return Failure(status=Status.ERROR, reason=error.reason, message=str(error), transient=transient)


def _not_sent(message: str) -> Failure:
    return Failure(
        status=Status.ERROR, reason=Reason.NETWORK, message=f"{message}; nothing was measured", transient=True
    )


def _refused_by_proxy(conversation: Conversation) -> Failure | None:
    answer = conversation.answer
    if conversation.proxied is None or answer is None or answer.status != HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return None
    return _not_sent(f"the proxy {conversation.proxied} refused the request: 407 {answer.reason}")


def _without_event(conversation: Conversation) -> Failure | None:
    """Return the failure of a stream without the event that was asked for; a refusal is judged by its status."""
    kind, answer = conversation.params.get("stream"), conversation.answer
    if kind in {None, "headers"} or conversation.event is not None or answer is None or answer.status >= 400:
        return None
    target = conversation.request.url.endpoint
    if conversation.truncated:
        limit = format_bytes(conversation.max_body)
        message = f"the first {kind} of {target} is longer than {limit}: raise `max_body` to read it"
        return Failure(status=Status.ERROR, reason=Reason.LIMIT, message=message)
    message = f"{target} ended its stream before its first {kind}, after {conversation.size} bytes"
    return Failure(status=Status.FAIL, reason=Reason.PROTOCOL, message=message)


def _failure(error: Exception, conversation: Conversation, *, timed_out: bool) -> Failure | None:
    """Return the failure of a transport error or a timeout; None when what came can be judged."""
    target, timings, proxy = conversation.request.url.endpoint, conversation.timings, conversation.proxied
    if proxy is not None and (timings.connected is None or timings.tunnelling):
        limit = format_ms(conversation.context.timeout_s * 1000)
        if timed_out or not isinstance(error, OSError):
            why = f"it did not respond within {limit}" if timed_out else text_of(error)
        else:
            why = connection_failure(error.__cause__ if isinstance(error.__cause__, OSError) else error, "it").message
        return _not_sent(f"the proxy {proxy} could not be used: {why}")
    if not timed_out:
        return _with_certificate_hint(transport_failure(error, target, conversation), conversation)
    answer = conversation.answer
    if conversation.params.get("stream") is not None and answer is not None and answer.status >= 400:
        return None
    return time_out(target, conversation)


def _with_certificate_hint(failure: Failure, conversation: Conversation) -> Failure:
    """Say what else an end right after the TLS handshake may mean: the alert that names the reason is often lost."""
    timings = conversation.timings
    ended_early = failure.reason is Reason.CONNECT and timings.shaken is not None and timings.answered is None
    if not ended_early or conversation.certificate is not None:
        return failure
    hint = "a server that wants a client certificate (`client_certificate`) does this too"
    return replace(failure, message=f"{failure.message}; {hint}")


def time_out(target: str, conversation: Conversation) -> Failure:
    """Return the failure of a target that did not finish its response in time."""
    kind, undone = conversation.params.get("stream"), conversation.undone()
    if kind is not None and conversation.timings.answered is not None:
        undone = f"send its first {kind} ({conversation.size} bytes received)"
    return timed_out(target, undone, conversation.context.timeout_s)


def transport_failure(error: Exception, target: str, conversation: Conversation) -> Failure:
    """Return the failure of a transport error; errors that only a bug can cause are raised again."""
    if isinstance(error, ServerDisconnectedError):
        return Failure(
            status=Status.FAIL,
            reason=Reason.CONNECT,
            message=f"{target} closed the connection without a response",
            transient=True,
        )
    if isinstance(error, ClientPayloadError):
        return _broken_off(target, conversation)
    if isinstance(error, HttpProcessingError):
        return _not_http(error, target, conversation)
    if isinstance(error, OSError):
        # aiohttp wraps the operating system's error, which has more details.
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        return _tls_refusal(cause, target, conversation) or connection_failure(cause, target)
    raise error


def _tls_refusal(error: OSError, target: str, conversation: Conversation) -> Failure | None:
    """Return the failure of a TLS alert with a meaning of its own; None for every other error."""
    alert = getattr(error, "reason", None)
    if alert in _HTTP2_ONLY:
        return _http2_only(target)
    if alert in _WANTS_CERTIFICATE and conversation.certificate is None:
        message = f"{target} asks for a client certificate ({text_of(error)}): set `client_certificate`"
        return Failure(status=Status.FAIL, reason=Reason.TLS, message=message)
    return None


def _http2_only(target: str) -> Failure:
    message = f"{target} speaks only HTTP/2, which prodwatch does not; nothing was measured"
    return Failure(status=Status.ERROR, reason=Reason.UNAVAILABLE, message=message)


def _not_http(error: HttpProcessingError, target: str, conversation: Conversation) -> Failure:
    first = conversation.first_bytes
    if first[3:9] == _HTTP2_SETTINGS:
        return _http2_only(target)
    said = first_line(error.message)
    if isinstance(error.__cause__, LineTooLong) or "too many headers" in said.lower():
        limit = format_bytes(MAX_HEADER_BYTES)
        message = f"{target} sent more headers than prodwatch reads, or one longer than {limit}: {said}"
        return Failure(status=Status.ERROR, reason=Reason.LIMIT, message=message)
    return Failure(
        status=Status.FAIL, reason=Reason.PROTOCOL, message=f"{target} sent a response that is not HTTP: {said}"
    )


def _broken_off(target: str, conversation: Conversation) -> Failure:
    length = conversation.answer.headers.get("Content-Length") if conversation.answer else None
    expected = f" of {length}" if length is not None else ""
    return Failure(
        status=Status.FAIL,
        reason=Reason.CONNECT,
        message=f"{target} closed the connection inside its response, after {conversation.size}{expected} bytes",
        transient=True,
    )
