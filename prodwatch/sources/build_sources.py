"""Builds the sources that an environment file configures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from functools import partial

from prodwatch.aws.interface import AwsApi
from prodwatch.clock import Clock
from prodwatch.formats.lambda_record import LineParser
from prodwatch.model.environment import Environment, LogTarget, UnfilledTarget, place_of
from prodwatch.model.identity import HOME, Place
from prodwatch.model.release import main_release_of
from prodwatch.model.signal import Batch, SourcePhase, SourceStatus
from prodwatch.sources.alarms import AlarmSource
from prodwatch.sources.base import Source
from prodwatch.sources.logs.source import LogSource
from prodwatch.sources.metrics import ExceedancesOf, MetricSource
from prodwatch.sources.redaction import SignalRedactor
from prodwatch.sources.release.source import ReleaseSource
from prodwatch.sources.traces import SPANS_GROUP, ServiceGraphSource, TraceSource
from prodwatch.sources.traces.own_requests import OwnTraces
from prodwatch.sources.traces.service_graph import release_began
from prodwatch.text.redact import Redactor


def log_targets(environment: Environment) -> list[LogTarget]:
    """Return the log groups to follow: those of functions first, then those named in the file."""
    function_groups = [
        LogTarget(
            group=function.group_id.name,
            account=function.account,
            region=function.region,
        )
        for function in environment.functions
    ]
    named = environment.logs
    return [
        *(group for group in function_groups if not any(_is_same_group(group, other, environment) for other in named)),
        *named,
    ]


def _is_same_group(one: LogTarget, other: LogTarget, environment: Environment) -> bool:
    """Return whether two targets are the same log group; a missing region means the account's own."""
    if (one.group, one.account) != (other.group, other.account):
        return False
    first, second = environment.region_of(one), environment.region_of(other)
    return first == second or None in {first, second}


def spans_target(environment: Environment, place: Place = HOME) -> LogTarget | None:
    """Return the log group of a place's spans under Transaction Search, filtered by the functions in it.

    None without functions: the unfiltered group holds the traffic of the whole account.
    """
    names = [f'?"{function.name}"' for function in environment.functions if place_of(function) == place]
    if not names:
        return None
    return LogTarget(
        group=SPANS_GROUP, filter=" ".join(names), account=place.account or None, region=place.region or None
    )


class UnfilledSource:
    """A source without values for the `${…}` in its table: it reads nothing, and its status gives the reason."""

    def __init__(self, target: UnfilledTarget, clean: Callable[[str], str]) -> None:
        self.name = f"{_SOURCE_OF[target.kind]}:{clean(target.label)}"
        self._message = clean(target.sentence)

    async def batches(self) -> AsyncIterator[Batch]:
        """Yield the one status, then wait until cancelled."""
        status = SourceStatus(source=self.name, phase=SourcePhase.STOPPED, message=self._message)
        yield Batch(source=self.name, status=status)
        await asyncio.Event().wait()


_SOURCE_OF = {
    "function": "release",
    "logs": "logs",
    "traces": "traces",
    "metric": "metrics",
    "alarm": "alarms",
    "release": "release",
}
"""Table of the file → source that reads it."""


def unfilled_sources(environment: Environment, redactor: Redactor, *kinds: str) -> list[UnfilledSource]:
    """Return a source for each unfilled table of these kinds, of every kind when none is named."""
    clean = SignalRedactor(redactor).text
    return [UnfilledSource(each, clean) for each in environment.unfilled if not kinds or each.kind in kinds]


def build_sources(
    environment: Environment,
    aws: AwsApi,
    *,
    clock: Clock,
    redactor: Redactor,
    logs_since: datetime,
    since: datetime,
    own_traces: OwnTraces = lambda _start_s, _end_s: (),
    exceedances_of: ExceedancesOf = lambda _function: (),
) -> list[Source]:
    """Build every source that the environment configures.

    `logs_since` is the earliest time of logs and traces, `since` that of metrics, alarms and release history. The
    service map leaves out `own_traces`.
    """
    signal_redactor = SignalRedactor(redactor)
    lines = LineParser(redactor)
    functions = {each.id for each in environment.functions}
    sources: list[Source] = [*unfilled_sources(environment, redactor)]
    release = ReleaseSource(aws, environment, clock=clock, since=since, clean=signal_redactor.text)
    if environment.functions or environment.stacks or environment.release.codedeploy or environment.release.appconfig:
        sources.append(release)
    logs = LogSource(
        aws, log_targets(environment), clock=clock, parse=lines.parse_event, parse_all=lines.parse_all, since=logs_since
    )
    if log_targets(environment):
        sources.append(logs)
    if environment.traces_enabled and (environment.functions or environment.traces_filter):
        for place in environment.trace_places:
            spans = spans_target(environment, place)
            sources.append(
                TraceSource(
                    aws,
                    clock=clock,
                    since=logs_since,
                    signal_redactor=signal_redactor,
                    filter_expression=environment.traces_filter,
                    on_spans=partial(logs.follow, spans) if spans else None,
                    place=place,
                )
            )
            sources.append(
                ServiceGraphSource(
                    aws,
                    clock=clock,
                    signal_redactor=signal_redactor,
                    released_at=lambda: release_began(release.states.values(), clock.now()),
                    own_traces=own_traces,
                    place=place,
                )
            )
    if environment.functions or environment.metrics:
        sources.append(
            MetricSource(
                aws,
                environment.functions,
                environment.metrics,
                clock=clock,
                since=since,
                versions_of=release.versions_of,
                exceedances_of=exceedances_of,
                release_of=lambda: main_release_of(functions, release.states.values(), clock.now()),
            )
        )
    is_deployed = environment.release.appconfig or (environment.functions and environment.release.codedeploy)
    if environment.alarms or is_deployed:
        sources.append(
            AlarmSource(
                aws,
                environment.alarms,
                clock=clock,
                since=since,
                clean=signal_redactor.text,
                # A release source that does not run never knows them, and the alarms would never be read.
                rollback_targets=release.rollback_targets if release in sources else tuple,
            )
        )
    return sources
