"""Opens and closes a TCP connection."""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping
from typing import Any

from prodwatch.model.quantity import Duration
from prodwatch.model.result import Exchange
from prodwatch.probes.base import Observation, ProbeContext
from prodwatch.probes.connect import Timings, family_of, open_socket
from prodwatch.probes.deadline import Deadline
from prodwatch.probes.failures import connection_failure, timed_out
from prodwatch.probes.name_resolution import endpoint


async def probe(params: Mapping[str, Any], context: ProbeContext) -> Observation:
    """Connect; the document is described on the type's reference page."""
    host, port = params["host"], params["port"]
    target = endpoint(host, port)
    timings = Timings(context.clock.monotonic_s)
    exchange = Exchange(request={"host": host, "port": port})
    try:
        with Deadline(context.timeout_s) as deadline:
            connected = await open_socket(host, port, timings, family=family_of(params))
        with connected:
            address = _peer(connected)
    except OSError as error:
        if deadline.expired:
            return Observation(failure=timed_out(target, timings.undone(), context.timeout_s), exchange=exchange)
        return Observation(failure=connection_failure(error, target), exchange=exchange)
    spans = timings.spans()
    return Observation(
        document={**{name: Duration.from_s(span) for name, span in spans}, "address": address},
        exchange=Exchange(
            request=exchange.request,
            response={"address": address},
            phases_ms={name: round(span * 1000, 3) for name, span in spans},
        ),
    )


def _peer(connected: socket.socket) -> str:
    try:
        return str(connected.getpeername()[0])
    except OSError as error:
        # The system forgets the peer of a connection that was reset between the handshake and this line.
        raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer") from error
