"""Who called whom in the shop, a quarter of an hour before the release and since."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta
from typing import Literal

from prodwatch.model.signal import Batch, ServiceEdge, ServiceGraph, ServiceNode
from tests.support.scene.release import FUNCTION, Timing, live

OUTSIDE = ServiceNode("clients", "client")
API = ServiceNode("shop-api", "AWS::ApiGateway::Stage")
LAMBDA = ServiceNode(FUNCTION, "AWS::Lambda")
ORDERS = ServiceNode(FUNCTION, "AWS::Lambda::Function")
TABLE = ServiceNode("orders", "AWS::DynamoDB::Table")
OUTBOX = ServiceNode("outbox", "AWS::SQS::Queue")
PRICES = ServiceNode("prices.partner.example", "remote")
WINDOW = timedelta(minutes=15)

_EDGES: tuple[tuple[ServiceNode, ServiceNode, float, float, float], ...] = (
    (OUTSIDE, API, 4.6, 0.001, 0.240),
    (API, LAMBDA, 4.4, 0.001, 0.225),
    (LAMBDA, ORDERS, 4.4, 0.001, 0.210),
    (ORDERS, TABLE, 8.1, 0.0, 0.012),
    (ORDERS, OUTBOX, 2.2, 0.0, 0.009),
)
"""Caller, callee, calls a second, share of faults and usual time before the release."""


def services(timing: Timing, dice: random.Random) -> Batch:
    """Return both graphs; without a release there is only the present one."""
    status = live("service-map", timing.now, 21.0)
    if timing.moment == "before":
        graph = _graph("now", timing.now - WINDOW, timing.now, None, dice, share=0.0)
        return Batch(source="service-map", records=(graph,), status=status)
    share = 0.1 if timing.moment == "during" else 0.06
    graphs = (
        _graph("before", timing.started - WINDOW, timing.started, timing.started, dice, share=0.0),
        _graph("now", timing.started, timing.now, timing.started, dice, share=share),
    )
    return Batch(source="service-map", records=graphs, status=status)


def _graph(
    part: Literal["before", "now"],
    start: datetime,
    end: datetime,
    released: datetime | None,
    dice: random.Random,
    *,
    share: float,
) -> ServiceGraph:
    """`share` of the calls are the new version's: a fifth of them fail, its reads scan, and it asks a partner."""
    window_s = (end - start).total_seconds()
    edges = []
    for caller, callee, per_s, faulty, usual_s in _EDGES:
        spoilt = share * 0.2 if callee in (API, LAMBDA, ORDERS) else 0.0
        slower = {TABLE: 40.0, API: 2.5, LAMBDA: 2.5, ORDERS: 2.5}.get(callee, 1.0)
        calls = round(window_s * per_s)
        times = [dice.lognormvariate(0, 0.4) * usual_s for _ in range(calls)]
        times = [each * slower if dice.random() < share else each for each in times]
        edges.append(_edge(caller, callee, times, round(calls * (faulty + spoilt)), 4 if caller is OUTSIDE else 0))
    if share:
        asked = [dice.lognormvariate(0, 0.5) * 0.18 for _ in range(round(window_s * 0.4))]
        edges.append(_edge(ORDERS, PRICES, asked, 0, 1))
    return ServiceGraph(
        part=part,
        start_ms=round(start.timestamp() * 1000),
        end_ms=round(end.timestamp() * 1000),
        released_ms=None if released is None else round(released.timestamp() * 1000),
        edges=tuple(edges),
    )


def _edge(caller: ServiceNode, callee: ServiceNode, times: list[float], faults: int, errors: int) -> ServiceEdge:
    return ServiceEdge(
        caller=caller,
        callee=callee,
        ok=len(times) - faults - errors,
        errors=errors,
        faults=faults,
        time_s=sum(times),
        times=tuple(sorted(Counter(float(f"{each:.2g}") for each in times).items())),
    )
