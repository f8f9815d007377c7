"""Comparison of a configured metric between two versions, or of the time since a release with the time before it.

Only one value per period is known, not the requests behind it. Counts of events are compared by their split between
the versions, which is an e-process as that of errors. Any other statistic is compared by the ranks of its periods
(Mann and Whitney) and the median of their differences (Hodges and Lehmann): these bound no share of false alarms over
several looks, so that three looks in a row must agree.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from prodwatch.judge.comparison.before_after import hodges_lehmann, mann_whitney
from prodwatch.judge.comparison.dispersion import clumping
from prodwatch.judge.comparison.e_process import RestartedProcess
from prodwatch.judge.comparison.effect import EffectSums
from prodwatch.judge.comparison.strata import ALTERNATIVES, Stratum, log_rate_factors
from prodwatch.judge.comparison.version_comparison import NOT_SPLIT_AT_RANDOM
from prodwatch.judge.signals import ns_per_unit
from prodwatch.model.comparison import Basis, ComparedVersion, ComparisonResult
from prodwatch.model.environment import Compare, ErrorComparison, LatencyComparison, MetricTarget
from prodwatch.model.status import Reason, Status

FEWEST_PERIODS = 3
"""Periods of each side without which nothing is decided."""
_LOOKS = 3
"""Periods in a row after which the ranks must differ."""
_RANKS_P = 0.01
"""Largest p value of the ranks at each of these looks, for one metric."""
_SUSPECT_P = 0.05
"""P value of the ranks below which a large enough effect keeps the metric from passing."""
_RATIO = 1.2
"""Ratio of the medians from which a difference matters."""
_MARGIN_OF_SMALL = 0.5
"""Largest shift in time that matters, as a part of the median, as for the latency of requests."""
_COUNTS_NEED = 10.0
"""Factor on the evidence that counts need: one request may count several times."""
_NS_PER_S = 1e9
_COUNTED = frozenset(("Sum", "SampleCount"))
_COUNT_UNITS = frozenset((None, "None", "Count"))


class Period(NamedTuple):
    """Value of the metric in one settled period, and the requests that were served in it."""

    value: float
    requests: int | None = None
    """None where they are not known."""


class MetricComparison:
    """One metric of one release; fed with settled periods in the order in which they become known."""

    def __init__(
        self,
        target: MetricTarget,
        label: str,
        function: str,
        versions: tuple[str, str],
        limits: Compare,
        comparisons: int,
    ) -> None:
        """`versions` are the new and the old one; `comparisons` is the number of metrics that are compared."""
        self._target = target
        self._label = label
        self._function = function
        self._new_version, self._old_version = versions
        self._errors = limits.errors or ErrorComparison()
        self._latency = limits.latency or LatencyComparison()
        self._comparisons = comparisons
        self._new: list[float] = []
        self._old: list[float] = []
        self._before: list[float] = []
        self._alone: list[float] = []
        """Periods of the new version without the old one."""
        self._paired_ms: int | None = None
        self._worse_looks = 0
        self._is_worse = False
        self._counts = RestartedProcess(self._is_large)
        self._effect = EffectSums()

    @property
    def counts_events(self) -> bool:
        """Whether the values are numbers of events, which need the requests of each period."""
        return self._target.stat in _COUNTED and self._target.unit in _COUNT_UNITS

    def add_before(self, value: float) -> None:
        """Learn from a period that ended before the release."""
        self._before.append(value)

    def add_alone(self, value: float) -> None:
        """Take a period since the release in which only the new version has a value, or in which versions are mixed."""
        self._alone.append(value)

    def add(self, end_ms: int, new: Period, old: Period) -> None:
        """Judge one period since the release with values of both versions."""
        self._new.append(new.value)
        self._old.append(old.value)
        self._paired_ms = max(end_ms, self._paired_ms or 0)
        if self.counts_events:
            self._add_counts(new, old)
        else:
            self._look()

    def result(self, why_not_random: str | None = None) -> ComparisonResult:
        """Return the comparison as of now.

        `why_not_random`: why requests do not fall on the versions at random, so that comparing them proves nothing.
        """
        paired = bool(self._new)
        new, old = (self._new, self._old) if paired else (self._alone, self._before)
        status, reason, note = self._judge(new, old, paired=paired)
        advisory = why_not_random if paired else None
        if advisory is not None:
            status, reason, note = Status.INCONCLUSIVE, Reason.MIN_SAMPLES, NOT_SPLIT_AT_RANDOM
        new_value, old_value = self._typical(new), self._typical(old)
        difference = self._relative(new_value, old_value, paired=paired)
        return ComparisonResult(
            kind="metric",
            id=self._label,
            function=self._function,
            basis=self._basis(paired=paired),
            status=status,
            gate=self._target.gate and self._target.is_by_version,
            advisory=advisory,
            reason_code=reason,
            message=self._message(new_value, old_value, difference, len(new), note),
            canary=ComparedVersion(version=self._new_version, requests=len(new), value=new_value),
            baseline=ComparedVersion(version=self._old_version, requests=len(old), value=old_value),
            difference=difference,
            unit=self._target.unit,
            evidence=self._evidence(new, old, paired=paired),
            needed=self._needed,
            last_end_ms=self._paired_ms,
        )

    @property
    def _needed(self) -> float:
        if self.counts_events and self._target.is_by_version:
            return _COUNTS_NEED * self._comparisons / self._errors.false_alarms
        return self._comparisons / _RANKS_P

    def _basis(self, *, paired: bool) -> Basis:
        return "counts" if paired else "before/after"

    def _add_counts(self, new: Period, old: Period) -> None:
        if new.requests is None or old.requests is None:
            return
        sides = (new, old) if self._target.better == "lower" else (old, new)
        requests = [each.requests or 0 for each in sides]
        events = [round(each.value) for each in sides]
        if not all(requests):
            return
        stratum = Stratum(requests[0], events[0], requests[1], events[1])
        share = requests[0] / sum(requests)
        self._counts.add(log_rate_factors(events[0], events[1], share, ALTERNATIVES), stratum)
        self._effect.add(stratum)
        self._is_worse = self._is_worse or self._log_counts() >= math.log(self._needed)

    def _log_counts(self) -> float:
        return self._counts.log_evidence() / clumping([round(each) for each in self._before])

    def _is_large(self, effect: EffectSums) -> bool:
        return effect.canary_bad >= self._errors.min_bad and effect.ratio >= self._errors.ratio

    def _look(self) -> None:
        worse = self._p(self._new, self._old) < _RANKS_P / self._comparisons and self._matters(self._new, self._old)
        self._worse_looks = self._worse_looks + 1 if worse else 0
        self._is_worse = self._is_worse or self._worse_looks >= _LOOKS

    def _p(self, new: Sequence[float], old: Sequence[float]) -> float:
        """Return the p value that the new periods are worse."""
        return mann_whitney(new, old) if self._target.better == "lower" else mann_whitney(old, new)

    def _matters(self, new: Sequence[float], old: Sequence[float]) -> bool:
        """Return whether the median of the differences is large enough."""
        shift = hodges_lehmann(new, old)
        if self._target.better == "higher":
            shift = -shift
        usual = abs(median(old))
        floor = (_RATIO - 1.0) * usual
        ns = ns_per_unit(self._target)
        if ns is not None:
            floor = max(floor, min(self._latency.shift_s * _NS_PER_S / ns, usual * _MARGIN_OF_SMALL))
        return shift > 0 and shift >= floor

    def _judge(
        self, new: Sequence[float], old: Sequence[float], *, paired: bool
    ) -> tuple[Status, Reason | None, str | None]:
        if self._is_worse:
            return Status.FAIL, Reason.ASSERTION, None
        missing = self._missing(new, old)
        if missing is not None:
            return Status.INCONCLUSIVE, *missing
        if paired and self.counts_events:
            return self._judge_counts()
        limit = _SUSPECT_P if self._target.is_by_version else _RANKS_P
        if self._p(new, old) >= limit or not self._matters(new, old):
            return Status.PASS, None, None
        if not self._target.is_by_version:
            return Status.DEGRADED, Reason.WARNING, "worse than before the release"
        not_sure = "not certain yet" if paired else "with no other version at the same time"
        return Status.INCONCLUSIVE, Reason.MIN_SAMPLES, f"worse, {not_sure}"

    def _missing(self, new: Sequence[float], old: Sequence[float]) -> tuple[Reason, str] | None:
        """Return why nothing can be decided yet; None with enough periods of both sides."""
        if not self._target.is_by_version:
            sides = ("of the metric since 2 min after the shift", "of the metric before the release")
        else:
            sides = (f"of version {self._new_version} since 2 min after the shift", f"of version {self._old_version}")
        for values, side in zip((new, old), sides, strict=True):
            if not values:
                return Reason.NO_DATA, f"no settled period {side} has been read"
        more = FEWEST_PERIODS - min(len(new), len(old))
        if more <= 0:
            return None
        return Reason.MIN_SAMPLES, f"{more} more {'period is' if more == 1 else 'periods are'} needed"

    def _judge_counts(self) -> tuple[Status, Reason | None, str | None]:
        if not self._effect.weight:
            return Status.INCONCLUSIVE, Reason.NO_DATA, "the requests of both versions in these periods are not known"
        if self._is_large(self._effect) and self._log_counts() >= math.log(1.0 / _SUSPECT_P):
            return Status.INCONCLUSIVE, Reason.MIN_SAMPLES, "worse, not certain yet"
        return Status.PASS, None, None

    def _evidence(self, new: Sequence[float], old: Sequence[float], *, paired: bool) -> float:
        if paired and self.counts_events:
            return math.exp(min(690.0, self._log_counts()))
        if not new or not old:
            return 1.0
        return 1.0 / max(1e-300, self._p(new, old))

    def _typical(self, values: Sequence[float]) -> float | None:
        return median(values) if values else None

    def _relative(self, new: float | None, old: float | None, *, paired: bool) -> float | None:
        if paired and self.counts_events and self._effect.weight:
            ratio = self._effect.ratio
            if self._target.better == "higher":
                ratio = 1.0 / ratio if ratio else math.inf
            return ratio - 1.0 if math.isfinite(ratio) else None
        return new / old - 1.0 if new is not None and old else None

    def _message(
        self, new: float | None, old: float | None, difference: float | None, periods: int, note: str | None
    ) -> str:
        if new is None or old is None:
            return f"{self._label}: {note}"
        parts = [
            f"{self._label} {format_metric(new, self._target.unit)} against {format_metric(old, self._target.unit)}"
        ]
        if difference is not None:
            per = " a request" if self.counts_events and self._paired_ms is not None else ""
            parts.append(f"{difference * 100:+.0f} %{per}")
        parts.append(f"{periods} periods")
        return ", ".join(filter(None, (*parts, note)))


def format_metric(value: float, unit: str | None) -> str:
    """Return a value of a metric with its unit, to four digits."""
    text = f"{value:.4g}"
    return text if unit in _COUNT_UNITS else f"{text} {unit}"
