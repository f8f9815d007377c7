"""CloudWatch's metrics of any minute, counted from the requests of that minute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

from prodwatch.demo.shop.draws import Draws
from prodwatch.demo.shop.fleet import API_ID, API_STAGE, ORDERS
from prodwatch.demo.shop.marks import LEAD_MS
from prodwatch.demo.shop.serving import PLACE
from prodwatch.demo.shop.traffic import Request, Traffic
from prodwatch.demo.world import MetricSample

MINUTE_S = 60
SHORTEST_LAG_S = 45
"""A minute's metrics can be read so long after its end, at the earliest."""

LAMBDA_METRICS = ("Invocations", "Errors", "Duration", "Throttles")

Series = tuple[str, str, tuple[tuple[str, str], ...]]
"""(namespace, metric, dimensions in the order of their names)."""
Values = Counter[float]


def series(namespace: str, metric: str, **dimensions: str) -> Series:
    """Return the identity of a series."""
    return namespace, metric, tuple(sorted(dimensions.items()))


class Ledger:
    """Metrics by minute; remembers the hours it was asked for last."""

    def __init__(self, traffic: Traffic, seed: int) -> None:
        self._traffic = traffic
        self._draws = Draws(seed, "metrics")
        self._minute = lru_cache(maxsize=400)(self._count)

    def names(self) -> Iterator[Series]:
        """Yield every series that has ever had a value."""
        release = self._traffic.timeline.scenario.release
        alias = _alias(release.alias)
        for dimensions in (*({"FunctionName": name} for name in self._traffic.services), alias):
            for metric in (*LAMBDA_METRICS, "ConcurrentExecutions"):
                yield series("AWS/Lambda", metric, **dimensions)
        if self._traffic.timeline.weighted(-1e12, 1e12):
            for version in (release.previous, release.version):
                for metric in LAMBDA_METRICS:
                    yield series("AWS/Lambda", metric, **alias, ExecutedVersion=version)
        for metric in ("Count", "4xx", "5xx", "Latency"):
            yield series("AWS/ApiGateway", metric, ApiId=API_ID, Stage=API_STAGE)
        for queue in QUEUES:
            for metric in ("ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"):
                yield series("AWS/SQS", metric, QueueName=queue)
        yield series("Shop", "CheckoutMs", service="orders")

    def samples(self, wanted: Series, start_s: int, end_s: int) -> Iterator[MetricSample]:
        """Yield the samples of one series whose minute lies in [start, end), in order."""
        for span in self._traffic.timeline.spans():
            seconds = span.seconds_in(start_s, end_s)
            first = -(-seconds.start // MINUTE_S) * MINUTE_S
            for minute in range(first, seconds.stop, MINUTE_S):
                values = self._minute(minute).get(wanted)
                if values:
                    lag = SHORTEST_LAG_S + self._draws.digest(minute)[0] // 12
                    yield MetricSample(
                        timestamp_s=minute,
                        values=tuple(values),
                        counts=tuple(map(float, values.values())),
                        visible_s=float(minute + MINUTE_S + lag),
                    )

    def _count(self, minute: int) -> dict[Series, Values]:
        requests = {
            name: [each for second in range(minute, minute + MINUTE_S) for each in self._traffic.requests(name, second)]
            for name in self._traffic.services
        }
        found: dict[Series, Values] = {}
        alias = _alias(self._traffic.timeline.scenario.release.alias)
        for name, all_of_it in requests.items():
            counted = _invocations(all_of_it)
            busy_ms = sum(each.duration_ms for each in all_of_it)
            if counted:
                counted["ConcurrentExecutions"] = Counter([float(max(1, round(busy_ms / (MINUTE_S * 1000))))])
            for dimensions in ({"FunctionName": name}, *([alias] if name == ORDERS else [])):
                found.update((series("AWS/Lambda", metric, **dimensions), values) for metric, values in counted.items())
        if self._traffic.timeline.weighted(minute, minute + MINUTE_S):
            for version in sorted({each.version for each in requests[ORDERS]}):
                counted = _invocations([each for each in requests[ORDERS] if each.version == version])
                for metric, values in counted.items():
                    found[series("AWS/Lambda", metric, **alias, ExecutedVersion=version)] = values
        api = [each for name, every in requests.items() if self._traffic.services[name].api for each in every]
        found.update(_api(api))
        placed = [each.duration_ms + 8 for each in requests[ORDERS] if each.operation == PLACE and not each.failed]
        found[series("Shop", "CheckoutMs", service="orders")] = Counter(placed)
        found.update(self._queues(minute))
        return found

    def _queues(self, minute: int) -> Iterator[tuple[Series, Values]]:
        for queue, busy in QUEUES.items():
            wave = self._draws.wave(minute // MINUTE_S, 5)
            age = round(1.1 + 0.3 * wave, 1) if busy else 0.0
            yield series("AWS/SQS", "ApproximateAgeOfOldestMessage", QueueName=queue), Counter([age])
            waiting = float(busy and round(1 + wave))
            yield series("AWS/SQS", "ApproximateNumberOfMessagesVisible", QueueName=queue), Counter([waiting])


QUEUES = {"shop-inbox": True, "shop-outbox": True, "shop-inbox-dlq": False, "shop-outbox-dlq": False}
"""Queue → whether anything is ever in it."""


def _alias(alias: str) -> dict[str, str]:
    return {"FunctionName": ORDERS, "Resource": f"{ORDERS}:{alias}"}


def _invocations(requests: list[Request]) -> dict[str, Values]:
    """Return metric → values; Lambda publishes nothing at all for a minute without invocations."""
    count = len(requests)
    if not count:
        return {}
    failed = sum(each.failed for each in requests)
    return {
        "Invocations": Counter({1.0: count}),
        "Errors": +Counter({1.0: failed, 0.0: count - failed}),
        "Duration": Counter([each.duration_ms for each in requests]),
        "Throttles": Counter({0.0: count}),
    }


def _api(requests: list[Request]) -> Iterator[tuple[Series, Values]]:
    count = len(requests)
    for metric, below in (("4xx", range(400, 500)), ("5xx", range(500, 600))):
        hits = sum(each.status in below for each in requests)
        values = Counter({1.0: hits, 0.0: count - hits})
        yield series("AWS/ApiGateway", metric, ApiId=API_ID, Stage=API_STAGE), +values
    yield series("AWS/ApiGateway", "Count", ApiId=API_ID, Stage=API_STAGE), Counter({1.0: count})
    latencies = Counter(round(each.init_ms + each.duration_ms) + LEAD_MS + 3.0 for each in requests)
    yield series("AWS/ApiGateway", "Latency", ApiId=API_ID, Stage=API_STAGE), latencies
