"""Measures a gate on the project's own past: how often it would have failed while nothing was released."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from statistics import median
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.aws.usage_meter import shipped_prices
from prodwatch.clock import Clock
from prodwatch.errors import CannotVerifyError, ConfigurationError
from prodwatch.judge.comparison.placebo import (
    BEFORE_MINUTES,
    Fails,
    Minute,
    Placebo,
    before_after_fails,
    errors_fail,
    latency_fails,
    ratios_of,
    without_failure,
)
from prodwatch.judge.comparison.version_comparison import COUNTED_QUANTILES, VersionComparison
from prodwatch.model.environment import (
    Compare,
    Environment,
    ErrorComparison,
    FunctionTarget,
    LatencyComparison,
    place_of,
)
from prodwatch.model.identity import PlaceNames
from prodwatch.model.status import Reason
from prodwatch.session.engine import Engine
from prodwatch.session.past import DEPLOYMENTS_BEFORE, WEEK, BoundedReads
from prodwatch.sources.lambda_metrics import MINUTE_S, NAMESPACE, dimensions_of
from prodwatch.sources.release.alias_weights import alias_state_of, traffic_shares
from prodwatch.sources.release.codedeploy import Reading, deployment_reader, read_places
from prodwatch.sources.release.function_code import LATEST, FunctionCodeCache
from prodwatch.sources.release.stack_events import StackEventReader
from prodwatch.text.units import format_usd
from prodwatch.views.time_window import Window

SCHEMA = "prodwatch.placebo/1"
MAX_DAYS = 14.0
"""CloudWatch keeps one-minute points for 15 days."""
WEEK_PERIOD_S = 300
"""Period of the counts of a week before: their one-minute points may be gone."""
_SETTLED = timedelta(minutes=5)
"""Age from which CloudWatch's counts no longer change, with a minute to spare."""
_CHUNK = 4
"""Series of one request, so that all of its points fit into few pages."""
_POINTS = 100_800
"""Most points of one page."""
_CALL = "cloudwatch:GetMetricData"


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """Cuts of one function that a gate would have failed, and all of them."""

    cuts: int
    failed: int
    at_most: float | None
    """Upper bound of the true share at 95 %, 3/n where none failed; None where some did, or nothing was measured."""
    failed_at: tuple[datetime, ...] = ()
    """The latest cuts that failed, at most 10."""


class FunctionPlacebo(msgspec.Struct, frozen=True, kw_only=True):
    """Placebo releases of one function."""

    function: str
    requests: int
    before_after: Share
    """A release of all traffic at the cut, compared with the hour before and the same time a week before."""
    errors: Share
    """A random share of the requests after the cut, compared with the others."""
    latency: Share


class Thresholds(msgspec.Struct, frozen=True, kw_only=True):
    """The least loosened thresholds by which no cut of any function failed; None: none of those tried."""

    errors: ErrorComparison | None
    latency: LatencyComparison | None
    changed: bool
    """Whether they differ from the present ones."""


class PlaceboDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Result of `prodwatch placebo`."""

    schema: str = SCHEMA
    environment: str
    from_: datetime = msgspec.field(name="from")
    """Start of the minutes that were there."""
    to: datetime
    days_asked: float
    bake_s: float
    weight: float
    seed: int
    left_out: int
    """Cuts near a release."""
    functions: tuple[FunctionPlacebo, ...]
    thresholds: Thresholds
    cost_usd: float


class _Cut(NamedTuple):
    at: datetime
    placebo: Placebo


class _Series(NamedTuple):
    """Metric and statistic of a function."""

    metric: str
    stat: str


async def placebo(
    engine: Engine,
    clock: Clock,
    *,
    days: float,
    weight: float,
    seed: int,
    known_releases: Iterable[datetime] = (),
    say: Callable[[str], None] = lambda _sentence: None,
) -> PlaceboDocument:
    """Measure the environment's thresholds. `say` receives the price before the first paid call.

    `known_releases` are those of the history. Raises ConfigurationError without a function, CannotVerifyError when
    anything cannot be read: a part would look like a quiet time.
    """
    environment = engine.environment
    if not environment.functions:
        raise ConfigurationError(f"environment {environment.name} has no [[function]], whose traffic a placebo needs")
    if environment.compare.errors is None:
        raise ConfigurationError("[compare] errors = false: there are no thresholds that a placebo could measure")
    end = _floor(clock.now() - _SETTLED)
    start = end - timedelta(days=days)
    _state_price(engine, days, say)
    try:
        releases = await _releases(engine, start - timedelta(minutes=BEFORE_MINUTES), end, clock)
        # Each span is read for all functions before the next one.
        weeks = [await _read_week_before(engine.aws, each, start, end) for each in environment.functions]
        read = [
            _Read(await _read_minutes(engine.aws, function, environment.compare, start, end), week)
            for function, week in zip(environment.functions, weeks, strict=True)
        ]
    except AwsError as error:
        raise CannotVerifyError(engine.clean(error.message), error.reason) from error
    releases = [*releases, *((each, each) for each in known_releases)]
    return await asyncio.to_thread(
        _measure, environment, read, releases, (start, end, days, weight, seed), engine.aws.usage().cost_usd
    )


def _state_price(engine: Engine, days: float, say: Callable[[str], None]) -> None:
    """State the price. Raises CannotVerifyError for one over the limit."""
    environment = engine.environment
    latency = environment.compare.latency
    counted = len(COUNTED_QUANTILES) * (1 + len(ratios_of(latency))) if latency is not None else 0
    fine = 2 + len(COUNTED_QUANTILES) + counted
    pages = max(1, -(-int(days * 1440 + BEFORE_MINUTES) * _CHUNK // _POINTS))
    series = len(environment.functions) * (fine * pages + 2)
    usd = series * environment.limits.prices.get(_CALL, shipped_prices()[_CALL].usd)
    limit_usd = environment.limits.api_cost_usd
    left_usd = float("inf") if limit_usd is None else max(0.0, limit_usd - engine.aws.usage().cost_usd)
    about = f"about {format_usd(usd)} for {series} metric series"
    if usd > left_usd:
        message = f"reading {days:g} days costs {about}, and [limits] api_cost_usd leaves {format_usd(left_usd)}"
        raise CannotVerifyError(message, Reason.LIMIT)
    say(f"reading {days:g} days costs {about}")


async def _releases(engine: Engine, start: datetime, end: datetime, clock: Clock) -> list[tuple[datetime, datetime]]:
    """Return start and end of every known release and change. Raises AwsError, CannotVerifyError."""
    environment = engine.environment
    # Deployments of a window are listed from some time before it on.
    aws = BoundedReads(engine.aws, Window(start=start, end=end), end)
    readers = {
        (place, application): deployment_reader(aws, application, clock, place)
        for place in environment.deployment_places
        for application in environment.release.codedeploy
    }
    since = start - DEPLOYMENTS_BEFORE
    found: list[tuple[datetime, datetime]] = []
    for outcome in (await read_places(readers, lambda reader: reader.read(clean=engine.clean, since=since))).values():
        if not isinstance(outcome, Reading):
            raise outcome
        if outcome.unread:
            raise CannotVerifyError(f"the releases could not be read: {'; '.join(outcome.unread)}", Reason.NO_DATA)
        found += [(each.created_at, each.ended_at or end) for each in outcome.deployments]
    for stack in environment.stacks.values():
        events = await StackEventReader(engine.aws, stack, since=start, clean=engine.clean).read(clock.monotonic_s())
        found += [(each.at, each.at) for each in events]
    codes = FunctionCodeCache(engine.aws, engine.clean)
    for function in environment.functions:
        for version in await _versions(engine.aws, function):
            published_at = (await codes.read(function, version)).published_at
            if published_at is not None:
                found.append((published_at, published_at))
    return found


async def _versions(aws: AwsApi, function: FunctionTarget) -> Sequence[str]:
    """Return the versions that serve now. Raises AwsError."""
    if function.alias is None:
        return (LATEST,)
    params = {"FunctionName": function.name, "Name": function.alias}
    response = await aws.call("lambda", "GetAlias", params, account=function.account, region=function.region)
    return tuple(traffic_shares(alias_state_of(response)))


class _Read(NamedTuple):
    """The minutes of one function, and its counts a week before in longer periods."""

    minutes: tuple[Minute, ...]
    last_week: tuple[Minute, ...]


_COUNTS, _ERRORS = _Series("Invocations", "Sum"), _Series("Errors", "Sum")


async def _read_week_before(
    aws: AwsApi, function: FunctionTarget, start: datetime, end: datetime
) -> tuple[Minute, ...]:
    """Return the counts of the cuts' same time a week earlier, in longer periods. Raises as `_points` does."""
    span = (start - WEEK, end - WEEK + timedelta(hours=1))
    counts = await _points(aws, function, [_COUNTS, _ERRORS], span, WEEK_PERIOD_S)
    return tuple(
        Minute(at_s, round(requests), round(counts[_ERRORS].get(at_s, 0)))
        for at_s, requests in sorted(counts[_COUNTS].items())
    )


