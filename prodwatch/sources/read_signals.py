"""Reads and evaluates all gating `[[metric]]` and `[[alarm]]` entries once, without a dashboard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta

from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.clock import Clock
from prodwatch.errors import CannotVerifyError
from prodwatch.judge.signals import (
    JUDGED_AT_LEAST_S,
    JUDGED_PERIODS,
    gating_signals,
    merged,
    unfilled_signals,
    unread_alarms,
    unread_metric,
)
from prodwatch.model.environment import AlarmTarget, Environment, MetricTarget
from prodwatch.model.result import SignalResult
from prodwatch.model.signal import SETTLED_AFTER_S, EvaluatedSignals, Record
from prodwatch.model.status import Reason
from prodwatch.sources.alarms import AlarmSource
from prodwatch.sources.lambda_metrics import FunctionVersions
from prodwatch.sources.metrics import MetricSource


async def read_signals(
    environment: Environment, aws: AwsApi, *, clock: Clock, clean: Callable[[str], str]
) -> tuple[SignalResult, ...]:
    """Return the results of all gating signals, metrics first; unreadable ones are inconclusive. Never raises.

    `clean` sanitises and redacts texts from AWS.
    """
    metrics, alarms = gating_signals(environment)
    reads = [
        *(_read_metrics(targets, aws, clock, clean) for targets in _by_place(metrics)),
        *(_read_alarms(target, aws, clock, clean) for target in alarms),
    ]
    results = [result for batch in await asyncio.gather(*reads) for result in batch]
    results += unfilled_signals(environment)
    return merged(sorted(results, key=lambda each: each.kind != "metric"))


def unread_signals(environment: Environment, message: str, reason: Reason) -> tuple[SignalResult, ...]:
    """Return all gating signals as inconclusive, because nothing was read."""
    metrics, alarms = gating_signals(environment)
    return merged(
        (
            *(unread_metric(each, message, reason) for each in metrics),
            *(result for each in alarms for result in unread_alarms(each, message, reason)),
            *unfilled_signals(environment),
        )
    )


def _by_place(metrics: Iterable[MetricTarget]) -> list[list[MetricTarget]]:
    places: dict[tuple[str | None, str | None], list[MetricTarget]] = {}
    for each in metrics:
        places.setdefault((each.account, each.region), []).append(each)
    return list(places.values())


async def _read_metrics(
    targets: Sequence[MetricTarget], aws: AwsApi, clock: Clock, clean: Callable[[str], str]
) -> list[SignalResult]:
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
    except (AwsError, CannotVerifyError) as error:
        return [unread_metric(each, clean(str(error)), error.reason) for each in targets]


async def _read_alarms(
    target: AlarmTarget, aws: AwsApi, clock: Clock, clean: Callable[[str], str]
) -> list[SignalResult]:
    # With `since` now, no history is read.
    source = AlarmSource(aws, (target,), clock=clock, since=clock.now(), clean=clean)
    try:
        return _evaluated(await source.poll())
    except (AwsError, CannotVerifyError) as error:
        return unread_alarms(target, clean(str(error)), error.reason)


def _evaluated(records: Iterable[Record]) -> list[SignalResult]:
    return [result for each in records if isinstance(each, EvaluatedSignals) for result in each.results]
