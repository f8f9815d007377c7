"""Rules of other tools, on the same streams as the judge.

Each rule turns a look into a score; a release fails when the score reaches the threshold. The threshold can be moved,
so that rules are compared at the same share of false alarms. None of them leaves cold or warming environments out.
"""

from __future__ import annotations

import math
import statistics
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from random import Random
from typing import NamedTuple, Protocol

from _releases import P95_MS, Look

from prodwatch.judge.comparison.before_after import fisher_exact, mann_whitney

ALPHA = 2.0
"""p < 0.01, as -log10."""
IN_A_ROW = 3
MANY_BAD = 60
"""Failed requests from which Fisher's test is taken from the normal distribution; the exact one sums over them."""


class Measures(NamedTuple):
    """What the rules read at one look."""

    look: Look
    totals: tuple[int, int, int, int]
    """Failed requests and requests of the new version so far, and of the old one."""
    split: float
    """-log10 of the p value of Fisher's test on all requests so far."""
    ranks: float
    """-log10 of the p value of Mann and Whitney's test on all durations so far, stratified by batch."""
    medians: tuple[float, float]
    """Median in ms of the new and of the old version in this batch; 0 without requests."""
    p95s: tuple[float, float]


class Measured:
    """Running totals of one release."""

    def __init__(self) -> None:
        self.totals = (0, 0, 0, 0)
        self.wins = self.variance = 0.0

    def add(self, look: Look) -> Measures:
        canary, baseline = look.canary.counts, look.baseline.counts
        bad, requests, usual, served = self.totals
        self.totals = (
            bad + canary.failed,
            requests + canary.requests,
            usual + baseline.failed,
            served + baseline.requests,
        )
        slow, fast = look.canary.all_ms, look.baseline.all_ms
        n, m = len(slow), len(fast)
        self.wins += sum(bisect_left(fast, each) for each in slow) - n * m / 2
        self.variance += n * m * (n + m + 1) / 12
        return Measures(
            look,
            self.totals,
            surprise_of_split(*self.totals),
            surprise(self.wins / math.sqrt(self.variance)) if self.variance else 0.0,
            (quantile(slow, 0.5), quantile(fast, 0.5)),
            (quantile(slow, 0.95), quantile(fast, 0.95)),
        )


class Rule(Protocol):
    """One rule during one release."""

    threshold: float

    def score(self, seen: Measures) -> float: ...


class ErrorAlarm:
    """Alarm on `Errors` of the new version above 0 in two minutes running: the example of AWS SAM's documentation."""

    threshold = 1.0

    def __init__(self, _random: Random) -> None:
        self.failed: list[int] = []

    def score(self, seen: Measures) -> float:
        self.failed.append(seen.look.canary.counts.failed)
        if len(self.failed) % 2 or len(self.failed) < 4:
            return 0.0
        return float(min(sum(self.failed[-2:]), sum(self.failed[-4:-2])))


class SlowAlarm:
    """Alarm on the p95 of the new version above 1.5 times the usual one in two minutes running."""

    threshold = 1.5

    def __init__(self, _random: Random) -> None:
        self.points: list[float] = []

    def score(self, seen: Measures) -> float:
        self.points.append(seen.p95s[0])
        if len(self.points) % 2 or len(self.points) < 4:
            return 0.0
        return min(self.points[-4:]) / P95_MS


class BareFisher:
    """Fisher's exact test on all requests so far, at each look, without floors."""

    threshold = ALPHA

    def __init__(self, _random: Random) -> None: ...

    def score(self, seen: Measures) -> float:
        return seen.split


class FixedFisher:
    """The same with floors (ratio 2, 0.5 points, 5 failed requests), at three looks in a row."""

    threshold = ALPHA

    def __init__(self, _random: Random) -> None:
        self.latest: deque[float] = deque(maxlen=IN_A_ROW)

    def score(self, seen: Measures) -> float:
        bad, requests, usual, served = seen.totals
        share, base = bad / max(1, requests), usual / max(1, served)
        large = bad >= 5 and share >= 2 * base and share - base >= 0.005
        self.latest.append(seen.split if large else 0.0)
        return min(self.latest) if len(self.latest) == IN_A_ROW else 0.0


class BareMannWhitney:
    """Mann and Whitney's test of all durations so far, stratified by batch, at each look, without floors."""

    threshold = ALPHA

    def __init__(self, _random: Random) -> None: ...

    def score(self, seen: Measures) -> float:
        return seen.ranks


