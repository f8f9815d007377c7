"""Reads and evaluates every `[[metric]]` and `[[alarm]]` that gates, once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta

import msgspec

from prodwatch.aws.api import AwsApi, AwsError
from prodwatch.clock import Clock
from prodwatch.errors import CannotVerifyError
from prodwatch.judge.signals import JUDGED_AT_LEAST_S, JUDGED_PERIODS, is_judged, merged, unread_alarms, unread_metric
from prodwatch.model.environment import AlarmTarget, Environment, MetricTarget
from prodwatch.model.result import SignalResult
from prodwatch.model.signal import SETTLED_AFTER_S, EvaluatedSignals, Record
from prodwatch.model.status import Reason
from prodwatch.sources.alarms import AlarmSource
from prodwatch.sources.lambda_metrics import FunctionVersions
from prodwatch.sources.metrics import MetricSource


def gating_signals(environment: Environment) -> tuple[tuple[MetricTarget, ...], tuple[AlarmTarget, ...]]:
    """Return the entries that may decide a verdict: those with `gate`, and of the metrics those with assertions."""
    metrics = tuple(each for each in environment.metrics if each.gate and is_judged(each))
    return metrics, tuple(each for each in environment.alarms if each.gate)


async def read_signals(
    environment: Environment, aws: AwsApi, *, clock: Clock, clean: Callable[[str], str]
) -> tuple[SignalResult, ...]:
    """Return every signal that gates, metrics first; what cannot be read is inconclusive. Never raises.

    `clean` makes texts of AWS fit to be shown.
    """
    metrics, alarms = gating_signals(environment)
    reads = [
        *(_read_metrics(targets, aws, clock) for targets in _by_place(each for each in metrics if not _is_open(each))),
        *(_read_alarms(target, aws, clock, clean) for target in alarms if not _is_open(target)),
    ]
    found = [result for results in await asyncio.gather(*reads) for result in results]
    found += [unread_metric(each, _OPEN, Reason.UNRESOLVED) for each in metrics if _is_open(each)]
    found += [result for each in alarms if _is_open(each) for result in unread_alarms(each, _OPEN, Reason.UNRESOLVED)]
    return merged(sorted(found, key=lambda each: each.kind != "metric"))


def unread_signals(environment: Environment, message: str, reason: Reason) -> tuple[SignalResult, ...]:
    """Return every signal that gates as inconclusive, because nothing was read."""
    metrics, alarms = gating_signals(environment)
    return merged(
        (
            *(unread_metric(each, message, reason) for each in metrics),
            *(result for each in alarms for result in unread_alarms(each, message, reason)),
        )
    )


_OPEN = "a ${…} in it has no value: references in [[metric]] and [[alarm]] are not filled"


def _is_open(target: MetricTarget | AlarmTarget) -> bool:
    """Tell whether a reference is left in what names the target; those in assertions are judged as undecidable."""
    named = msgspec.structs.replace(target, expect=(), warn=()) if isinstance(target, MetricTarget) else target
    return b"${" in msgspec.json.encode(named)


def _by_place(metrics: Iterable[MetricTarget]) -> list[list[MetricTarget]]:
    places: dict[tuple[str | None, str | None], list[MetricTarget]] = {}
    for each in metrics:
        places.setdefault((each.account, each.region), []).append(each)
    return list(places.values())


async def _read_metrics(targets: Sequence[MetricTarget], aws: AwsApi, clock: Clock) -> list[SignalResult]:
    longest_s = max(each.period_s for each in targets)
    reach_s = SETTLED_AFTER_S + longest_s + max(JUDGED_AT_LEAST_S, JUDGED_PERIODS * longest_s)
    source = MetricSource(
        aws,
        (),
        targets,
        clock=clock,
        since=clock.now() - timedelta(seconds=reach_s),
        versions_of=lambda _function: FunctionVersions(()),
    )
    try:
        return _evaluated(await source.poll())
    except (AwsError, CannotVerifyError) as caught:
        return [unread_metric(each, str(caught), caught.reason) for each in targets]


async def _read_alarms(
    target: AlarmTarget, aws: AwsApi, clock: Clock, clean: Callable[[str], str]
) -> list[SignalResult]:
    # Nothing before now is asked about, so that no history is read.
    source = AlarmSource(aws, (target,), clock=clock, since=clock.now(), clean=clean)
    try:
        return _evaluated(await source.poll())
    except (AwsError, CannotVerifyError) as caught:
        return unread_alarms(target, str(caught), caught.reason)


def _evaluated(records: Iterable[Record]) -> list[SignalResult]:
    return [result for each in records if isinstance(each, EvaluatedSignals) for result in each.results]
