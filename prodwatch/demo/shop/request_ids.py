"""Ids, times and path of a request, the same in every signal."""

from __future__ import annotations

from typing import NamedTuple

from prodwatch.demo.shop.functions import Service
from prodwatch.demo.shop.traffic import Request
from prodwatch.demo.shop.version_behaviour import LIST, PLACE, ServingVersion

LEAD_MS = 4
"""Time between a request to the API and the function's invocation."""


class RequestIds(NamedTuple):
    """Ids, times and the path of one request."""

    request_id: str
    """Lambda's."""
    trace_id: str
    api_id: str
    """The HTTP API's request id."""
    api_segment: str
    service_segment: str
    function_segment: str
    number: int
    """Six digits for order numbers and the like."""
    received_ms: int
    """Arrival of the request at the API, or at the function itself."""
    responded_ms: int
    lag_ms: int
    """Delay between the writing of its log lines and their visibility."""
    path: str


def ids_of(service: Service, serving: ServingVersion, request: Request) -> RequestIds:
    """Return the ids, times and path of `request`."""
    text = serving.ids.hex(request.number)
    received_ms = request.start_ms - LEAD_MS if service.api else request.start_ms
    draw = int(text[:5], 16)
    number = 100_000 + draw % 900_000
    lag_ms = 250 + (draw & 0x3FF)
    if not draw & 0x3F:
        lag_ms += 4000 + (draw >> 8) * 3  # some batches of lines arrive late
    return RequestIds(
        f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}",
        f"1-{received_ms // 1000:08x}-{text[:7:-1]}",
        f"{text[3:18]}=",
        text[1:17],
        text[9:25],
        text[16:],
        number,
        received_ms,
        request.start_ms + round(request.init_ms + request.duration_ms) + 3 + (draw & 7),
        lag_ms,
        _path(service, request, number),
    )


def _path(service: Service, request: Request, number: int) -> str:
    if not service.api:
        return ""
    if len(service.operations) == 3:
        return f"/orders/ORD-{number}" if request.operation not in {PLACE, LIST} else "/orders"
    return f"/products/SKU-{number % 83 + 10}" if request.operation == 0 else "/health"
