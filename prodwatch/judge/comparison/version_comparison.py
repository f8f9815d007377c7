"""Comparison of the new version of one function with the old one, batch by batch."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from prodwatch.judge.comparison.bad_shares import BadShareProcess
from prodwatch.judge.comparison.before_after import fisher_exact
from prodwatch.judge.comparison.dispersion import BATCHES_OF_A_SPLIT, NOT_RANDOM, split_dispersion
from prodwatch.judge.comparison.effect import EffectSums, rates
from prodwatch.judge.comparison.latency import QUANTILES, DurationHistogram, LatencyProcess
from prodwatch.judge.comparison.strata import Stratum
from prodwatch.judge.comparison.unpaired_batches import WAITING_BATCHES, UnpairedBatches
from prodwatch.model.comparison import (
    Basis,
    ComparedVersion,
    ComparisonKind,
    ComparisonResult,
    RequestBatch,
    VersionCounts,
)
from prodwatch.model.environment import Compare, ErrorComparison, LatencyComparison
from prodwatch.model.status import Reason, Status
from prodwatch.text.units import format_ms

RESTART_MS = 300_000
"""Interval at which a further product begins, so that earlier batches do not outweigh harm with a late onset."""
FEWEST_WARM = 1000
"""Warm durations of the new version without which latency never passes."""
_COUNTS_NEED = 10.0
"""Factor on the evidence needed where CloudWatch's counts, which hold retries, are all there is."""
_BEFORE_AFTER_P = 0.001
_BOTH = 2
"""Windows that a comparison with earlier time needs to fail: before the release, and the same time a week ago."""
_QUANTILES: Mapping[str, float] = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
COUNTED_QUANTILES = ("p50", "p95", "p99")
"""Quantiles of a comparison by count: those that are read for every version."""
_SHOWN = "p95"


class _Window(NamedTuple):
    """Requests of the old version while no other version served."""

    requests: int
    bad: int


class _Judgement(NamedTuple):
    """Outcome of one comparison."""

    status: Status
    reason: Reason | None = None
    advisory: str | None = None
    """One sentence: why the comparison does not count."""
    note: str | None = None
    """The end of the sentence with the figures."""


NOT_SPLIT_AT_RANDOM = "requests are not split at random"
_NOT_RANDOM = "The split of requests between the versions is not random"


def _undecided(note: str, reason: Reason = Reason.MIN_SAMPLES, *, advisory: str | None = None) -> _Judgement:
    return _Judgement(Status.INCONCLUSIVE, reason, advisory, note)


class _ErrorKind(NamedTuple):
    """One kind of bad requests."""

    name: ComparisonKind
    words: str
    bad: Callable[[VersionCounts], int]
    worst: Status
    """Status when the new version is worse."""


_ERROR_KINDS = (
    _ErrorKind("errors", "errors", lambda counts: counts.failed, Status.FAIL),
    _ErrorKind("error_lines", "requests with error lines", lambda counts: counts.error_lines, Status.DEGRADED),
    _ErrorKind("client_errors", "4xx answers", lambda counts: counts.client_errors, Status.DEGRADED),
)


