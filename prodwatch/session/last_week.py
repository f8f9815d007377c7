"""Counts of the same time a week ago, for releases whose old version does not serve at the same time."""

from __future__ import annotations

import logging
from datetime import timedelta

from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.clock import Clock
from prodwatch.model.comparison import RequestBatch
from prodwatch.model.environment import Environment, FunctionTarget
from prodwatch.model.signal import MetricSeries, ReleaseState
from prodwatch.session.past import WEEK, OffsetClock
from prodwatch.session.release_comparison import ReleaseComparisons
from prodwatch.session.version_counts import minutes_of_all_versions
from prodwatch.sources.lambda_metrics import FunctionVersions
from prodwatch.sources.metrics import MetricSource
from prodwatch.store.metrics import MetricStore

READ_FOR = timedelta(hours=1)
"""Length of the time that is read, from a week before the start of the release on."""
LOOK_EVERY_S = 30.0
_SERIES = 100

_LOG = logging.getLogger(__name__)


async def follow_last_week(
    environment: Environment, aws: AwsApi, comparisons: ReleaseComparisons, clock: Clock
) -> None:
    """Read the week before once for each release that needs it, until cancelled; a failed reading is repeated."""
    functions = {each.id: each for each in environment.functions}
    while True:
        for release in comparisons.without_last_week():
            function = functions.get(release.id)
            if function is None:
                continue
            try:
                minutes = await read_last_week(aws, function, release, clock)
            except AwsError as caught:
                # The metric source reports errors of CloudWatch itself.
                _LOG.info("the week before the release of %s could not be read: %s", function.name, caught.message)
            else:
                comparisons.add_last_week(release, minutes)
        await clock.sleep(LOOK_EVERY_S)


async def read_last_week(
    aws: AwsApi, function: FunctionTarget, release: ReleaseState, clock: Clock
) -> tuple[RequestBatch, ...]:
    """Return the settled minutes from a week before the release on. Raises AwsError."""
    since = (release.started_at or clock.now()) - WEEK
    source = MetricSource(
        aws, (function,), (), clock=OffsetClock(since + READ_FOR, clock), since=since, versions_of=_no_versions
    )
    metrics = MetricStore(points_per_series=round(READ_FOR.total_seconds()), capacity=_SERIES)
    metrics.add(each for each in await source.poll() if isinstance(each, MetricSeries))
    return minutes_of_all_versions(metrics, release)


def _no_versions(_function: FunctionTarget) -> FunctionVersions:
    return FunctionVersions()
