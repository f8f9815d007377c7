"""Makes a TLS handshake and reads the certificate, trusted or not."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from prodwatch.model.quantity import Duration
from prodwatch.model.result import Exchange
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Failure, Observation, ProbeContext
from prodwatch.probes.certificate import CertificateFacts, chain_of, expiry_fields, expiry_remarks, load_reader
from prodwatch.probes.connect import Timings, family_of, open_socket
from prodwatch.probes.deadline import Deadline
from prodwatch.probes.failures import connection_failure, timed_out
from prodwatch.probes.name_resolution import endpoint
from prodwatch.probes.tls_contexts import client_context

DEFAULT_PORT = 443


@dataclass(frozen=True, slots=True)
class _Handshake:
    """Outcome of one handshake."""

    chain: list[CertificateFacts]
    """The server's certificate and those that vouch for it; empty when they cannot be read."""
    unreadable: str | None
    """Why the certificates cannot be read; None when they were."""
    protocol: str | None
    cipher: str | None
    timings: Timings


def warm(_params: Mapping[str, Any], _fill: Callable[[str], Any]) -> None:
    """Load the trusted certificates and the reader of certificates, which takes tens of milliseconds."""
    client_context()
    client_context(verify=False)
    load_reader()


async def probe(params: Mapping[str, Any], context: ProbeContext) -> Observation:
    """Make the handshake; the document is described on the type's reference page."""
    host, port = params["host"], params.get("port", DEFAULT_PORT)
    name = params.get("server_name", host)
    target = endpoint(host, port)
    request = {"host": host, "port": port, "server_name": name}
    now = context.clock.monotonic_s
    timings = Timings(now)
    error: ssl.SSLCertVerificationError | None = None
    client_context()  # made now, so that it is not measured
    try:
        with Deadline(context.timeout_s) as deadline:
            family = family_of(params)
            try:
                seen = await _shake(host, port, name, timings, family, verify=True)
            except ssl.SSLCertVerificationError as refused:
                # OpenSSL hands out a certificate it refused only to those who do not ask it to check.
                error = refused
                timings = Timings(now)
                seen = await _shake(host, port, name, timings, family, verify=False)
    except OSError as failed:
        if deadline.expired:
            failure = timed_out(target, timings.undone(), context.timeout_s)
        else:
            failure = connection_failure(failed, target)
        return Observation(failure=failure, exchange=Exchange(request=request))
    return _observation(seen, error, context, request, target=target)


async def _shake(
    host: str, port: int, name: str, timings: Timings, family: socket.AddressFamily, *, verify: bool
) -> _Handshake:
    connected = await open_socket(host, port, timings, family=family)
    try:
        timings.handshaking = timings.now()
        transport, _ = await asyncio.get_running_loop().create_connection(
            asyncio.Protocol, sock=connected, ssl=client_context(verify=verify), server_hostname=name
        )
        timings.shaken = timings.now()
    except BaseException:
        connected.close()
        raise
    try:
        tls: ssl.SSLObject = transport.get_extra_info("ssl_object")
        cipher = tls.cipher()
        chain: list[CertificateFacts] = []
        unreadable = None
        try:
            chain = chain_of(tls)
        except ValueError as error:
            unreadable = str(error)
        return _Handshake(
            chain=chain,
            unreadable=unreadable,
            protocol=tls.version(),
            cipher=cipher[0] if cipher else None,
            timings=timings,
        )
    finally:
        transport.abort()
        await asyncio.sleep(0)  # lets the event loop close the socket now


def _observation(
    seen: _Handshake,
    error: ssl.SSLCertVerificationError | None,
    context: ProbeContext,
    request: dict[str, Any],
    *,
    target: str,
) -> Observation:
    timings = seen.timings
    document: dict[str, Any] = {"protocol": seen.protocol, "cipher": seen.cipher, "verified": error is None}
    failure = None
    if error is not None:
        document["error"] = error.verify_message.rstrip(".")
        failure = connection_failure(error, target)
        failure = Failure(
            status=failure.status, reason=failure.reason, message=failure.message, answered_by=("verified", "error")
        )
    remarks: Mapping[str, str] = {}
    if not seen.chain:
        message = f"{target} has a certificate that cannot be read: {seen.unreadable or 'it sent none'}"
        failure = Failure(status=Status.FAIL, reason=Reason.TLS, message=message)
    else:
        facts = seen.chain[0]
        document |= {"subject": facts.subject, "issuer": facts.issuer, "sans": list(facts.sans)}
        document |= expiry_fields(seen.chain, context.clock.now())
        remarks = expiry_remarks(seen.chain, ("days_left", "expires"))
    spans = timings.spans()
    durations = {name: Duration.from_s(span) for name, span in spans}
    document |= {"connect": durations["connect"], "handshake": durations["tls"]}
    return Observation(
        document=document,
        failure=failure,
        remarks=remarks,
        exchange=Exchange(
            request=request,
            response={
                name: str(value) if name == "expires" else value
                for name, value in document.items()
                if name not in {"connect", "handshake"}
            },
            phases_ms={name: round(span * 1000, 3) for name, span in spans},
        ),
    )