class VersionComparison:
    """All comparisons of one function's release; fed in the order of time, read at any time.

    `comparisons` is the number of functions that are compared: each needs that many times the evidence, so that the
    share of false alarms holds for all of them together.
    """

    def __init__(
        self,
        function: str,
        version: str,
        baseline: str | None,
        limits: Compare,
        *,
        comparisons: int = 1,
        by_count: str | None = None,
    ) -> None:
        """`by_count` says why requests cannot be read from log lines, so that all batches hold CloudWatch's counts."""
        self.ordered_sources: tuple[str, ...] = ()
        """Event sources of the function that route whole shards; while there are any, no comparison counts."""
        self.function = function
        self.version = version
        self.baseline = baseline
        self._limits = limits
        self._comparisons = comparisons
        self._errors: dict[ComparisonKind, _ErrorComparison] = {}
        if limits.errors is not None:
            errors = limits.errors
            self._errors = {kind.name: _ErrorComparison(kind, errors, comparisons, by_count) for kind in _ERROR_KINDS}
        self._latency = (
            _LatencyComparison(limits.latency, comparisons, by_count) if limits.latency is not None else None
        )
        self._unpaired = UnpairedBatches(version, baseline)
        self._split: deque[Stratum] = deque(maxlen=BATCHES_OF_A_SPLIT)
        """Requests of the latest batches at the present weights."""
        self._split_from_ms = 0
        self._next_restart_ms: int | None = None
        self._last_end_ms: int | None = None

    def add_before(self, batch: RequestBatch) -> None:
        """Learn from a batch that ended before the release: only the old version's counts are read."""
        counts = batch.of(self.baseline)
        if not counts.requests:
            return  # such as one of routes alone: an empty batch would pass for a quiet one
        for each in self._errors.values():
            each.add_before(counts)
        if self._latency is not None:
            self._latency.process.calibrate(counts.warm_ms)

    def add_last_week(self, batch: RequestBatch) -> None:
        """Learn from the same time a week ago, whichever versions served then: the second window of before/after."""
        for each in self._errors.values():
            for counts in batch.versions.values():
                each.add_last_week(counts)

    def shift(self, at_ms: int = 0) -> None:
        """Note a change of the weights; batches that begin before `at_ms` do not show how requests are split since."""
        self._next_restart_ms = None
        self._split.clear()
        self._split_from_ms = at_ms

    @property
    def why_not_random(self) -> str | None:
        """Sentence: why requests do not fall on the versions at random; None while they do, as far as known."""
        if self.ordered_sources:
            return f"{_NOT_RANDOM}: {', '.join(self.ordered_sources)} sends in order."
        dispersion = split_dispersion(self._split)
        if dispersion is None or dispersion <= NOT_RANDOM:
            return None
        return f"{_NOT_RANDOM} (dispersion {dispersion:.1f})."

    def add(self, batch: RequestBatch) -> None:
        """Judge one closed batch since the release."""
        canary, baseline = batch.of(self.version), batch.of(self.baseline)
        if not canary.requests and not baseline.requests:
            return
        if self._next_restart_ms is None or (not batch.late and batch.start_ms >= self._next_restart_ms):
            self._next_restart_ms = batch.start_ms + RESTART_MS
            for process in self._processes():
                process.restart()
        if baseline.requests and not batch.late and batch.start_ms >= self._split_from_ms:
            self._split.append(Stratum(canary.requests, 0, baseline.requests, 0))
        partner = self._unpaired.partner_of(batch)
        if (canary.requests and baseline.requests and not batch.late) or partner is not None:
            self._last_end_ms = max(batch.end_ms, self._last_end_ms or 0)
        for errors in self._errors.values():
            errors.add(batch, canary, baseline, partner)
        if self._latency is not None:
            self._latency.add(batch, canary, baseline, partner)

    def add_exceeding(self, strata: Sequence[Stratum]) -> None:
        """Judge one minute of durations by count, one stratum per quantile of `COUNTED_QUANTILES`.

        Its bad requests are the durations above the limits that `latency_limit` gives for the old version's usual ones.
        """
        if self._latency is not None:
            self._latency.add_exceeding(strata)

    def latency_limit(self, usual_ms: float) -> float:
        """Return the duration in ms above which a request of the new version counts, for one of the old version."""
        return self._latency.process.limit(usual_ms) if self._latency is not None else usual_ms

    def results(self) -> tuple[ComparisonResult, ...]:
        """Return every comparison as of now.

        `pass` is valid as the one look at the end of a bake; while a bake runs it says only that nothing speaks
        against the new version so far.
        """
        made = [each.result(self) for each in self._errors.values()]
        if self._latency is not None:
            made.append(self._latency.result(self))
        return tuple(made)

    @property
    def last_end_ms(self) -> int | None:
        """End of the last batch in which both versions served."""
        return self._last_end_ms

    def _processes(self) -> Iterator[BadShareProcess | LatencyProcess]:
        yield from (each.process for each in self._errors.values())
        if self._latency is not None:
            yield self._latency.process