class FixedMannWhitney:
    """The same with floors (median ratio 1.2 and 50 ms), or on p95 points from 15 batches on; three looks in a row."""

    threshold = ALPHA
    fewest_points = 15

    def __init__(self, _random: Random) -> None:
        self.latest: deque[float] = deque(maxlen=IN_A_ROW)
        self.points: tuple[list[float], list[float]] = ([], [])

    def score(self, seen: Measures) -> float:
        score = seen.ranks if slower(*seen.medians) else 0.0
        if all(seen.p95s):
            for points, value in zip(self.points, seen.p95s, strict=True):
                points.append(value)
        if len(self.points[0]) >= self.fewest_points and slower(*map(statistics.median, self.points)):
            score = max(score, -math.log10(max(1e-300, mann_whitney(*self.points))))
        self.latest.append(score)
        return min(self.latest) if len(self.latest) == IN_A_ROW else 0.0


class Kayenta:
    """NetflixACAJudge's published rule on error share, p50 and p95 per batch, judged every five minutes.

    A metric is High when the lower bound of the 98 % interval of Hodges and Lehmann is above a quarter of the estimate;
    the errors are critical, and a score below 75 fails.
    """

    threshold = 1.0
    looks_at = (5.0, 10.0, 15.0)

    def __init__(self, random: Random) -> None:
        self.random = random
        self.points: list[tuple[list[float], list[float]]] = [([], []), ([], []), ([], [])]

    def score(self, seen: Measures) -> float:
        for side, version in enumerate((seen.look.canary, seen.look.baseline)):
            if not version.counts.requests:
                continue
            share = version.counts.failed / version.counts.requests
            for metric, value in zip(self.points, (share, seen.medians[side], seen.p95s[side]), strict=True):
                metric[side].append(value)
        if seen.look.minute not in self.looks_at:
            return 0.0
        high = [self.is_high(*each) for each in self.points]
        return 1.0 if high[0] or 1 - sum(high) / len(high) < 0.75 else 0.0

    def is_high(self, canary: list[float], baseline: list[float]) -> bool:
        if not canary or not baseline or sorted(canary) == sorted(baseline):
            return False
        if len({*canary, *baseline}) == 1:
            return False
        if len(set(canary)) == len(set(baseline)) == 1:
            canary = [self.random.gauss(each, abs(each) * 1e-5) for each in canary]
            baseline = [self.random.gauss(each, abs(each) * 1e-5) for each in baseline]
        differences = sorted(new - old for new in canary for old in baseline)
        n, m = len(canary), len(baseline)
        rank = n * m / 2 - 2.3263 * math.sqrt(n * m * (n + m + 1) / 12)
        if rank < 1:
            return False
        lower = differences[int(rank) - 1]
        mean = statistics.fmean(baseline)
        effect = statistics.fmean(canary) / mean if mean else math.inf
        return lower > 0.25 * abs(statistics.median(differences)) and effect >= 1.0


RULES = {
    "alarm: errors": ErrorAlarm,
    "alarm: p95": SlowAlarm,
    "bare Fisher": BareFisher,
    "bare Mann-Whitney": BareMannWhitney,
    "fixed Fisher": FixedFisher,
    "fixed Mann-Whitney": FixedMannWhitney,
    "Kayenta": Kayenta,
}
FAMILIES = ("alarm", "bare", "fixed", "Kayenta")
"""Rules by the first word of their name: a family fails a release when one of its rules does."""


def quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


def slower(canary: float, baseline: float) -> bool:
    """Return whether a duration of the new version is longer by the floors; False without durations."""
    return baseline > 0 and canary >= 1.2 * baseline and canary - baseline >= 50.0


def surprise_of_split(bad: int, requests: int, usual: int, served: int) -> float:
    """Return -log10 of the one-sided p value of Fisher's test."""
    total, failed = requests + served, bad + usual
    if not requests or not served or not failed:
        return 0.0
    if failed < MANY_BAD:
        return -math.log10(max(1e-300, fisher_exact(bad, requests, usual, served)))
    share = requests / total
    variance = failed * share * (1 - share) * (total - failed) / (total - 1)
    return surprise((bad - failed * share - 0.5) / math.sqrt(variance)) if variance else 0.0


def surprise(z: float) -> float:
    """Return -log10 of the one-sided p value of a normal deviate."""
    tail = 0.5 * math.erfc(z / math.sqrt(2))
    return -math.log10(tail) if tail > 1e-300 else z * z / 2 / math.log(10)
