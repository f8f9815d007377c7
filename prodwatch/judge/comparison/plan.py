"""Foresight of a bake: which harm it would find and how soon, and whether a healthy release could pass.

Simulated releases are judged by the processes that judge a real one.
"""

from __future__ import annotations

import math
import statistics
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from random import Random
from typing import Literal, NamedTuple

import msgspec

from prodwatch.judge.comparison.bad_shares import BadShareProcess
from prodwatch.judge.comparison.latency import FEWEST_TO_CALIBRATE, QUANTILES, LatencyProcess, quantile_of
from prodwatch.judge.comparison.random_counts import binomial, poisson
from prodwatch.judge.comparison.signature_comparison import SeenSignature, SignatureComparison
from prodwatch.judge.comparison.strata import Stratum
from prodwatch.judge.comparison.version_comparison import FEWEST_WARM, RESTART_MS, format_percent
from prodwatch.model.comparison import BATCH_MS, RequestBatch, VersionCounts
from prodwatch.model.environment import Compare, ErrorComparison
from prodwatch.model.identity import GroupId
from prodwatch.model.status import Status

BEFORE_S = 1200.0
"""Time before the shift from which the old version's errors and durations are learnt."""
RUNS = 200
"""Simulated bakes for each harm."""
PASS_SHARE = 0.9
"""Share of healthy bakes that pass from which a pass counts as possible."""
_SEARCH_RUNS = 60
_LONGEST_BAKE_S = 4 * 3600.0
_WEIGHTS = (0.05, 0.1, 0.2, 0.25, 0.5)
_ERROR_SHARES = (0.01, 0.05, 0.1, 0.2, 0.5, 1.0)
_ERROR_HARMS = 2
_SLOWER = (1.2, 1.3, 1.5)
_SIGNATURE_SHARE = 0.005
_BATCH_S = BATCH_MS / 1000
_RESTART = RESTART_MS // BATCH_MS
"""Batches between two restarts."""
_SIGNATURE = (GroupId(""), "planned")
_Kind = Literal["errors", "latency", "signature"]


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """Traffic of the old version in the time before a shift."""

    requests_per_s: float
    error_share: float
    """0 to 1."""
    durations_ms: tuple[float, ...] = ()
    """Sample of warm durations; empty where they are not known."""


