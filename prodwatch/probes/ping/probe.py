"""Sends ICMP echo requests, without privileges where the system allows it."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from prodwatch.model.quantity import Duration
from prodwatch.model.result import Exchange
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Failure, Observation, ProbeContext
from prodwatch.probes.deadline import Deadline
from prodwatch.probes.failures import connection_failure, name_failure, text_of, timed_out, unavailable
from prodwatch.probes.name_resolution import resolve
from prodwatch.probes.ping import icmp
from prodwatch.text.units import format_ms

DEFAULT_COUNT = 3
INTERVAL_S = 0.2
_MARGIN = 0.9
"""Share of the timeout spent waiting for replies; the rest is for sending."""


async def probe(params: Mapping[str, Any], context: ProbeContext) -> Observation:
    """Send the requests; the document is described on the type's reference page."""
    host, count = params["host"], params.get("count", DEFAULT_COUNT)
    wait_s = (context.timeout_s * _MARGIN - INTERVAL_S * (count - 1)) / count
    exchange = Exchange(request={"host": host, "count": count})
    if wait_s <= 0:
        needed = format_ms(INTERVAL_S * count * 1000 / _MARGIN)
        message = f"{count} echo requests to {host} do not fit into the timeout; raise `timeout` above {needed}"
        return Observation(failure=Failure(status=Status.ERROR, reason=Reason.INVALID, message=message))
    address = None
    try:
        with Deadline(context.timeout_s) as deadline:
            family, _, _, _, endpoint = (await resolve(host, 0))[0]
            address = str(endpoint[0])
            try:
                opened = icmp.open_socket(socket.AddressFamily(family))
            except OSError as error:
                return unavailable(_refusal(error), status=Status.SKIPPED)
            with opened:
                opened.connect(endpoint)
                round_trips_s = await icmp.ping(
                    opened, count, interval_s=INTERVAL_S, wait_s=wait_s, clock=context.clock
                )
    except OSError as error:
        if deadline.expired:
            undone = "resolve" if address is None else "answer"
            return Observation(failure=timed_out(host, undone, context.timeout_s), exchange=exchange)
        failure = connection_failure(error, host) if address is not None else name_failure(error, host)
        return Observation(failure=failure, exchange=exchange)
    return _observation(host, address, count, round_trips_s, wait_s)


def _refusal(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return (
            "this machine may not send ICMP: allow it with"
            ' `sysctl net.ipv4.ping_group_range="0 2147483647"`, or use a `tcp` check'
        )
    return f"this machine cannot send ICMP: {text_of(error)}"


def _observation(host: str, address: str, count: int, round_trips_s: list[float], wait_s: float) -> Observation:
    received = len(round_trips_s)
    document: dict[str, Any] = {
        "loss": Decimal(count - received) / count,
        "sent": count,
        "received": received,
        "address": address,
    }
    failure = None
    if received:
        document |= {
            "rtt": Duration.from_s(sum(round_trips_s) / received),
            "rtt_min": Duration.from_s(min(round_trips_s)),
            "rtt_max": Duration.from_s(max(round_trips_s)),
        }
    else:
        failure = Failure(
            status=Status.FAIL,
            reason=Reason.TIMEOUT,
            message=f"{host} ({address}) replied to none of {count} echo requests, {format_ms(wait_s * 1000)} each",
            transient=True,
            answered_by=("loss", "received"),
        )
    return Observation(
        document=document,
        failure=failure,
        exchange=Exchange(
            request={"host": host, "count": count},
            response={
                "address": address,
                "sent": count,
                "received": received,
                "rtts_ms": [round(each * 1000, 3) for each in round_trips_s],
            },
        ),
    )
