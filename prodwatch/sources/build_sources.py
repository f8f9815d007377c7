"""Which sources an environment asks for."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from prodwatch.aws.api import AwsApi
from prodwatch.clock import Clock
from prodwatch.formats.lambda_record import LineParser
from prodwatch.model.environment import Environment, LogTarget
from prodwatch.sources.alarms import AlarmSource
from prodwatch.sources.base import Source
from prodwatch.sources.logs.source import LogSource
from prodwatch.sources.metrics import MetricSource
from prodwatch.sources.redaction import Cleaner
from prodwatch.sources.release.source import ReleaseSource
from prodwatch.sources.traces import SPANS_GROUP, GraphSource, TraceSource
from prodwatch.sources.traces.service_graph import release_began
from prodwatch.text.redact import Redactor


def log_targets(environment: Environment) -> list[LogTarget]:
    """Return the log groups to follow: every function's own, then those the file names."""
    of_functions = [
        LogTarget(
            group=function.log_group or f"/aws/lambda/{function.name}",
            account=function.account,
            region=function.region,
        )
        for function in environment.functions
    ]
    named = environment.logs
    return [*(each for each in of_functions if not any(_same(each, other, environment) for other in named)), *named]


def _same(one: LogTarget, other: LogTarget, environment: Environment) -> bool:
    """Tell whether two targets are one log group; a region that is not written is the account's."""
    if (one.group, one.account) != (other.group, other.account):
        return False
    home = environment.accounts.get(one.account or "", environment.aws).region
    first, second = one.region or home, other.region or home
    return first == second or None in {first, second}


def spans_target(environment: Environment) -> LogTarget | None:
    """Return the log group that has an account's spans under Transaction Search, cut to those of our functions.

    None without functions: the whole group would be the traffic of the whole account.
    """
    names = [f'?"{function.name}"' for function in environment.functions if function.account is None]
    return LogTarget(group=SPANS_GROUP, filter=" ".join(names)) if names else None


def sources_of(
    environment: Environment,
    aws: AwsApi,
    *,
    clock: Clock,
    redactor: Redactor,
    logs_since: datetime,
    since: datetime,
) -> list[Source]:
    """Build every source the environment's file asks for.

    `logs_since` is how far back lines are read at the start, `since` the same for traces, metrics and history.
    """
    cleaner = Cleaner(redactor)
    lines = LineParser(redactor)
    found: list[Source] = []
    release = ReleaseSource(aws, environment, clock=clock, since=since, clean=cleaner.text)
    if environment.functions or environment.stacks or environment.release.codedeploy:
        found.append(release)
    logs = LogSource(
        aws, log_targets(environment), clock=clock, parse=lines.parse_event, parse_all=lines.parse_all, since=logs_since
    )
    if log_targets(environment):
        found.append(logs)
    if environment.traces_enabled and (environment.functions or environment.traces_filter):
        spans = spans_target(environment)
        found.append(
            TraceSource(
                aws,
                clock=clock,
                since=logs_since,
                cleaner=cleaner,
                filter_expression=environment.traces_filter,
                on_spans=partial(logs.follow, spans) if spans else None,
            )
        )
        found.append(
            GraphSource(aws, clock=clock, cleaner=cleaner, released_at=lambda: release_began(release.states.values()))
        )
    if environment.functions or environment.metrics:
        found.append(
            MetricSource(
                aws,
                environment.functions,
                environment.metrics,
                clock=clock,
                since=since,
                behind=release.behind,
            )
        )
    if environment.alarms:
        found.append(AlarmSource(aws, environment.alarms, clock=clock, since=since, clean=cleaner.text))
    return found
