"""Sources that read one live signal on its own: log groups of a window, metrics with their versions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from prodwatch.aws.default_account_and_region import ScopedAws
from prodwatch.aws.interface import AwsApi, AwsError, RawAnswer
from prodwatch.errors import ConfigurationError
from prodwatch.formats.lambda_record import LineParser
from prodwatch.model.environment import LogTarget, MetricTarget
from prodwatch.model.release import main_release_of
from prodwatch.session.engine import Engine
from prodwatch.sources.base import Source
from prodwatch.sources.build_sources import unfilled_sources
from prodwatch.sources.logs.source import LogSource
from prodwatch.sources.metrics import MetricSource
from prodwatch.sources.redaction import SignalRedactor
from prodwatch.sources.release.source import ReleaseSource


class BoundedLogReads(ScopedAws):
    """AWS client whose log queries end at `until`, so that later events are not fetched."""

    def __init__(self, aws: AwsApi, until: datetime) -> None:
        super().__init__(aws, None, None)
        self._until_ms = int(until.timestamp() * 1000)

    async def call(
        self, service: str, operation: str, params: Mapping[str, Any] | None = None, **options: Any
    ) -> dict[str, Any]:
        """Call an operation; see `AwsApi.call`."""
        return await super().call(service, operation, self._ended(operation, params or {}), **options)

    async def raw(
        self, service: str, operation: str, params: Mapping[str, Any] | None = None, **options: Any
    ) -> RawAnswer:
        """Call an operation and return its body unread; see `AwsApi.raw`."""
        return await super().raw(service, operation, self._ended(operation, params or {}), **options)

    def _ended(self, operation: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        if operation != "FilterLogEvents":
            return params
        # Overlapping scans may start after `until`, and AWS refuses a window that ends before it begins.
        return {**params, "endTime": max(self._until_ms, int(params.get("startTime", 0)))}


def log_source(engine: Engine, targets: Sequence[LogTarget], start: datetime, end: datetime | None) -> LogSource:
    """Build a log source that reads *targets* from *start*, up to and including *end* unless that is None."""
    lines = LineParser(engine.redactor)
    return LogSource(
        engine.aws if end is None else BoundedLogReads(engine.aws, end),
        targets,
        clock=engine.clock,
        parse=lines.parse_event,
        parse_all=lines.parse_all,
        since=start,
    )


METRIC_TABLES = ("function", "metric")
"""Tables of an environment file whose metrics are read."""


async def metric_sources(
    engine: Engine, target: MetricTarget | None, start: datetime, *, warn: Callable[[str], None]
) -> list[Source]:
    """Build the metric source of one `target`, or of everything the environment watches.

    Sources of tables without a name follow it, then with functions the release source, which finds the versions whose
    metrics are read. `warn`
    receives one sentence when the versions cannot be read. ConfigurationError when there is no metric to read.
    """
    environment = engine.environment
    functions, targets = (environment.functions, environment.metrics) if target is None else ((), (target,))
    unfilled = [] if target else unfilled_sources(environment, engine.redactor, *METRIC_TABLES)
    if not functions and not targets and unfilled:
        return [*unfilled]
    if not functions and not targets:
        raise ConfigurationError(
            f"environment {environment.name} watches no metrics; name one with --namespace and --metric, "
            "or add a [[function]] or [[metric]] to its file"
        )
    release = ReleaseSource(
        engine.aws, environment, clock=engine.clock, since=start, clean=SignalRedactor(engine.redactor).text
    )
    released = {each.id for each in functions}
    metrics = MetricSource(
        engine.aws,
        functions,
        targets,
        clock=engine.clock,
        since=start,
        versions_of=release.versions_of,
        release_of=lambda: main_release_of(released, release.states.values(), engine.clock.now()),
    )
    if not functions:
        return [metrics, *unfilled]
    try:
        await release.poll()
    except AwsError as caught:
        warn(f"metrics per version are missing: {caught.message}")
    return [metrics, *unfilled, release]
