"""Sends the request of an `http` check and returns the response or the failure as an observation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import ClientError, ClientPayloadError, ServerDisconnectedError
from aiohttp.http_exceptions import ContentEncodingError, HttpProcessingError

from prodwatch.aws.api import AwsError
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Failure, Observation, ProbeContext
from prodwatch.probes.connect import Timings
from prodwatch.probes.deadline import Deadline
from prodwatch.probes.failures import UnusableError, connection_failure, first_line, timed_out, unusable
from prodwatch.probes.http.conversation import Conversation, RedirectError
from prodwatch.probes.http.observation import observe
from prodwatch.probes.http.request import DEFAULT_MAX_BODY, build, max_body_bytes
from prodwatch.probes.http_pool import tls_context


async def probe(params: Mapping[str, Any], context: ProbeContext) -> Observation:
    """Send the request; the document is described on the type's reference page."""
    now = context.clock.monotonic_s
    try:
        request = await build(params, context)
        max_body = max_body_bytes(params.get("max_body", DEFAULT_MAX_BODY))
    except UnusableError as error:
        return unusable(error)
    if request.url.tls:
        tls_context(verify=params.get("verify_tls", True))  # made now, so that it is not measured
    conversation = Conversation(params, context, request, max_body, Timings(now))
    started_s = now()
    failure = None
    try:
        with Deadline(context.timeout_s) as deadline:
            await conversation.run()
    except UnusableError as error:
        return unusable(error)
    except AwsError as error:
        failure = Failure(status=Status.ERROR, reason=error.reason, message=error.message, transient=error.transient)
    except RedirectError as error:
        failure = Failure(status=Status.FAIL, reason=Reason.PROTOCOL, message=str(error))
    except (OSError, ClientError, HttpProcessingError) as error:
        target = conversation.request.url.endpoint
        if deadline.expired:
            failure = timed_out(target, conversation.undone(), context.timeout_s)
        else:
            failure = transport_failure(error, target, conversation)
    return observe(conversation, request, failure, started_s=started_s + conversation.signing_s, ended_s=now())


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
        return _broken_off(error, target, conversation)
    if isinstance(error, HttpProcessingError):
        return Failure(
            status=Status.FAIL,
            reason=Reason.PROTOCOL,
            message=f"{target} sent a response that is not HTTP: {first_line(error.message)}",
        )
    if isinstance(error, OSError):
        # aiohttp wraps the operating system's error, which has more details.
        return connection_failure(error.__cause__ if isinstance(error.__cause__, OSError) else error, target)
    raise error


def _broken_off(error: ClientPayloadError, target: str, conversation: Conversation) -> Failure:
    if isinstance(error.__cause__, ContentEncodingError):
        return Failure(
            status=Status.FAIL,
            reason=Reason.PROTOCOL,
            message=f"{target} sent a body that does not match its Content-Encoding",
        )
    length = conversation.answer.headers.get("Content-Length") if conversation.answer else None
    expected = f" of {length}" if length is not None else ""
    return Failure(
        status=Status.FAIL,
        reason=Reason.CONNECT,
        message=f"{target} closed the connection inside its response, after {conversation.size}{expected} bytes",
        transient=True,
    )
