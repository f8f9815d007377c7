"""Sends ICMP echo requests, without privileges where the system allows it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from prodwatch.model.quantity import Duration
from prodwatch.model.result import Exchange
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Failure, Observation, ProbeContext
from prodwatch.probes.deadline import Deadline
from prodwatch.probes.failures import connection_failure, name_failure, timed_out, unavailable
from prodwatch.probes.name_resolution import resolve
from prodwatch.text.units import format_ms

if TYPE_CHECKING:
    from icmplib import Host

DEFAULT_COUNT = 3
INTERVAL_S = 0.2
_MARGIN = 0.9
"""Share of the timeout spent waiting for replies; the rest is for sending."""


async def probe(params: Mapping[str, Any], context: ProbeContext) -> Observation:
    """Ping; the document is that of the type's reference page."""
    from icmplib import ICMPSocketError, SocketPermissionError

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
            address = str((await resolve(host, 0))[0][4][0])
            seen = await _ping(address, count, wait_s)
    except SocketPermissionError:
        message = (
            "this machine may not send ICMP: allow it with"
            ' `sysctl net.ipv4.ping_group_range="0 2147483647"`, or use a `tcp` check'
        )
        return unavailable(message, status=Status.SKIPPED)
    except ICMPSocketError as error:
        message = f"this machine cannot send ICMP: {error}"
        return unavailable(message, status=Status.SKIPPED)
    except OSError as error:
        if deadline.expired:
            undone = "resolve" if address is None else "answer"
            return Observation(failure=timed_out(host, undone, context.timeout_s), exchange=exchange)
        failure = connection_failure(error, host) if address is not None else name_failure(error, host)
        return Observation(failure=failure, exchange=exchange)
    return _observation(seen, host, wait_s, exchange)


async def _ping(address: str, count: int, wait_s: float) -> Host:
    from icmplib import SocketPermissionError, async_ping

    try:
        return await async_ping(address, count=count, interval=INTERVAL_S, timeout=wait_s, privileged=False)
    except SocketPermissionError:
        # Root may be refused the unprivileged kind and still be allowed the other one.
        return await async_ping(address, count=count, interval=INTERVAL_S, timeout=wait_s, privileged=True)


def _observation(seen: Host, host: str, wait_s: float, exchange: Exchange) -> Observation:
    sent, received = seen.packets_sent, seen.packets_received
    document: dict[str, Any] = {
        "loss": Decimal(sent - received) / sent if sent else Decimal(1),
        "sent": sent,
        "received": received,
        "address": seen.address,
    }
    failure = None
    if received:
        document |= {
            "rtt": Duration.from_ms(seen.avg_rtt),
            "rtt_min": Duration.from_ms(seen.min_rtt),
            "rtt_max": Duration.from_ms(seen.max_rtt),
        }
    else:
        failure = Failure(
            status=Status.FAIL,
            reason=Reason.TIMEOUT,
            message=f"{host} ({seen.address}) answered none of {sent} echo requests, {format_ms(wait_s * 1000)} each",
            transient=True,
            answered_by=("loss", "received"),
        )
    return Observation(
        document=document,
        failure=failure,
        exchange=Exchange(
            request=exchange.request,
            response={"address": seen.address, "sent": sent, "received": received, "rtts_ms": list(seen.rtts)},
        ),
    )
