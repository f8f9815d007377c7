"""Opens an SMTP session, upgrades it to TLS if requested, and quits."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prodwatch.model.quantity import Duration
from prodwatch.model.result import Exchange
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Failure, Observation, ProbeContext
from prodwatch.probes.connect import Timings, open_socket
from prodwatch.probes.deadline import Deadline
from prodwatch.probes.failures import connection_failure, timed_out
from prodwatch.probes.name_resolution import endpoint
from prodwatch.probes.tls_contexts import client_context

if TYPE_CHECKING:
    from aiosmtplib import SMTP, SMTPException

DEFAULT_PORT = 25


async def probe(params: Mapping[str, Any], context: ProbeContext) -> Observation:
    """Open the session; the document is described on the type's reference page."""
    from aiosmtplib import SMTPException, SMTPServerDisconnected

    host, port = params["host"], params.get("port", DEFAULT_PORT)
    target = endpoint(host, port)
    if params.get("starttls", False):
        client_context(verify=params.get("verify_tls", True))  # made now, so that it is not measured
    timings = Timings(context.clock.monotonic_s)
    started_s = timings.now()
    document: dict[str, Any] = {}
    failure = None
    try:
        with Deadline(context.timeout_s) as deadline:
            await _converse(params, host, port, timings, document)
    except (OSError, SMTPException) as error:
        if deadline.expired:
            failure = timed_out(target, _undone(timings, document), context.timeout_s)
        elif isinstance(error, SMTPException) and not isinstance(error, SMTPServerDisconnected):
            failure = _refusal(error, target)
        else:
            failure = _lost(error, target)
    document["latency"] = Duration.from_s(timings.now() - started_s)
    spans = timings.spans()
    for name, span in spans:
        if name == "connect":
            document["connect"] = Duration.from_s(span)
    shown = {name: value for name, value in document.items() if not isinstance(value, Duration)}
    return Observation(
        document=document,
        failure=failure,
        exchange=Exchange(
            request={"host": host, "port": port, "starttls": params.get("starttls", False)},
            response=shown or None,
            phases_ms={name: round(span * 1000, 3) for name, span in spans},
        ),
    )


async def _converse(
    params: Mapping[str, Any], host: str, port: int, timings: Timings, document: dict[str, Any]
) -> None:
    """Run the session and fill `document` with the replies."""
    from aiosmtplib import SMTP

    connected = await open_socket(host, port, timings)
    client = SMTP(sock=connected, start_tls=False, timeout=None, local_hostname=socket.gethostname())
    try:
        timings.sent = timings.now()
        greeting = await client.connect()
        timings.answered = timings.now()
        document |= {"code": greeting.code, "banner": greeting.message, "tls": False}
        await _say_hello(client, document)
        if params.get("starttls", False):
            await client.starttls(
                server_hostname=host, tls_context=client_context(verify=params.get("verify_tls", True))
            )
            document["tls"] = True
            await _say_hello(client, document)
        await client.quit()
    finally:
        client.close()
        connected.close()


async def _say_hello(client: SMTP, document: dict[str, Any]) -> None:
    answer = await client.ehlo()
    words = [line.lower().split() for line in answer.message.splitlines()[1:]]
    document["extensions"] = [line[0] for line in words if line]
    document["auth"] = [method for line in words if line and line[0] == "auth" for method in line[1:]]


def _undone(timings: Timings, document: Mapping[str, Any]) -> str:
    if "banner" in document:
        return "finish the session"
    return "greet" if timings.sent is not None else timings.undone()


def _refusal(error: SMTPException, target: str) -> Failure:
    from aiosmtplib import SMTPConnectError, SMTPResponseException

    if isinstance(error, SMTPResponseException):
        message = f"{error.code} {error.message}".strip()
        if error.code == -1:
            return Failure(
                status=Status.FAIL,
                reason=Reason.PROTOCOL,
                message=f"{target} sent a reply that is not SMTP: {error.message}",
            )
        return Failure(status=Status.FAIL, reason=Reason.TARGET_ERROR, message=f"{target} refused: {message}")
    if isinstance(error, SMTPConnectError):
        return _lost(error, target)
    return Failure(status=Status.FAIL, reason=Reason.TARGET_ERROR, message=f"{target}: {error}")


def _lost(error: BaseException, target: str) -> Failure:
    """Return the failure of a connection that ended, from the operating system's error inside the library's."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError) or (isinstance(cause, OSError) and cause.errno is not None):
            return connection_failure(cause, target)
        cause = cause.__cause__
    return Failure(
        status=Status.FAIL,
        reason=Reason.CONNECT,
        message=f"{target} closed the connection in the middle of the session",
        transient=True,
    )
