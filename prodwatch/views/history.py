"""Statistics of past runs: how often each check passed, how often only after a retry, and how long it took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from math import log

import msgspec

from prodwatch.model.history import OutcomeKind, PastOutcome, PastRun, PastSample, RoundSummary
from prodwatch.model.status import Status

LAST = 12
"""Last outcomes kept per check."""
GREEN = frozenset((Status.PASS, Status.DEGRADED))
MEASURED = GREEN | {Status.FAIL}
"""Statuses that say something about the target."""
_STEP = 1.025
"""Ratio of neighbouring durations in a summary of rounds."""


class CheckStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """One check or signal over past runs; each round of a gate or a session counts once."""

    kind: OutcomeKind
    id: str
    title: str
    measured: int
    """Rounds that passed, were degraded or failed."""
    green: int
    """Rounds that passed or were degraded."""
    flaky: int
    """Rounds that were green after a retry."""
    not_measured: int
    """Rounds that ended in an error, were inconclusive or were skipped."""
    pass_rate: float | None
    """`green` of `measured`, 0 to 1; None when nothing was measured."""
    flake_rate: float | None
    """`flaky` of `measured`, 0 to 1; None when nothing was measured."""
    p50_ms: int | None
    """Median of the measured rounds' durations; None without one."""
    p95_ms: int | None
    p99_ms: int | None
    last: tuple[Status, ...]
    """The last outcomes, oldest first."""
    last_at: datetime
    """End of the run with the last outcome."""


class HistoryDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The document of `prodwatch history --json`."""

    schema: str = "prodwatch.history/1"
    project: str
    file: str
    """Path of the database."""
    environment: str
    runs: tuple[PastRun, ...]
    """Newest first."""
    checks: tuple[CheckStatistics, ...] = ()
    """Empty for one run."""
    outcomes: tuple[PastSample, ...] = ()
    """Those of one run in the order of its report, or those of one check, newest first."""


def statistics(samples: Iterable[PastSample]) -> list[CheckStatistics]:
    """Return the statistics of each check and signal: checks first, then by kind, least often green first."""
    tallies: dict[tuple[str, str], _Tally] = {}
    for sample in samples:
        outcome = sample.outcome
        tallies.setdefault((outcome.kind, outcome.id), _Tally()).add(sample)
    found = [tally.result() for tally in tallies.values()]
    return sorted(found, key=lambda each: (each.kind != "check", each.kind, _rank(each.pass_rate), each.id))


def summarize_rounds(rounds: Iterable[tuple[Status, int, bool]], before: RoundSummary | None) -> RoundSummary:
    """Return the summary of finished rounds, each (status, duration in ms, flaky), added to an earlier summary."""
    counts = Counter(before.counts if before else {})
    durations = Counter(before.durations_ms if before else {})
    flaky = before.flaky if before else 0
    last = list(before.last if before else ())
    for status, duration_ms, was_flaky in rounds:
        counts[status] += 1
        flaky += was_flaky
        last.append(status)
        if status in MEASURED:
            durations[_rounded(duration_ms)] += 1
    return RoundSummary(
        counts=dict(counts), flaky=flaky, durations_ms=dict(sorted(durations.items())), last=tuple(last[-LAST:])
    )


def median_ms(outcome: PastOutcome) -> int | None:
    """Return the median duration of an outcome's measured rounds; None when nothing was measured."""
    tally = _Tally()
    tally.count(outcome)
    return _percentile(tally.durations, 0.5)


class _Tally:
    """Counts of one check while its samples are read."""

    def __init__(self) -> None:
        self.counts: Counter[Status] = Counter()
        self.durations: Counter[int] = Counter()
        self.flaky = 0
        self.last: list[Status] = []
        self.latest: PastSample | None = None

    def add(self, sample: PastSample) -> None:
        self.count(sample.outcome)
        self.latest = sample

    def count(self, outcome: PastOutcome) -> None:
        several = outcome.rounds
        if several is not None:
            self.counts.update(several.counts)
            self.durations.update(several.durations_ms)
            self.flaky += several.flaky
            self.last += several.last
        else:
            self.counts[outcome.status] += 1
            self.flaky += "flaky" in outcome.flags
            self.last.append(outcome.status)
            if outcome.duration_ms is not None and outcome.status in MEASURED:
                self.durations[outcome.duration_ms] += 1
        del self.last[:-LAST]

    def result(self) -> CheckStatistics:
        assert self.latest is not None
        outcome = self.latest.outcome
        measured = sum(self.counts[each] for each in MEASURED)
        green = sum(self.counts[each] for each in GREEN)
        return CheckStatistics(
            kind=outcome.kind,
            id=outcome.id,
            title=outcome.title,
            measured=measured,
            green=green,
            flaky=self.flaky,
            not_measured=self.counts.total() - measured,
            pass_rate=green / measured if measured else None,
            flake_rate=self.flaky / measured if measured else None,
            p50_ms=_percentile(self.durations, 0.5),
            p95_ms=_percentile(self.durations, 0.95),
            p99_ms=_percentile(self.durations, 0.99),
            last=tuple(self.last),
            last_at=self.latest.ended_at,
        )


def _rank(pass_rate: float | None) -> float:
    return 2.0 if pass_rate is None else pass_rate


def _percentile(durations: Counter[int], share: float) -> int | None:
    """Return the smallest duration that at least this share of the rounds did not exceed; None without any."""
    needed = share * durations.total()
    seen = 0
    for duration_ms, count in sorted(durations.items()):
        seen += count
        if seen >= needed:
            return duration_ms
    return None


def _rounded(duration_ms: int) -> int:
    """Return a duration to 2.5 %, so that a summary holds a few hundred different ones at most."""
    if duration_ms <= 1 / (_STEP - 1):
        return duration_ms
    return round(_STEP ** round(log(duration_ms, _STEP)))
