"""Simulated releases: the requests of two versions, as counts per batch, as a judge and as an alarm see them."""

from __future__ import annotations

import functools
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

from prodwatch.judge.comparison.plan import BEFORE_S, closed_batches
from prodwatch.judge.comparison.random_counts import binomial, poisson
from prodwatch.model.comparison import BATCH_MS, RequestBatch, SignatureKey, VersionCounts
from prodwatch.model.identity import GroupId

NEW, OLD = "42", "41"
BAKE_S = 900.0
BATCH_S = BATCH_MS / 1000
MEDIAN_MS, SPREAD = 200.0, 0.5
"""Durations of warm requests: log-normal."""
P95_MS = MEDIAN_MS * math.exp(1.6449 * SPREAD)
COLD_SHARE, COLD_MS = 0.01, 800.0
ENVIRONMENTS = 4
"""Environments of the new version, with equal shares of its requests."""
WARMING_UP = 200
"""Requests of each version that are slow after the shift: the first 20 of ten environments."""
REMEMBERED = 5000
POOL = 1 << 18
KINDS = 200
"""Rare error signatures, with frequencies as in Zipf's law."""
CORRELATION = 0.8
"""Of the noise in one batch with the noise in the next."""

Curve = Callable[[float], float]
"""Minutes since the shift → a factor."""


class Release(NamedTuple):
    """One cell of the bench."""

    name: str
    harmful: bool = False
    base: float = 0.001
    """Share of failed requests of both versions."""
    bad: float | None = None
    """Share of failed requests of the new version from the onset on; None: as the old one."""
    onset_min: float = 0.0
    slower: float = 1.0
    """Factor on every duration of the new version."""
    tail: float = 0.0
    """Share of the new version's requests that take eight times as long."""
    signature: float = 0.0
    """Share of the new version's requests with an error line that the old one never writes."""
    traffic: Curve = lambda _minute: 1.0
    level: Curve = lambda _minute: 1.0
    """Factor on the errors of both versions."""
    noise: float = 0.0
    """Standard deviation of autocorrelated noise on the durations and errors of both versions, as a share."""
    canary_noise: float = 0.0
    """The same on the durations of the new version alone."""
    storm: bool = False
    """30 % of the new version's requests are cold in the first minute."""
    warm_up: bool = False
    """The first requests of each environment of both versions take three times as long."""
    neighbour: bool = False
    """From minute 5 to 8, a fifth of all requests take twice as long and three times as many fail, on both versions."""
    blip: float = 0.0
    """Share of failed requests of both versions in a tenth of the batches."""
    clump: int = 1
    """Failed requests that come together, in one environment."""
    rare: bool = False
    """One in a thousand requests of both versions logs one of 200 error signatures."""
    weights: tuple[tuple[float, float], ...] = ((0.0, 0.1),)
    """Minute, and the share of the traffic that the new version gets from then on."""
    late_s: int = 0
    """Delay of the new version's log lines."""
    same_code: bool = False
    """Whether only the configuration changed."""


class Version(NamedTuple):
    """What one version served in one batch."""

    counts: VersionCounts
    all_ms: list[float]
    """Durations with those of cold and of warming environments, as CloudWatch counts them; sorted."""


class Look(NamedTuple):
    """What becomes visible at one look: half a minute after the end of a batch."""

    minute: float
    """Minutes since the shift."""
    batches: tuple[RequestBatch, ...]
    shifted: bool
    """Whether the weights were changed with this batch."""
    canary: Version
    baseline: Version


@functools.cache
def durations() -> list[float]:
    """Return a pool of warm durations: consecutive ones are independent."""
    random = Random("durations")
    return [random.lognormvariate(math.log(MEDIAN_MS), SPREAD) for _ in range(POOL)]


@functools.cache
def rare_kinds() -> tuple[list[SignatureKey], list[float]]:
    words = ("card", "cart", "coupon", "refund", "stock", "parcel", "tax", "invoice", "address", "login", "voucher")
    names = (" ".join(each) for each in itertools.product(words, repeat=3))
    keys = [(GroupId("/aws/lambda/orders"), f"rare error: {name}") for name in itertools.islice(names, KINDS)]
    return keys, list(itertools.accumulate(1.0 / (number + 1) for number in range(KINDS)))


NEW_SIGNATURE: SignatureKey = (GroupId("/aws/lambda/orders"), "KeyError: 'tenant'")


