"""What an error on the way means for the target of an `http` check."""

from __future__ import annotations

from aiohttp import ClientPayloadError, ServerDisconnectedError
from aiohttp.http_exceptions import ContentEncodingError, HttpProcessingError

from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Failure
from prodwatch.probes.failures import connection_failure, first_line
from prodwatch.probes.http.conversation import Conversation


def transport_failure(error: Exception, target: str, conversation: Conversation) -> Failure:
    """Return the failure behind `error`; errors that only our own bugs can cause are raised again."""
    if isinstance(error, ServerDisconnectedError):
        return Failure(
            status=Status.FAIL,
            reason=Reason.CONNECT,
            message=f"{target} closed the connection without answering",
            transient=True,
        )
    if isinstance(error, ClientPayloadError):
        return _broken_off(error, target, conversation)
    if isinstance(error, HttpProcessingError):
        return Failure(
            status=Status.FAIL,
            reason=Reason.PROTOCOL,
            message=f"{target} answered something that is not HTTP: {first_line(error.message)}",
        )
    if isinstance(error, OSError):
        # aiohttp wraps what the operating system said; the original knows more.
        return connection_failure(error.__cause__ if isinstance(error.__cause__, OSError) else error, target)
    raise error


def _broken_off(error: ClientPayloadError, target: str, conversation: Conversation) -> Failure:
    if isinstance(error.__cause__, ContentEncodingError):
        return Failure(
            status=Status.FAIL,
            reason=Reason.PROTOCOL,
            message=f"{target} sent a body that is not what its Content-Encoding says",
        )
    length = conversation.answer.headers.get("Content-Length") if conversation.answer else None
    expected = f" of {length}" if length is not None else ""
    return Failure(
        status=Status.FAIL,
        reason=Reason.CONNECT,
        message=f"{target} broke off its answer after {conversation.size}{expected} bytes",
        transient=True,
    )