class _ErrorComparison:
    """One kind of bad requests, while both versions serve and after the old one serves no more."""

    def __init__(self, kind: _ErrorKind, limits: ErrorComparison, comparisons: int, by_count: str | None) -> None:
        self._kind = kind
        self._why_by_count = by_count
        self._limits = limits
        self._needed = comparisons / limits.false_alarms
        self.process = BadShareProcess(limits, self._needed, with_interval=kind.name == "errors")
        self._before = _Window(0, 0)
        self._last_week = _Window(0, 0)
        self._alone = _Window(0, 0)
        """Requests of the new version in batches without the old one."""
        self._by_count = False
        if by_count is not None:
            self._count()

    def add_before(self, counts: VersionCounts) -> None:
        bad = self._kind.bad(counts)
        self.process.learn_before(bad)
        self._before = _sum(self._before, counts.requests, bad)

    def add_last_week(self, counts: VersionCounts) -> None:
        self._last_week = _sum(self._last_week, counts.requests, self._kind.bad(counts))

    def add(
        self, batch: RequestBatch, canary: VersionCounts, baseline: VersionCounts, partner: VersionCounts | None
    ) -> None:
        """Judge one batch; `partner` are earlier requests of the old version that late ones are compared with."""
        bad = self._kind.bad(canary)
        if batch.basis == "counts" and not self._by_count:
            self._count()
        if canary.requests and not baseline.requests and not batch.late:
            self._alone = _sum(self._alone, canary.requests, bad)
            return
        environments = canary.environments if self._kind.name == "errors" else {}
        stratum = Stratum(canary.requests, bad, baseline.requests, self._kind.bad(baseline))
        unspent = (partner.requests, self._kind.bad(partner)) if partner is not None else (0, 0)
        self.process.add(stratum, environments, unspent=unspent)

    def _count(self) -> None:
        self._by_count = True
        self._needed *= _COUNTS_NEED
        self.process.log_threshold = math.log(self._needed)

    def result(self, compared: VersionComparison) -> ComparisonResult:
        judged = self._judge(compared.why_not_random)
        note = judged.note
        if self._by_count:
            note = ", ".join(filter(None, (note, _by_count(self._why_by_count))))
        together = self.process.rates()
        total = self.process.total
        alone = self._alone
        canary_share, baseline_share = (together.canary, together.baseline) if together else (None, None)
        baseline = _Window(total.baseline, total.baseline_bad)
        if not baseline.requests:
            baseline = self._before
        if together is None and alone.requests:
            canary_share = alone.bad / alone.requests
            baseline = self._before
            baseline_share = baseline.bad / baseline.requests if baseline.requests else None
        difference = None if canary_share is None or baseline_share is None else canary_share - baseline_share
        at_least = self.process.least_difference()
        requests = total.canary + alone.requests
        return ComparisonResult(
            kind=self._kind.name,
            id=f"{compared.function} {self._kind.name}",
            function=compared.function,
            basis=self._basis,
            status=judged.status,
            gate=self._limits.gate and self._kind.name == "errors",
            advisory=judged.advisory,
            reason_code=judged.reason,
            message=_sentence(self._kind.words, canary_share, baseline_share, at_least, requests, note),
            canary=ComparedVersion(
                version=compared.version, requests=requests, bad=total.canary_bad + alone.bad, share=canary_share
            ),
            baseline=ComparedVersion(
                version=compared.baseline, requests=baseline.requests, bad=baseline.bad, share=baseline_share
            ),
            difference=difference,
            at_least=at_least,
            at_most=together.upper if together else None,
            evidence=_exp(self.process.log_evidence()),
            needed=self._needed,
            requests_needed=self.process.requests_needed() if together else None,
            last_end_ms=compared.last_end_ms,
        )

    @property
    def _basis(self) -> Basis:
        if self._alone.requests and not self.process.total.canary:
            return "before/after"
        return "counts" if self._by_count else "requests"

    def _judge(self, why_not_random: str | None) -> _Judgement:
        if self._by_count and self._kind.name != "errors":
            return _undecided("CloudWatch does not count them", Reason.NO_DATA)
        return self._not_random(why_not_random) or self._worse() or self._alone_worse() or self._harm_excluded()

    def _not_random(self, why_not_random: str | None) -> _Judgement | None:
        if why_not_random is None or not self.process.total.canary:
            return None
        # The time before the release says enough about a version that serves alone and is much worse.
        alone = self._alone_worse()
        if alone is not None and alone.status is not Status.INCONCLUSIVE:
            return alone
        return _undecided(NOT_SPLIT_AT_RANDOM, advisory=why_not_random)

    def _worse(self) -> _Judgement | None:
        if not self.process.is_worse:
            return None
        clustered = self.process.clustered()
        if clustered is not None:
            return _undecided(f"all of the evidence is from one environment, {clustered}")
        return _Judgement(self._kind.worst, Reason.ASSERTION)

    def _alone_worse(self) -> _Judgement | None:
        """Compare the batches without the old version with both windows before: weaker evidence."""
        alone = self._alone
        if not alone.requests or alone.bad < self._limits.min_bad:
            return None
        windows = self._windows()
        share = alone.bad / alone.requests
        least = (
            min(
                share - each.bad / each.requests
                if fisher_exact(alone.bad, alone.requests, each.bad, each.requests) < _BEFORE_AFTER_P
                else 0.0
                for each in windows
            )
            if windows
            else share
        )
        if least >= self._limits.always and len(windows) == _BOTH:
            return _Judgement(self._kind.worst, Reason.ASSERTION, note=self._compared_with())
        if least >= self._limits.difference:
            return _undecided("more than before the release, with no other version at the same time")
        return None

    def _harm_excluded(self) -> _Judgement:
        if self.process.total.canary:
            if self.process.shows_no_harm():
                return _Judgement(Status.PASS)
            needed = self.process.requests_needed()
            if needed is None:
                return _undecided("no number of requests would exclude harm at these shares")
            return _undecided(f"{needed:,} more requests are needed to exclude harm")
        windows = self._windows()
        if not self._alone.requests:
            return _undecided("the new version has not served at the same time as the old one", Reason.NO_DATA)
        if windows and all(self._excludes_harm_since(each) for each in windows):
            return _Judgement(Status.PASS, note=self._compared_with())
        return _undecided("harm is not excluded against the time before the release")

    def _compared_with(self) -> str:
        """Return the windows in words."""
        windows = ((self._before, "the time before the release"), (self._last_week, "the same time a week ago"))
        return f"compared with {' and '.join(words for window, words in windows if window.requests)}"

    def _windows(self) -> list[_Window]:
        return [each for each in (self._before, self._last_week) if each.requests]

    def _excludes_harm_since(self, window: _Window) -> bool:
        found = rates([Stratum(self._alone.requests, self._alone.bad, window.requests, window.bad)])
        return found is not None and found.upper < self.process.harm_floor(found.baseline)


