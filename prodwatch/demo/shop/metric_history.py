"""CloudWatch metrics of any minute, computed from the requests of that minute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache

from prodwatch.demo.shop.functions import API_ID, API_STAGE, ORDERS
from prodwatch.demo.shop.request_ids import LEAD_MS
from prodwatch.demo.shop.seeded_random import SeededRandom
from prodwatch.demo.shop.traffic import Request, Traffic
from prodwatch.demo.shop.version_behaviour import PLACE
from prodwatch.demo.workload import MetricSample

MINUTE_S = 60
SHORTEST_LAG_S = 45
"""Shortest delay between the end of a minute and the visibility of its metrics."""

LAMBDA_METRICS = ("Invocations", "Errors", "Duration", "Throttles")

Series = tuple[str, str, tuple[tuple[str, str], ...]]
"""(namespace, metric, dimensions in the order of their names)."""
Values = Counter[float]


def series(namespace: str, metric: str, **dimensions: str) -> Series:
    """Return the identity of a series."""
    return namespace, metric, tuple(sorted(dimensions.items()))


class MetricHistory:
    """Metrics by minute; caches the hours read last."""

    def __init__(self, traffic: Traffic, seed: int) -> None:
        self._traffic = traffic
        self._random = SeededRandom(seed, "metrics")
        self._minute = lru_cache(maxsize=400)(self._count)

    def names(self) -> Iterator[Series]:
        """Yield every series that has values."""
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
        for version in (release.previous, release.version):
            yield series("Shop", "CheckoutMs", service="orders", version=version)

    def samples(self, key: Series, start_s: int, end_s: int) -> Iterator[MetricSample]:
        """Yield the samples of one series whose minute lies in [start, end), in order."""
        for span in self._traffic.timeline.metric_spans():
            seconds = span.seconds_in(start_s, end_s)
            first = -(-seconds.start // MINUTE_S) * MINUTE_S
            for minute in range(first, seconds.stop, MINUTE_S):
                values = self._minute(minute).get(key)
                if values:
                    lag = SHORTEST_LAG_S + self._random.digest(minute)[0] // 12
                    yield MetricSample(
                        timestamp_s=minute,
                        values=tuple(values),
                        counts=tuple(map(float, values.values())),
                        visible_s=float(minute + MINUTE_S + lag),
                    )

    def _count(self, minute: int) -> dict[Series, Values]:
        metrics: dict[Series, Values] = {}
        alias = _alias(self._traffic.timeline.scenario.release.alias)
        weighted = self._traffic.timeline.weighted(minute, minute + MINUTE_S)
        api_requests: list[Request] = []
        for name, service in self._traffic.services.items():
            requests = [
                request
                for second in range(minute, minute + MINUTE_S)
                for request in self._traffic.requests(name, second)
            ]
            views = [{"FunctionName": name}]
            if name == ORDERS:
                views.append(alias)
                placed = [each for each in requests if each.operation == PLACE and not each.failed]
                metrics[series("Shop", "CheckoutMs", service="orders")] = _checkouts(placed)
                for version in sorted({each.version for each in placed}):
                    own = _checkouts(each for each in placed if each.version == version)
                    metrics[series("Shop", "CheckoutMs", service="orders", version=version)] = own
                for version, counted in _by_version(requests).items() if weighted else ():
                    metrics.update(_lambda_series(counted, [{**alias, "ExecutedVersion": version}]))
            metrics.update(_lambda_series(_invocations(requests) | _concurrency(requests), views))
            if service.api:
                api_requests += requests
        metrics.update(_api(api_requests))
        metrics.update(self._queues(minute))
        return metrics

    def _queues(self, minute: int) -> Iterator[tuple[Series, Values]]:
        for queue, busy in QUEUES.items():
            wave = self._random.wave(minute // MINUTE_S, 5)
            age = round(1.1 + 0.3 * wave, 1) if busy else 0.0
            yield series("AWS/SQS", "ApproximateAgeOfOldestMessage", QueueName=queue), Counter([age])
            waiting = float(busy and round(1 + wave))
            yield series("AWS/SQS", "ApproximateNumberOfMessagesVisible", QueueName=queue), Counter([waiting])


def _checkouts(placed: Iterable[Request]) -> Values:
    return Counter(each.duration_ms + 8 for each in placed)


QUEUES = {"shop-inbox": True, "shop-outbox": True, "shop-inbox-dlq": False, "shop-outbox-dlq": False}
"""Queue → whether it ever holds messages."""


def _alias(alias: str) -> dict[str, str]:
    return {"FunctionName": ORDERS, "Resource": f"{ORDERS}:{alias}"}


def _lambda_series(counted: dict[str, Values], views: list[dict[str, str]]) -> Iterator[tuple[Series, Values]]:
    for dimensions in views:
        for metric, values in counted.items():
            yield series("AWS/Lambda", metric, **dimensions), values


def _by_version(requests: list[Request]) -> dict[str, dict[str, Values]]:
    versions: dict[str, list[Request]] = {}
    for request in requests:
        versions.setdefault(request.version, []).append(request)
    return {version: _invocations(version_requests) for version, version_requests in versions.items()}


def _invocations(requests: list[Request]) -> dict[str, Values]:
    """Return metric → values; Lambda publishes no metrics for a minute without invocations."""
    count = len(requests)
    if not count:
        return {}
    failed = [request.failed for request in requests].count(True)
    return {
        "Invocations": Counter({1.0: count}),
        "Errors": +Counter({1.0: failed, 0.0: count - failed}),
        "Duration": Counter([request.duration_ms for request in requests]),
        "Throttles": Counter({0.0: count}),
    }


def _concurrency(requests: list[Request]) -> dict[str, Values]:
    busy_s = sum([request.duration_ms for request in requests]) / 1000
    return {"ConcurrentExecutions": Counter([float(max(1, round(busy_s / MINUTE_S)))])} if requests else {}


def _api(requests: list[Request]) -> Iterator[tuple[Series, Values]]:
    count = len(requests)
    statuses = Counter([request.status for request in requests])
    for metric, codes in (("4xx", range(400, 500)), ("5xx", range(500, 600))):
        hits = sum(statuses[status] for status in statuses if status in codes)
        values = Counter({1.0: hits, 0.0: count - hits})
        yield series("AWS/ApiGateway", metric, ApiId=API_ID, Stage=API_STAGE), +values
    yield series("AWS/ApiGateway", "Count", ApiId=API_ID, Stage=API_STAGE), Counter({1.0: count})
    latencies = Counter([int(request.init_ms + request.duration_ms) + LEAD_MS + 3.5 for request in requests])
    yield series("AWS/ApiGateway", "Latency", ApiId=API_ID, Stage=API_STAGE), latencies
