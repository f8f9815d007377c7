"""Turns what went wrong on the way to a target into one `Failure` with one sentence."""

from __future__ import annotations

import errno
import socket
import ssl

from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Failure, Observation
from prodwatch.text.units import format_ms

_OURS = frozenset({errno.ENETDOWN, errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EMFILE, errno.ENFILE, errno.ENOBUFS})
"""Errors that this machine's own network or limits cause, whatever the target does."""


class UnusableError(Exception):
    """A value that was filled in when the check ran cannot be used; its text is one sentence for the user."""


def unusable(error: UnusableError) -> Observation:
    """Return the observation of a check that could not be sent because of a value in it."""
    return Observation(failure=Failure(status=Status.ERROR, reason=Reason.INVALID, message=str(error)))


def unavailable(message: str, *, status: Status = Status.ERROR) -> Observation:
    """Return the observation of a check this machine cannot do."""
    return Observation(failure=Failure(status=status, reason=Reason.UNAVAILABLE, message=message))


def endpoint(host: str, port: int) -> str:
    """Return `host:port` as messages name a target."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def timed_out(target: str, undone: str, timeout_s: float) -> Failure:
    """Return the failure of a target that did not finish in time; `undone` is what it still owed."""
    return Failure(
        status=Status.FAIL,
        reason=Reason.TIMEOUT,
        message=f"{target} did not {undone} within {format_ms(timeout_s * 1000)}",
        transient=True,
    )


def connection_failure(error: OSError, target: str) -> Failure:
    """Return the failure behind an error of resolving, connecting or talking TLS; `target` is `host:port`."""
    if isinstance(error, socket.gaierror):
        return name_failure(error, target.rpartition(":")[0])
    if isinstance(error, ssl.SSLError):
        return tls_failure(error, target)
    if error.errno in _OURS:
        return Failure(
            status=Status.ERROR,
            reason=Reason.NETWORK,
            message=f"{target} was not tried: this machine says {text_of(error)}",
            transient=True,
        )
    return Failure(status=Status.FAIL, reason=Reason.CONNECT, message=_refusal(error, target), transient=True)


def name_failure(error: OSError, host: str) -> Failure:
    """Return the failure of a name that gave no address."""
    return Failure(
        status=Status.FAIL,
        reason=Reason.DNS,
        message=f"{host} does not resolve: {text_of(error)}",
        transient=True,
    )


def tls_failure(error: ssl.SSLError, target: str) -> Failure:
    """Return the failure of a TLS handshake; never transient, since asking again gets the same certificate."""
    if isinstance(error, ssl.SSLCertVerificationError):
        message = f"{target} has a certificate that is not trusted: {error.verify_message.rstrip('.')}"
    elif error.reason in {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST"}:
        message = f"{target} does not speak TLS: {text_of(error)}"
    else:
        message = f"{target} refused the TLS handshake: {text_of(error)}"
    return Failure(status=Status.FAIL, reason=Reason.TLS, message=message)


def text_of(error: BaseException) -> str:
    """Return what `error` says in one line, without Python's decoration of it."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__


def first_line(text: str) -> str:
    """Return the first line of what somebody else said; the rest is often their own bytes."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _refusal(error: OSError, target: str) -> str:
    if isinstance(error, ConnectionRefusedError):
        return f"{target} refused the connection: nothing listens there, or a firewall answers for it"
    if isinstance(error, ConnectionResetError | BrokenPipeError | ConnectionAbortedError):
        return f"{target} reset the connection"
    if isinstance(error, TimeoutError):
        return f"{target} did not accept the connection: the operating system gave up waiting"
    return f"{target} could not be reached: {text_of(error)}"