class _LatencyComparison:
    """Durations of warm requests."""

    def __init__(self, limits: LatencyComparison, comparisons: int, by_count: str | None) -> None:
        self._limits = limits
        self._why_by_count = by_count
        self._needed = comparisons / limits.false_alarms
        quantiles: Sequence[float] = QUANTILES
        if by_count is not None:
            self._needed *= _COUNTS_NEED
            quantiles = tuple(map(_QUANTILES.__getitem__, COUNTED_QUANTILES))
        self.process = LatencyProcess(limits.ratio, limits.shift_s * 1000, quantiles)
        self._exceeding = EffectSums()
        """Durations by count above the limit of the shown quantile."""
        self._canary = DurationHistogram()
        self._baseline = DurationHistogram()
        self._cold_starts = (0, 0)
        """Of the new and of the old version."""
        self._usual: dict[int, tuple[float, ...]] = {}
        """Start of a batch without the new version → quantiles of the old one before it."""

    def add(
        self, batch: RequestBatch, canary: VersionCounts, baseline: VersionCounts, partner: VersionCounts | None
    ) -> None:
        """Judge one batch; `partner` are earlier requests of the old version that late ones are compared with."""
        new, old = self._cold_starts
        self._cold_starts = (new + canary.cold_starts, old + baseline.cold_starts)
        if partner is not None:
            usual = self._usual.pop(batch.start_ms, None)
            self.process.calibrate(baseline.warm_ms)
            if usual is not None:
                together = (*partner.warm_ms, *baseline.warm_ms)
                self.process.judge(canary.warm_ms, together, usual)
                self._canary.add(canary.warm_ms)
                self._baseline.add(baseline.warm_ms)
            return
        if canary.warm_ms and not baseline.warm_ms:
            return
        if not batch.late and not canary.requests and (usual := self.process.usual()) is not None:
            # Late requests of this batch are judged by the quantiles of now, which their partners have no part in.
            self._usual[batch.start_ms] = usual
            while len(self._usual) > WAITING_BATCHES:
                del self._usual[next(iter(self._usual))]
        if self.process.add(canary.warm_ms, baseline.warm_ms):
            self._canary.add(canary.warm_ms)
            self._baseline.add(baseline.warm_ms)

    def add_exceeding(self, strata: Sequence[Stratum]) -> None:
        """Judge one minute of durations by count."""
        self.process.add_exceedances(strata)
        self._exceeding.add(strata[COUNTED_QUANTILES.index(_SHOWN)])

    def _status(self, judged: int, noun: str) -> tuple[Status, Reason | None, str | None]:
        """Return status, reason and the end of the sentence; `judged` is the number of compared requests."""
        if self.process.highest >= math.log(self._needed):
            return Status.FAIL, Reason.ASSERTION, None
        if not judged:
            return Status.INCONCLUSIVE, Reason.NO_DATA, None
        missing = FEWEST_WARM - judged
        if missing > 0:
            return Status.INCONCLUSIVE, Reason.MIN_SAMPLES, f"{missing:,} more {noun} are needed"
        return Status.PASS, None, None

    def _result_by_count(self, compared: VersionComparison, why: str) -> ComparisonResult:
        total = self._exceeding
        status, reason, note = self._status(total.canary, "requests")
        by_count = _by_count(why)
        message = f"latency: CloudWatch has not counted durations of both versions yet, {by_count}"
        canary_share = baseline_share = advisory = None
        if total.canary and total.baseline:
            canary_share, baseline_share = total.canary_bad / total.canary, total.baseline_bad / total.baseline
            figures = f"{format_percent(canary_share)} slower than the old {_SHOWN} allows against "
            figures += f"{format_percent(baseline_share)} above it"
            if (advisory := compared.why_not_random) is not None:
                status, reason, note = Status.INCONCLUSIVE, Reason.MIN_SAMPLES, NOT_SPLIT_AT_RANDOM
            message = ", ".join(filter(None, (f"latency: {figures}", f"{total.canary:,} requests", note, by_count)))
        return ComparisonResult(
            kind="latency",
            id=f"{compared.function} latency",
            function=compared.function,
            basis="counts",
            status=status,
            gate=self._limits.gate,
            advisory=advisory,
            reason_code=reason,
            message=message,
            canary=ComparedVersion(
                version=compared.version, requests=total.canary, bad=total.canary_bad, share=canary_share
            ),
            baseline=ComparedVersion(
                version=compared.baseline, requests=total.baseline, bad=total.baseline_bad, share=baseline_share
            ),
            evidence=_exp(self.process.log_evidence()),
            needed=self._needed,
            requests_needed=max(0, FEWEST_WARM - total.canary),
            last_end_ms=compared.last_end_ms,
        )

    def result(self, compared: VersionComparison) -> ComparisonResult:
        if self._why_by_count is not None:
            return self._result_by_count(compared, self._why_by_count)
        evidence = self.process.log_evidence()
        canary, baseline = self._canary.quantiles(_QUANTILES), self._baseline.quantiles(_QUANTILES)
        warm = self._canary.count
        status, reason, note = self._status(warm, "warm requests")
        advisory = compared.why_not_random if warm else None
        if advisory is not None:
            status, reason, note = Status.INCONCLUSIVE, Reason.MIN_SAMPLES, NOT_SPLIT_AT_RANDOM
        message = "latency: no warm requests of both versions at the same time"
        difference = None
        if canary and baseline:
            difference = canary[_SHOWN] / baseline[_SHOWN] - 1
            figures = f"{_SHOWN} {format_ms(canary[_SHOWN])} against {format_ms(baseline[_SHOWN])}"
            message = ", ".join(filter(None, (figures, f"{warm:,} warm requests", note)))
        return ComparisonResult(
            kind="latency",
            id=f"{compared.function} latency",
            function=compared.function,
            basis="requests",
            status=status,
            gate=self._limits.gate,
            advisory=advisory,
            reason_code=reason,
            message=message,
            canary=ComparedVersion(
                version=compared.version, requests=warm, quantiles_ms=canary, cold_starts=self._cold_starts[0]
            ),
            baseline=ComparedVersion(
                version=compared.baseline,
                requests=self._baseline.count,
                quantiles_ms=baseline,
                cold_starts=self._cold_starts[1],
            ),
            difference=difference,
            evidence=_exp(evidence),
            needed=self._needed,
            requests_needed=max(0, FEWEST_WARM - warm),
            last_end_ms=compared.last_end_ms,
        )


def _by_count(why: str | None) -> str:
    return "by count" if why is None else f"by count because {why}"


def _sum(window: _Window, requests: int, bad: int) -> _Window:
    return _Window(window.requests + requests, window.bad + bad)


def _sentence(
    words: str,
    canary: float | None,
    baseline: float | None,
    at_least: float | None,
    requests: int,
    note: str | None,
) -> str:
    if canary is None:
        return f"{words}: {note}" if note else f"{words}: not compared"
    parts = [f"{words} {format_percent(canary)}"]
    if baseline is not None:
        parts[0] += f" against {format_percent(baseline)}"
        points = (canary - baseline) * 100
        parts.append(f"{points:+.1f} points")
    if at_least is not None:
        parts.append(f"at least {at_least * 100:.1f} at 99 %")
    parts.append(f"{requests:,} requests")
    if note:
        parts.append(note)
    return ", ".join(parts)


def format_percent(share: float) -> str:
    """Return a share as a percentage with one digit, or with two significant ones below 0.1 %."""
    percent = share * 100
    return f"{percent:.1f} %" if percent >= 0.1 or percent == 0 else f"{percent:.2g} %"


def _exp(log: float) -> float:
    """Return eˣ, at most 1e300."""
    return math.exp(min(log, 690.0))
