"""What the HTTP client's errors mean for the target."""

from __future__ import annotations

import aiohttp
from aiohttp.http_exceptions import ContentEncodingError

from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Failure
from prodwatch.probes.failures import connection_failure, name_failure, text_of
from prodwatch.probes.http.conversation import Conversation
from prodwatch.probes.pool import ConnectionLostError


def transport_failure(error: aiohttp.ClientError, target: str, conversation: Conversation) -> Failure:
    """Return what an HTTP client's error means for the target; errors that are our own bugs are raised again."""
    if isinstance(error, ConnectionLostError):
        return _lost(error, target)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return name_failure(error.os_error, target)
    if isinstance(error, aiohttp.ClientPayloadError):
        return _broken_off(error, target, conversation)
    if isinstance(error, aiohttp.ClientResponseError):
        return Failure(
            status=Status.FAIL,
            reason=Reason.PROTOCOL,
            message=f"{target} answered something that is not HTTP/1.1: {error.message.splitlines()[0]}",
        )
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    if isinstance(cause, OSError):
        return connection_failure(cause, target)
    raise error


def _lost(error: ConnectionLostError, target: str) -> Failure:
    cause = error.__cause__
    if isinstance(cause, OSError):
        return connection_failure(cause, target)
    return Failure(
        status=Status.FAIL,
        reason=Reason.CONNECT,
        message=f"{target} closed the connection without answering",
        transient=True,
    )


def _broken_off(error: aiohttp.ClientPayloadError, target: str, conversation: Conversation) -> Failure:
    if isinstance(error.__cause__, ContentEncodingError):
        return Failure(
            status=Status.FAIL,
            reason=Reason.PROTOCOL,
            message=f"{target} sent a body that is not what its Content-Encoding says: {text_of(error.__cause__)}",
        )
    length = conversation.response.content_length if conversation.response else None
    expected = f" of {length}" if length is not None else ""
    return Failure(
        status=Status.FAIL,
        reason=Reason.CONNECT,
        message=f"{target} broke off its answer after {conversation.size}{expected} bytes",
        transient=True,
    )