async def _read_minutes(
    aws: AwsApi, function: FunctionTarget, limits: Compare, start: datetime, end: datetime
) -> tuple[Minute, ...]:
    """Return every minute of the span and of the hour before it. Raises as `_points` does."""
    span = (start - timedelta(minutes=BEFORE_MINUTES), end)
    quantiles = [_Series("Duration", each) for each in COUNTED_QUANTILES] if limits.latency is not None else []
    read = await _points(aws, function, [_COUNTS, _ERRORS, *quantiles], span, MINUTE_S)
    usual_ms = [median(values) for each in quantiles if (values := read[each].values())]
    usual: list[_Series] = []
    slow: list[list[_Series]] = []
    if limits.latency is not None and len(usual_ms) == len(quantiles):
        usual = [_exceeding(each) for each in usual_ms]
        for ratio in ratios_of(limits.latency):
            looser = replace(limits, latency=replace(limits.latency, ratio=ratio))
            limit_ms = VersionComparison("", "new", "old", looser).latency_limit
            slow.append([_exceeding(limit_ms(each)) for each in usual_ms])
        exceeding = list(dict.fromkeys((*usual, *(each for row in slow for each in row))))
        read |= await _points(aws, function, exceeding, span, MINUTE_S)
    return tuple(
        Minute(
            at_s=at_s,
            requests=round(requests),
            failed=round(read[_ERRORS].get(at_s, 0)),
            usual=tuple(round(read[each].get(at_s, 0)) for each in usual),
            slow=tuple(tuple(round(read[each].get(at_s, 0)) for each in row) for row in slow),
        )
        for at_s, requests in sorted(read[_COUNTS].items())
    )


def _exceeding(limit_ms: float) -> _Series:
    return _Series("Duration", f"TC({limit_ms:.3f}:)")


async def _points(
    aws: AwsApi,
    function: FunctionTarget,
    series: Sequence[_Series],
    span: tuple[datetime, datetime],
    period_s: int,
) -> dict[_Series, dict[int, float]]:
    """Return each series as start of the period → value. Raises AwsError, and CannotVerifyError for one in part."""
    found: dict[_Series, dict[int, float]] = {each: {} for each in series}
    dimensions = [{"Name": name, "Value": value} for name, value in dimensions_of(function)]
    for begin in range(0, len(series), _CHUNK):
        chunk = series[begin : begin + _CHUNK]
        metric = {"Namespace": NAMESPACE, "Dimensions": dimensions}
        params: dict[str, Any] = {
            "MetricDataQueries": [
                {
                    "Id": f"m{number}",
                    "MetricStat": {
                        "Metric": metric | {"MetricName": each.metric},
                        "Period": period_s,
                        "Stat": each.stat,
                    },
                }
                for number, each in enumerate(chunk)
            ],
            "StartTime": span[0],
            "EndTime": span[1],
            "ScanBy": "TimestampAscending",
        }
        statuses: dict[str, str] = {}
        pages = aws.pages("cloudwatch", "GetMetricData", params, account=function.account, region=function.region)
        async for page in pages:
            for result in page.get("MetricDataResults") or ():
                id_ = result["Id"]
                statuses[id_] = result.get("StatusCode") or "Complete"
                values = zip(result.get("Timestamps") or (), result.get("Values") or (), strict=True)
                found[chunk[int(id_[1:])]].update((int(at.timestamp()), float(value)) for at, value in values)
        if any(statuses.get(f"m{number}") != "Complete" for number in range(len(chunk))):
            message = f"CloudWatch did not return all of {', '.join(f'{each.metric} {each.stat}' for each in chunk)}"
            raise CannotVerifyError(f"{message} of {function.name}", Reason.NO_DATA)
    return found