class ForeseenHarm(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of harm from the shift on."""

    kind: Literal["errors", "latency", "signature"]
    harm: str
    """`errors 0.1 % → 1.0 %`."""
    found: float
    """Share of the simulated bakes that fail, 0 to 1."""
    after_s: float | None
    """Median time from the shift to the failure; None where fewer than half of the bakes fail."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Foresight of one bake."""

    requests_per_s: float
    error_share: float
    weight: float
    """Share of the traffic that the new version gets, 0 to 1."""
    bake_s: float
    harms: tuple[ForeseenHarm, ...]
    passes: float
    """Share of the healthy bakes that pass, 0 to 1."""
    requests_needed: int | None = None
    """Further requests of the new version with which a healthy release passes; None: none, or more than four hours'."""
    weight_needed: float | None = None
    """Share of the traffic with which it passes in the same time; None: none, or more than half."""
    bake_needed_s: float | None = None
    """Length of a bake with which it passes at the same weight; None: none, or more than four hours."""
    runs: int


class _Bake(NamedTuple):
    """Everything that one simulated release rests on."""

    traffic: Traffic
    weight: float
    batches: int
    limits: Compare
    comparisons: int

    def split(self, random: Random) -> Iterator[tuple[int, int]]:
        """Yield the requests of the new and of the old version, batch by batch."""
        for _ in range(self.batches):
            requests = poisson(random, self.traffic.requests_per_s * _BATCH_S)
            canary = binomial(random, requests, self.weight)
            yield canary, requests - canary


def plan(
    traffic: Traffic,
    *,
    weight: float,
    bake_s: float,
    limits: Compare,
    comparisons: int = 1,
    seed: int = 0,
    runs: int = RUNS,
) -> Plan:
    """Return the foresight of a bake of `bake_s` seconds in which the new version gets `weight` of the traffic.

    `comparisons` is the number of functions that are released together. Equal arguments give equal plans.
    """
    bake = _Bake(traffic, weight, closed_batches(bake_s), limits, comparisons)
    harms = tuple(_foresee(*each, bake, seed, runs) for each in _harms(bake))
    passes = _share_of_passes(bake, _seeded(seed, "healthy"), runs)
    needed: dict[str, float | None] = {"weight": None, "bake": None}
    if passes < PASS_SHARE and traffic.requests_per_s > 0:
        needed = {"weight": _weight_needed(bake, seed), "bake": _bake_needed(bake, bake_s, seed)}
    longer = needed["bake"]
    return Plan(
        requests_per_s=traffic.requests_per_s,
        error_share=traffic.error_share,
        weight=weight,
        bake_s=bake_s,
        harms=harms,
        passes=passes,
        requests_needed=math.ceil((longer - bake_s) * traffic.requests_per_s * weight) if longer else None,
        weight_needed=needed["weight"],
        bake_needed_s=longer,
        runs=runs,
    )


def closed_batches(bake_s: float) -> int:
    """Return how many batches are closed by the end of a bake: each one is a batch's length after its own end."""
    return max(0, int(bake_s // _BATCH_S) - 1)


def _seeded(seed: int, purpose: str) -> Random:
    return Random(f"{seed} {purpose}")  # noqa: S311 -- a simulation, nothing secret


_Found = Callable[[Random], "int | None"]
"""Simulates one bake; returns the batch with which it fails, None when it does not."""


def _harms(bake: _Bake) -> Iterator[tuple[_Kind, str, _Found]]:
    limits, share = bake.limits, bake.traffic.error_share
    if limits.errors is not None and limits.errors.gate:
        least = share + BadShareProcess(limits.errors, 1.0, with_interval=False).harm_floor(share)
        for grown in [each for each in _ERROR_SHARES if each >= least][:_ERROR_HARMS]:
            harm = f"errors {format_percent(share)} → {format_percent(grown)}"
            yield "errors", harm, _errors_found(bake, limits.errors, grown)
    if limits.latency is not None and limits.latency.gate and bake.traffic.durations_ms:
        for factor in _SLOWER:
            yield "latency", f"latency × {factor:g}", _slowness_found(bake, factor)
    if limits.signatures is not None and limits.signatures.gate:
        harm = f"new error signature in {format_percent(_SIGNATURE_SHARE)} of its requests"
        yield "signature", harm, _signature_found(bake, _SIGNATURE_SHARE)


def _foresee(kind: _Kind, harm: str, found: _Found, bake: _Bake, seed: int, runs: int) -> ForeseenHarm:
    random = _seeded(seed, harm)
    at = [number for _ in range(runs) if (number := found(random)) is not None] if bake.batches else []
    # A batch is judged one batch after its own end.
    median = (statistics.median(at) + 2) * _BATCH_S if len(at) * 2 > runs else None
    return ForeseenHarm(kind=kind, harm=harm, found=len(at) / runs, after_s=median)


def _errors_found(bake: _Bake, limits: ErrorComparison, grown: float) -> _Found:
    def found(random: Random) -> int | None:
        process = _error_process(bake, limits, random)
        for number, (canary, baseline) in enumerate(bake.split(random)):
            if number % _RESTART == 0:
                process.restart()
            bad = binomial(random, canary, grown)
            process.add(Stratum(canary, bad, baseline, binomial(random, baseline, bake.traffic.error_share)), {})
            if process.is_worse:
                return number
        return None

    return found


def _error_process(bake: _Bake, limits: ErrorComparison, random: Random) -> BadShareProcess:
    """Return a process that has learnt from the time before the shift."""
    process = BadShareProcess(limits, bake.comparisons / limits.false_alarms, with_interval=False)
    for _ in range(int(BEFORE_S / _BATCH_S)):
        requests = poisson(random, bake.traffic.requests_per_s * _BATCH_S)
        process.learn_before(binomial(random, requests, bake.traffic.error_share))
    return process


def _slowness_found(bake: _Bake, factor: float) -> _Found:
    limits = bake.limits.latency
    assert limits is not None
    ordered = sorted(bake.traffic.durations_ms)
    usual, slowed = [], []
    for quantile in QUANTILES:
        at = quantile_of(ordered, quantile)
        limit = LatencyProcess(limits.ratio, limits.shift_s * 1000).limit(at)
        usual.append(_share_above(ordered, at))
        slowed.append(_share_above(ordered, limit / factor))
    needed = math.log(bake.comparisons / limits.false_alarms)

    def found(random: Random) -> int | None:
        process = LatencyProcess(limits.ratio, limits.shift_s * 1000)
        known = poisson(random, bake.traffic.requests_per_s * BEFORE_S)
        for number, (canary, baseline) in enumerate(bake.split(random)):
            if number % _RESTART == 0:
                process.restart()
            if known >= FEWEST_TO_CALIBRATE:
                above, below = _nested(random, canary, slowed), _nested(random, baseline, usual)
                process.add_exceedances([Stratum(canary, x, baseline, y) for x, y in zip(above, below, strict=True)])
                if process.highest >= needed:
                    return number
            known += baseline
        return None

    return found


def _share_above(ordered: Sequence[float], limit: float) -> float:
    return (len(ordered) - bisect_right(ordered, limit)) / len(ordered)


def _nested(random: Random, requests: int, shares: Sequence[float]) -> list[int]:
    """Return how many of the same requests are above each of several rising limits."""
    counts = []
    for before, share in pairwise((1.0, *shares)):
        requests = binomial(random, requests, share / before if before else 0.0)
        counts.append(requests)
    return counts


def _signature_found(bake: _Bake, share: float) -> _Found:
    limits = bake.limits.signatures
    assert limits is not None
    seen = SeenSignature(key=_SIGNATURE, example="", first_ms=0, before=False)

    def found(random: Random) -> int | None:
        comparison = SignatureComparison("", "new", "old", limits)
        for number, (canary, baseline) in enumerate(bake.split(random)):
            logged = binomial(random, canary, share)
            counts = {
                "new": VersionCounts(requests=canary, signatures={_SIGNATURE: logged} if logged else {}),
                "old": VersionCounts(requests=baseline),
            }
            start = number * BATCH_MS
            comparison.add(RequestBatch(function="", start_ms=start, end_ms=start + BATCH_MS, versions=counts))
            if logged and comparison.result(seen).status is Status.FAIL:
                return number
        return None

    return found


def _share_of_passes(bake: _Bake, random: Random, runs: int) -> float:
    return sum(_passes(bake, random) for _ in range(runs)) / runs


def _passes(bake: _Bake, random: Random) -> bool:
    """Simulate one healthy release; one stratum suffices, as a pass is one look at a constant weight and level."""
    limits, share = bake.limits, bake.traffic.error_share
    requests = poisson(random, bake.traffic.requests_per_s * _BATCH_S * bake.batches)
    canary = binomial(random, requests, bake.weight)
    if limits.latency is not None and limits.latency.gate and canary < FEWEST_WARM:
        return False
    if limits.errors is None:
        return True
    process = _error_process(bake, limits.errors, random)
    baseline = requests - canary
    process.add(Stratum(canary, binomial(random, canary, share), baseline, binomial(random, baseline, share)), {})
    return not process.is_worse and process.shows_no_harm()


def _can_pass(bake: _Bake, seed: int) -> bool:
    return _share_of_passes(bake, _seeded(seed, "search"), _SEARCH_RUNS) >= PASS_SHARE


def _weight_needed(bake: _Bake, seed: int) -> float | None:
    larger = (each for each in _WEIGHTS if each > bake.weight)
    return next((each for each in larger if _can_pass(bake._replace(weight=each), seed)), None)


def _bake_needed(bake: _Bake, bake_s: float, seed: int) -> float | None:
    """Return the shortest bake, to five minutes, with which a healthy release passes."""
    step_s = RESTART_MS / 1000
    low = math.floor(bake_s / step_s)
    high = int(_LONGEST_BAKE_S / step_s)

    def suffices(steps: int) -> bool:
        return _can_pass(bake._replace(batches=closed_batches(steps * step_s)), seed)

    if high <= low or not suffices(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(middle) else (middle, high)
    return high * step_s
