"""Maps connection errors to a `Failure` with one sentence."""

from __future__ import annotations

import errno
import socket
import ssl

from prodwatch.errors import UnusableError
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Failure, Observation
from prodwatch.text.units import format_ms

_OURS = frozenset(
    {
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.EADDRNOTAVAIL,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.EPERM,  # a local firewall
    }
)
"""Errors caused by this machine's network or limits, not by the target."""


def unusable(error: UnusableError, *, unsent: bool = True) -> Observation:
    """Return the observation of a check that was not sent because of an invalid value.

    Without `unsent` an earlier request of it was.
    """
    return Observation(failure=Failure(status=Status.ERROR, reason=Reason.INVALID, message=str(error), unsent=unsent))


def unavailable(message: str, *, status: Status = Status.ERROR) -> Observation:
    """Return the observation of a check that this machine cannot run."""
    return Observation(failure=Failure(status=status, reason=Reason.UNAVAILABLE, message=message, unsent=True))


def timed_out(target: str, undone: str, timeout_s: float) -> Failure:
    """Return the failure of a target that did not finish in time; `undone` completes "it did not …"."""
    return Failure(
        status=Status.FAIL,
        reason=Reason.TIMEOUT,
        message=f"{target} did not {undone} within {format_ms(timeout_s * 1000)}",
        transient=True,
    )


def connection_failure(error: OSError, target: str) -> Failure:
    """Return the failure of an error in name resolution, connect or TLS; `target` is `host:port`."""
    if isinstance(error, socket.gaierror):
        return name_failure(error, target.rpartition(":")[0])
    if isinstance(error, ssl.SSLError):
        return tls_failure(error, target)
    if error.errno in _OURS:
        return Failure(
            status=Status.ERROR,
            reason=Reason.NETWORK,
            message=f"{target} was not tried, because of this machine: {text_of(error)}",
            transient=True,
            unsent=True,
        )
    return Failure(
        status=Status.FAIL,
        reason=Reason.CONNECT,
        message=_refusal(error, target),
        transient=True,
        unsent=isinstance(error, ConnectionRefusedError),
    )


def name_failure(error: OSError, host: str) -> Failure:
    """Return the failure of a name without an address."""
    return Failure(
        status=Status.FAIL,
        reason=Reason.DNS,
        message=f"{host} does not resolve: {text_of(error)}",
        transient=True,
        unsent=True,
    )


def tls_failure(error: ssl.SSLError, target: str) -> Failure:
    """Return the failure of a TLS handshake; not transient, because a retry gets the same certificate."""
    if isinstance(error, ssl.SSLCertVerificationError):
        message = f"{target} has a certificate that is not trusted: {error.verify_message.rstrip('.')}"
    elif error.reason in {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST"}:
        message = f"{target} does not speak TLS: {text_of(error)}"
    else:
        message = f"{target} refused the TLS handshake: {text_of(error)}"
    untrusted = isinstance(error, ssl.SSLCertVerificationError)
    return Failure(status=Status.FAIL, reason=Reason.TLS, message=message, unsent=untrusted)


def text_of(error: BaseException) -> str:
    """Return the message of `error` in one line, without Python's error number and class."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__


def first_line(text: str) -> str:
    """Return the first line of another program's message; further lines are often raw data."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _refusal(error: OSError, target: str) -> str:
    if isinstance(error, ConnectionRefusedError):
        return f"{target} refused the connection: the port is closed, or a firewall rejects it"
    if isinstance(error, ConnectionResetError | BrokenPipeError | ConnectionAbortedError):
        return f"{target} reset the connection"
    if isinstance(error, TimeoutError):
        return f"{target} did not accept the connection before the operating system's own timeout"
    return f"{target} could not be reached: {text_of(error)}"