class Stream:
    """One seeded run of a release."""

    def __init__(self, release: Release, rate: float, random: Random) -> None:
        self.release = release
        self.rate = rate
        self.random = random
        self.noise = self.canary_noise = 0.0
        self.warming = {NEW: WARMING_UP, OLD: WARMING_UP} if release.warm_up else {NEW: 0, OLD: 0}
        self.overdue: dict[int, list[RequestBatch]] = {}

    def before(self) -> Iterator[RequestBatch]:
        """Yield the batches of the old version before the shift."""
        number = int(BEFORE_S / BATCH_S)
        per_batch = self.rate * BATCH_S
        for index in range(-number, 0):
            requests = poisson(self.random, per_batch)
            bad, _ = self._bad(requests, self.release.base)
            kept = requests if -index * per_batch <= REMEMBERED + per_batch else 0
            counts = VersionCounts(requests=requests, failed=bad, warm_ms=tuple(self._durations(kept)))
            yield _batch(index, {OLD: counts})

    def looks(self) -> Iterator[Look]:
        release = self.release
        weight = 0.0
        for index in range(closed_batches(BAKE_S)):
            minute = index * BATCH_S / 60
            present = next(share for start, share in reversed(release.weights) if minute >= start)
            shifted, weight = present != weight, present
            requests = poisson(self.random, self.rate * BATCH_S * release.traffic(minute))
            served = binomial(self.random, requests, weight)
            self.noise = self._step(self.noise, release.noise)
            self.canary_noise = self._step(self.canary_noise, release.canary_noise)
            level = release.level(minute) * math.exp(self.noise)
            share = min(1.0, release.base * level)
            if release.blip and self.random.random() < 0.1:
                share = max(share, release.blip)
            busy = release.neighbour and 5.0 <= minute < 8.0
            share = min(1.0, share * 3.0) if busy else share
            harmed = minute >= release.onset_min
            bad = release.bad if release.bad is not None and harmed else share
            baseline = self._serve(OLD, requests - served, share, minute, busy=busy)
            canary = self._serve(NEW, served, bad, minute, busy=busy, harmed=harmed)
            batches = self._visible(index, canary, baseline, bad)
            yield Look(minute + 2 * BATCH_S / 60, batches, shifted, canary, baseline)

    def _visible(self, index: int, canary: Version, baseline: Version, bad: float) -> tuple[RequestBatch, ...]:
        if self.release.late_s <= BATCH_S:
            return (_batch(index, {NEW: canary.counts, OLD: baseline.counts}),)
        # Closed before any of the new version's lines: two thirds of them come one look later, the rest after two.
        counts = canary.counts
        first = binomial(self.random, counts.requests, 2 / 3)
        warm = len(counts.warm_ms) * first // max(1, counts.requests)
        for delay, requests, durations_ms in (
            (1, first, counts.warm_ms[:warm]),
            (2, counts.requests - first, counts.warm_ms[warm:]),
        ):
            failed, environments = self._bad(requests, bad)
            late = VersionCounts(requests=requests, failed=failed, environments=environments, warm_ms=durations_ms)
            self.overdue.setdefault(index + delay, []).append(_batch(index, {NEW: late}, late=True))
        return (*self.overdue.pop(index, ()), _batch(index, {OLD: baseline.counts}))

    def _serve(
        self, version: str, requests: int, share: float, minute: float, *, busy: bool, harmed: bool = False
    ) -> Version:
        release, random = self.release, self.random
        failed, environments = self._bad(requests, share)
        storm = release.storm and version == NEW and minute < 1.0
        cold = binomial(random, requests, 0.3 if storm else COLD_SHARE)
        warming = min(self.warming[version], requests - cold)
        self.warming[version] -= warming
        factor = math.exp(self.noise)
        if version == NEW:
            factor *= math.exp(self.canary_noise) * (release.slower if harmed else 1.0)
        drawn = self._durations(requests)
        if factor != 1.0:
            drawn = [each * factor for each in drawn]
        if busy:
            affected = binomial(random, requests, 0.2)
            drawn[cold + warming : cold + warming + affected] = [
                2 * each for each in drawn[cold + warming : cold + warming + affected]
            ]
        if version == NEW and harmed and release.tail:
            affected = cold + warming + binomial(random, requests - cold - warming, release.tail)
            drawn[cold + warming : affected] = [8 * each for each in drawn[cold + warming : affected]]
        warm = tuple(drawn[cold + warming :])
        drawn[:cold] = [each + COLD_MS for each in drawn[:cold]]
        drawn[cold : cold + warming] = [3 * each for each in drawn[cold : cold + warming]]
        signatures = self._signatures(version, requests, harmed=harmed)
        counts = VersionCounts(
            requests=requests,
            failed=failed,
            error_lines=min(requests - failed, sum(signatures.values())),
            cold_starts=cold,
            warm_ms=warm,
            environments=environments if version == NEW else {},
            signatures=signatures,
        )
        drawn.sort()
        return Version(counts, drawn)

    def _signatures(self, version: str, requests: int, *, harmed: bool) -> Counter[SignatureKey]:
        logged: Counter[SignatureKey] = Counter()
        if self.release.rare:
            keys, weights = rare_kinds()
            logged.update(self.random.choices(keys, cum_weights=weights, k=binomial(self.random, requests, 0.001)))
        if version == NEW and harmed and self.release.signature:
            logged[NEW_SIGNATURE] = binomial(self.random, requests, self.release.signature)
        return +logged

    def _bad(self, requests: int, share: float) -> tuple[int, dict[str, tuple[int, int]]]:
        """Return how many requests failed, and how they are spread over environments."""
        random, size = self.random, self.release.clump
        groups = binomial(random, requests, share) if size == 1 else poisson(random, requests * share / size)
        left, bad = requests, [0] * ENVIRONMENTS
        for _ in range(groups):
            failed = min(size, left)
            left -= failed
            bad[int(random.random() * ENVIRONMENTS)] += failed
        own = [max(requests // ENVIRONMENTS, each) for each in bad]
        return sum(bad), {f"env-{number}": each for number, each in enumerate(zip(own, bad, strict=True))}

    def _durations(self, number: int) -> list[float]:
        pool = durations()
        start = int(self.random.random() * (len(pool) - number))
        return pool[start : start + number]

    def _step(self, noise: float, deviation: float) -> float:
        if not deviation:
            return 0.0
        return CORRELATION * noise + self.random.gauss(0.0, deviation * math.sqrt(1 - CORRELATION**2))


def _batch(index: int, versions: dict[str, VersionCounts], *, late: bool = False) -> RequestBatch:
    start = index * BATCH_MS
    return RequestBatch(function="orders", start_ms=start, end_ms=start + BATCH_MS, versions=versions, late=late)


def ramp(low: float, high: float) -> Curve:
    """Return a factor that rises evenly over the bake."""
    return lambda minute: low + (high - low) * minute / 15.0


SHIFTED = ((0.0, 0.02), (5.0, 0.1), (10.0, 0.5))
EVERYTHING = Release(
    "all at once",
    traffic=ramp(1.0, 1.5),
    level=ramp(1.0, 5.0),
    noise=0.15,
    canary_noise=0.05,
    storm=True,
    warm_up=True,
    neighbour=True,
    blip=0.01,
    clump=3,
    rare=True,
    weights=SHIFTED,
    late_s=20,
)
HARMLESS = (
    Release("steady 0.1 %"),
    Release("steady 1 %", base=0.01),
    Release("steady 5 %", base=0.05),
    Release("traffic × 1.5, errors × 5 on both", traffic=ramp(1.0, 1.5), level=ramp(1.0, 5.0)),
    Release("noise 15 % on both", noise=0.15),
    Release("noise 5 % on the canary", canary_noise=0.05),
    Release("cold-start storm", storm=True),
    Release("slow warm-up on both", warm_up=True),
    Release("noisy neighbour", neighbour=True),
    Release("quiet night", traffic=lambda _minute: 0.1),
    Release("blips of 1 % on both", blip=0.01),
    Release("blips of 20 % on both", blip=0.2),
    Release(
        "weight 2 → 10 → 50 %, errors × 10 on both",
        level=ramp(1.0, 10.0),
        weights=SHIFTED,
    ),
    Release("clumps of 3 at 0.3 %", base=0.003, clump=3),
    Release("clumps of 10 at 1 %", base=0.01, clump=10),
    Release("rare signatures on both", rare=True),
    Release("REPORT 20 s late on the canary", late_s=20),
    Release("REPORT 70 s late on the canary", late_s=70),
    EVERYTHING,
)
HARMFUL = (
    Release("errors 0.1 → 0.5 %", harmful=True, bad=0.005),
    Release("errors 0.1 → 0.6 %", harmful=True, bad=0.006),
    Release("errors 0.1 → 1 %", harmful=True, bad=0.01),
    Release("errors 0.1 → 5 %", harmful=True, bad=0.05),
    Release("errors 1 → 2 %", harmful=True, base=0.01, bad=0.02),
    Release("errors 5 → 8 %", harmful=True, base=0.05, bad=0.08),
    Release("errors 60 → 100 %", harmful=True, base=0.6, bad=1.0),
    Release("configuration only, errors 0.1 → 1 %", harmful=True, bad=0.01, same_code=True),
    Release("errors 1 % from 7.5 min on", harmful=True, bad=0.01, onset_min=7.5),
    Release("errors 1 % from 10 min on", harmful=True, bad=0.01, onset_min=10.0),
    Release("errors 0.1 → 5 %, REPORT 70 s late on the canary", harmful=True, bad=0.05, late_s=70),
    Release("p95 × 1.2", harmful=True, slower=1.2),
    Release("p95 × 1.3", harmful=True, slower=1.3),
    Release("p95 × 1.5", harmful=True, slower=1.5),
    Release("p95 × 1.5, REPORT 70 s late on the canary", harmful=True, slower=1.5, late_s=70),
    Release("tail × 8 in 2 %", harmful=True, tail=0.02),
    Release("tail × 8 in 5 %", harmful=True, tail=0.05),
    Release("signature in 0.1 %", harmful=True, signature=0.001),
    Release("signature in 0.5 %", harmful=True, signature=0.005),
    Release("signature in 5 %", harmful=True, signature=0.05),
)
