"""Behaviour of one version of a function: latency, status and execution environment of each request."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate

from prodwatch.demo.shop.functions import ORDERS, Service
from prodwatch.demo.shop.scenario import Behaviour
from prodwatch.demo.shop.seeded_random import Ids, SeededRandom

RANKS = 1024
"""Number of quantiles from which latencies are drawn."""
PLACE, READ, LIST = range(3)
"""The operations of the orders function, as `ORDERS_OPERATIONS` lists them."""
LISTING_SHARE = 0.15
"""Listings are the slowest order requests."""
SLOW_QUERY_MS = 1000
LONGEST_MS = 3000
"""Longest request, cold start included."""
LIFETIME_S = 1800
"""Lifetime of an execution environment."""
OPENING_S = 7
"""Time for which a new version opens two environments a second."""
OLD_VERSION_AGE_S = 10**6 * LIFETIME_S
"""Age of a version that is older than all history."""


def quantiles(points: tuple[tuple[float, float], ...]) -> tuple[float, ...]:
    """Return `RANKS` latencies in rising order, interpolated linearly between the points."""
    shares = [share for share, _ in points]
    latencies_ms = []
    for rank in range(RANKS):
        share = (rank + 0.5) / RANKS
        right = min(bisect_right(shares, share), len(points) - 1)
        (low, from_ms), (high, to_ms) = points[right - 1], points[right]
        latencies_ms.append(round(from_ms + (to_ms - from_ms) * (share - low) / (high - low), 2))
    return tuple(latencies_ms)


class ServingVersion:
    """One version of one function."""

    def __init__(
        self, service: Service, version: str, behaviour: Behaviour, random: SeededRandom, *, new: bool
    ) -> None:
        self.version = version
        self.behaviour = behaviour
        self.durations = quantiles(behaviour.latency_ms)
        self._service = service
        self._released = service.name == ORDERS
        self._born_s = 0 if new else -OLD_VERSION_AGE_S
        self.random = random
        self.ids = Ids(random)
        self._listing_from = round((1 - LISTING_SHARE) * RANKS)
        others = 1 - LISTING_SHARE
        placing = service.operations[0].share / others if self._released else 0
        self._placing_below = round(placing * 2**32)
        self._out = behaviour.error_share >= 1
        self._edges = [round(edge * 2**32) for edge in accumulate(operation.share for operation in service.operations)]
        self._stream = lru_cache(maxsize=256)(self._new_stream)

    def failing_below(self, scenario_s: float) -> int:
        """Return the draw below which a request fails at a scenario time; listings fail only when all requests do."""
        return round(self.behaviour.error_share_at(scenario_s) / (1 - LISTING_SHARE) * 2**32)

    def outcome(self, rank: int, kind: int, failing_below: int) -> tuple[int, int, bool]:
        """Return (operation, HTTP status, failed) of the request with these draws."""
        if not self._released:
            return min(bisect_right(self._edges, kind), len(self._edges) - 1), 200, False
        if self._out:
            return LIST if rank >= self._listing_from else PLACE if kind < self._placing_below else READ, 500, True
        if rank >= self._listing_from:
            return LIST, 200, False
        if kind < failing_below:
            return PLACE, 500, True
        if kind < self._placing_below:
            return PLACE, 201, False
        return READ, 404 if kind > 0xFD00_0000 else 200, False

    def environments(self, second: int) -> Environments:
        """Return the execution environments of a scenario second."""
        age = second - self._born_s
        if age < OPENING_S:
            return Environments(self, 2 * age + 2, [2 * age, 2 * age + 1], age)
        count = self._service.environments
        # One environment is renewed every LIFETIME_S / count seconds, the last one first.
        turn, rest = divmod(age % LIFETIME_S, LIFETIME_S // count)
        fresh = [-turn % count] if rest == 0 and turn < count else []
        return Environments(self, count, fresh, age)

    def stream(self, slot: int, age: int) -> str:
        """Return the log stream's name, without the date, of the environment in `slot`."""
        step = LIFETIME_S // self._service.environments
        return self._stream(slot, (age + slot * step) // LIFETIME_S)

    def _new_stream(self, slot: int, generation: int) -> str:
        return f"[{self.version}]{self.random.digest(f'{self.version}/{slot}/{generation}').hex()[:32]}"


class Environments:
    """Assigns the environments of one second to requests: each fresh one first, to one request."""

    __slots__ = ("_age", "_fresh", "_open", "_serving")

    def __init__(self, serving: ServingVersion, opened: int, fresh: list[int], age: int) -> None:
        self._serving = serving
        self._open = opened
        self._fresh = fresh
        self._age = age

    def take(self, place: int) -> tuple[str, float]:
        """Return (stream, milliseconds of initialisation or 0) for the request with this draw."""
        if self._fresh:
            return self._serving.stream(self._fresh.pop(0), self._age), 180.0 + (place >> 24)
        return self._serving.stream(place * self._open >> 32, self._age), 0.0
