"""Requests of every second, computed on read: the common source of logs, traces and metrics."""

from __future__ import annotations

import math
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple

from prodwatch.demo.shop.functions import ORDERS, Service, all_services
from prodwatch.demo.shop.release_timeline import Timeline
from prodwatch.demo.shop.seeded_random import MASK, STEPS, SeededRandom
from prodwatch.demo.shop.version_behaviour import ServingVersion

SWELL = 0.05
RIPPLE = 0.04
"""Shares by which the load varies, slowly and quickly."""
EVEN_BELOW_PER_S = 5
"""Rate below which a function's requests are evenly spaced."""
IDS_PER_S = 64


class Request(NamedTuple):
    """One invocation of a function, and the API request in front of it where there is one."""

    number: int
    """Its number among those of its version: the same in logs, traces and metrics."""
    start_ms: int
    """Invocation start, epoch milliseconds."""
    duration_ms: float
    version: str
    stream: str
    """The log stream's name after the date: `[42]9f86d0…`."""
    init_ms: float
    """0 unless this is a cold start."""
    operation: int
    """Index of the service's operation."""
    status: int
    """HTTP status of its response."""
    failed: bool
    traced: bool


_by_start = attrgetter("start_ms")


class Traffic:
    """The requests of each service by epoch second; caches the minutes read last."""

    def __init__(self, timeline: Timeline, seed: int) -> None:
        scenario = timeline.scenario
        self.timeline = timeline
        self.services = {
            service.name: service
            for service in all_services(scenario.traffic.orders_per_s, scenario.behaviour["default"])
        }
        self._seed = seed
        self._traced_below = round(scenario.traffic.traced * 2**32)
        self.requests = lru_cache(maxsize=2048)(self._requests)
        """`requests(name, second)`: the requests of `name` in an epoch second, in the order of start."""
        self.serving = lru_cache(maxsize=64)(self._serving)
        """`serving(name, version)`: the behaviour of that version."""

    def _serving(self, name: str, version: str) -> ServingVersion:
        service, release = self.services[name], self.timeline.scenario.release
        behaviour = self.timeline.scenario.of(version) if name == ORDERS else service.behaviour
        new = name == ORDERS and version == release.version
        return ServingVersion(service, version, behaviour, SeededRandom(self._seed, f"{name}/{version}"), new=new)

    def _mix(self, service: Service, second: int) -> list[tuple[ServingVersion, float]]:
        """Return the versions that serve in a second, each with its share of the requests."""
        if service.name != ORDERS:
            return [(self.serving(service.name, service.version), 1.0)]
        release, weight = self.timeline.scenario.release, self.timeline.weight(second)
        if weight and not self.timeline.scenario.traffic.reaches_new:
            return [(self.serving(ORDERS, release.previous), 1.0)]
        previous = release.previous if weight else self.timeline.version(second)
        versions = [(self.serving(ORDERS, release.version), weight), (self.serving(ORDERS, previous), 1 - weight)]
        return [(serving, share) for serving, share in versions if share]

    def _requests(self, name: str, second: int) -> tuple[Request, ...]:
        service = self.services[name]
        mix = self._mix(service, second)
        requests = [request for serving, share in mix for request in self._served(service, serving, share, second)]
        if len(mix) > 1:
            requests.sort(key=_by_start)
        return tuple(requests)

    def _load(self, service: Service, serving: ServingVersion, share: float, relative: int) -> float:
        load = service.rate_per_s * share
        if service.rate_per_s > EVEN_BELOW_PER_S:
            load *= 1 + SWELL * serving.random.wave(relative, 600) + RIPPLE * serving.random.wave(relative, 20)
        return load

    def _served(self, service: Service, serving: ServingVersion, share: float, second: int) -> list[Request]:
        relative = second - self.timeline.origin_s
        slots = math.ceil(service.rate_per_s * share * (1 + SWELL + RIPPLE))
        which, latency, kind, place, sample, arrival = serving.random.start(relative, slots)
        load = self._load(service, serving, share, relative)
        count = int(load) + (which < load % 1 * 2**32)
        # This is the innermost loop of the demo, so all values are local.
        _, step_latency, step_kind, step_place, step_sample, step_arrival = STEPS
        first, second_ms, traced_below = relative * IDS_PER_S, second * 1000, self._traced_below
        durations, version, outcome = serving.durations, serving.version, serving.outcome
        failing_below = serving.failing_below(relative * self.timeline.speed)
        take = serving.environments(relative).take
        requests: list[Request] = []
        for slot in range(count):
            rank = latency >> 22
            operation, status, failed = outcome(rank, kind, failing_below)
            stream, init_ms = take(place)
            requests.append(
                Request(
                    first + slot,
                    second_ms + (slot * 1000 + (arrival * 1000 >> 32)) // count,
                    durations[rank],
                    version,
                    stream,
                    init_ms,
                    operation,
                    status,
                    failed,
                    sample < traced_below,
                )
            )
            latency = (latency + step_latency) & MASK
            kind = (kind + step_kind) & MASK
            place = (place + step_place) & MASK
            sample = (sample + step_sample) & MASK
            arrival = (arrival + step_arrival) & MASK
        return requests