def _measure(
    environment: Environment,
    read: Sequence[_Read],
    releases: Sequence[tuple[datetime, datetime]],
    asked: tuple[datetime, datetime, float, float, int],
    cost_usd: float,
) -> PlaceboDocument:
    start, end, days, weight, seed = asked
    limits, bake_s = environment.compare, environment.rounds.bake_s
    comparisons = len(environment.functions)
    names = PlaceNames((each.name, place_of(each)) for each in environment.functions)
    functions: list[FunctionPlacebo] = []
    everything: list[Placebo] = []
    ratios: list[float | None] = []
    left_out = 0
    fail_errors = partial(errors_fail, weight=weight, comparisons=comparisons)
    for function, own in zip(environment.functions, read, strict=True):
        cuts, near = _cuts(own, releases, (start, end), bake_s, seed)
        left_out += near
        everything += [each.placebo for each in cuts]
        timed = [each for each in cuts if each.placebo.last_week]
        slow = [each for each in cuts if each.placebo.after[0].slow]
        fail_latency = partial(latency_fails, weight=weight, ratio=0, comparisons=comparisons)
        functions.append(
            FunctionPlacebo(
                function=names.of(function.name, place_of(function)),
                requests=sum(minute.requests for each in cuts for minute in each.placebo.after),
                before_after=_share(timed, before_after_fails, limits),
                errors=_share(cuts, fail_errors, limits),
                latency=_share(slow, fail_latency, limits),
            )
        )
        if limits.latency is not None and slow:
            ratios.append(_ratio(slow, limits, weight, comparisons))
    errors = without_failure(everything, limits, (before_after_fails, fail_errors))
    latency = limits.latency if None not in ratios else None
    if latency is not None and ratios:
        latency = replace(latency, ratio=max(each for each in ratios if each is not None))
    return PlaceboDocument(
        environment=environment.name,
        from_=min((_time(each.minutes[0].at_s) for each in read if each.minutes), default=end),
        to=end,
        days_asked=days,
        bake_s=bake_s,
        weight=weight,
        seed=seed,
        left_out=left_out,
        functions=tuple(functions),
        thresholds=Thresholds(
            errors=errors, latency=latency, changed=errors != limits.errors or latency != limits.latency
        ),
        cost_usd=cost_usd,
    )


def _cuts(
    read: _Read,
    releases: Sequence[tuple[datetime, datetime]],
    span: tuple[datetime, datetime],
    bake_s: float,
    seed: int,
) -> tuple[list[_Cut], int]:
    """Return the cuts of one function, one per bake, and the number of those left out because of a release."""
    start, end = span
    bake, lead = timedelta(seconds=max(MINUTE_S, bake_s)), timedelta(minutes=BEFORE_MINUTES)
    starts = [each.at_s for each in read.minutes]
    weeks = [each.at_s for each in read.last_week]

    def between(minutes: Sequence[Minute], at: Sequence[int], first: datetime, last: datetime) -> tuple[Minute, ...]:
        return tuple(minutes[bisect_left(at, first.timestamp()) : bisect_left(at, last.timestamp())])

    cuts, near, number, cut = [], 0, 0, start
    while cut + bake <= end:
        number += 1
        before = between(read.minutes, starts, cut - lead, cut)
        after = between(read.minutes, starts, cut, cut + bake)
        if any(began <= cut + bake and ended >= cut - lead for began, ended in releases):
            near += 1
        elif before and after:
            week = between(read.last_week, weeks, cut - WEEK, cut - WEEK + timedelta(hours=1))
            cuts.append(_Cut(cut, Placebo(before=before, after=after, last_week=week, seed=seed + number)))
        cut += bake
    return cuts, near


def _share(cuts: Sequence[_Cut], fails: Fails, limits: Compare) -> Share:
    failed = [each.at for each in cuts if fails(each.placebo, limits)]
    at_most = min(1.0, 3 / len(cuts)) if cuts and not failed else None
    return Share(cuts=len(cuts), failed=len(failed), at_most=at_most, failed_at=tuple(failed[-10:]))


def _ratio(cuts: Sequence[_Cut], limits: Compare, weight: float, comparisons: int) -> float | None:
    """Return the first ratio of latency by which no cut fails; None without one."""
    assert limits.latency is not None
    failing = [each.placebo for each in cuts]
    for number, ratio in enumerate(ratios_of(limits.latency)):
        fails = partial(latency_fails, weight=weight, ratio=number, comparisons=comparisons)
        failing = [each for each in failing if fails(each, limits)]
        if not failing:
            return ratio
    return None


def _floor(at: datetime) -> datetime:
    return _time(int(at.timestamp()) // WEEK_PERIOD_S * WEEK_PERIOD_S)


def _time(at_s: int) -> datetime:
    return datetime.fromtimestamp(at_s, UTC)


def toml_lines(thresholds: Thresholds) -> Mapping[str, str]:
    """Return key of `[compare]` → line to paste; a key without a line has no threshold that never failed."""
    lines = {}
    errors = thresholds.errors
    if errors is not None:
        lines["errors"] = (
            f'errors  = {{ ratio = {errors.ratio}, difference = "{errors.difference * 100:g}%", '
            f'always = "{errors.always * 100:g}%", min_bad = {errors.min_bad}, '
            f'false_alarms = "{errors.false_alarms * 100:g}%" }}'
        )
    latency = thresholds.latency
    if latency is not None:
        lines["latency"] = (
            f'latency = {{ ratio = {latency.ratio}, shift = "{latency.shift_s * 1000:g}ms", '
            f'false_alarms = "{latency.false_alarms * 100:g}%" }}'
        )
    return lines
