"""Plans the bake of the next release from the traffic of the last hour; reads CloudWatch, runs no check."""

from __future__ import annotations

import asyncio
import math
import statistics
from collections.abc import Callable, Iterable
from datetime import timedelta
from statistics import NormalDist

import msgspec

from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.clock import Clock
from prodwatch.errors import CannotVerifyError, ConfigurationError
from prodwatch.judge.comparison.plan import RUNS, Plan, Traffic, plan
from prodwatch.model.environment import Environment, FunctionTarget, place_of
from prodwatch.model.identity import PlaceNames
from prodwatch.model.signal import MetricSeries
from prodwatch.sources.lambda_metrics import FunctionVersions, series_key
from prodwatch.sources.metrics import MetricSource

READ_FOR = timedelta(hours=1)
"""Traffic before the present that a plan rests on."""
_SAMPLE = 2000
_FEWEST_RUNS = 50
"""With many functions, each gets fewer simulated bakes, so that all plans take seconds."""
_KNOWN = (0.5, 0.95, 0.99)
_SEED = 42


class FunctionPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Plan of one function's bake."""

    function: str
    """Its name, with account and region where several have it."""
    plan: Plan | None
    """None where its traffic could not be read."""
    message: str | None = None
    """Reason for the absence of a plan, one sentence."""


async def plan_bakes(
    environment: Environment,
    aws: AwsApi,
    *,
    clock: Clock,
    clean: Callable[[str], str],
    weight: float,
    bake_s: float,
) -> tuple[FunctionPlan, ...]:
    """Return a plan for each function of the environment, of which the new version gets `weight` of the traffic.

    `clean` sanitises and redacts texts from AWS. Raises ConfigurationError without a function.
    """
    functions = environment.functions
    if not functions:
        raise ConfigurationError(f"environment {environment.name} has no [[function]], whose traffic a plan rests on")
    read = await asyncio.gather(*(_traffic(each, aws, clock, clean) for each in functions))
    runs = max(_FEWEST_RUNS, RUNS // len(functions))
    plans = []
    places = PlaceNames((each.name, place_of(each)) for each in functions)
    for function, traffic in zip(functions, read, strict=True):
        name = places.of(function.name, place_of(function))
        if isinstance(traffic, str):
            plans.append(FunctionPlan(function=name, plan=None, message=traffic))
            continue
        planned = await asyncio.to_thread(
            plan,
            traffic,
            weight=weight,
            bake_s=bake_s,
            limits=environment.compare,
            comparisons=len(functions),
            seed=_SEED,
            runs=runs,
        )
        plans.append(FunctionPlan(function=name, plan=planned))
    return tuple(plans)


async def _traffic(function: FunctionTarget, aws: AwsApi, clock: Clock, clean: Callable[[str], str]) -> Traffic | str:
    """Return the function's traffic of the last hour, or one sentence when it could not be read."""
    source = MetricSource(
        aws,
        (function,),
        (),
        clock=clock,
        since=clock.now() - READ_FOR,
        versions_of=lambda _function: FunctionVersions(()),
    )
    try:
        records = await source.poll()
    except (AwsError, CannotVerifyError) as error:
        return clean(str(error))
    return traffic_of(function, [each for each in records if isinstance(each, MetricSeries)])


def traffic_of(function: FunctionTarget, series: Iterable[MetricSeries]) -> Traffic | str:
    """Return the traffic in Lambda's series of a function, or one sentence where Invocations or Errors are missing."""
    wanted = {
        name: series_key(function, metric, stat, None)
        for name, metric, stat in (
            ("rate", "Invocations", "rate"),
            ("errors", "Errors", "share"),
            *((f"p{share * 100:g}", "Duration", f"p{share * 100:g}") for share in _KNOWN),
        )
    }
    found = {
        name: each
        for each in series
        for name, key in wanted.items()
        if msgspec.structs.replace(each.key, label="") == key
    }
    rate = found.get("rate")
    if rate is None or not rate.read:
        return f"the invocations of {function.name} could not be read"
    span_s = sum(end - start for start, end in rate.read)
    served = {
        each.timestamp_s: each.value * rate.period_s
        for each in rate.points
        if any(start <= each.timestamp_s < end for start, end in rate.read)
    }
    requests = sum(served.values())
    if not requests:
        return Traffic(requests_per_s=0.0, error_share=0.0)
    shares = {each.timestamp_s: each.value / 100 for each in found["errors"].points} if "errors" in found else {}
    counted = sum(count for at, count in served.items() if at in shares)
    if not counted:
        return f"the errors of {function.name} could not be read"
    failed = sum(count * shares[at] for at, count in served.items() if at in shares)
    quantiles = [
        statistics.median(each.value for each in found[name].points)
        for name in ("p50", "p95", "p99")
        if name in found and found[name].points
    ]
    return Traffic(
        requests_per_s=requests / span_s,
        error_share=failed / counted,
        durations_ms=_sample(quantiles) if len(quantiles) == len(_KNOWN) else (),
    )


def _sample(quantiles: list[float]) -> tuple[float, ...]:
    """Return evenly spaced quantiles through three known ones, on straight lines of logarithm by normal deviate."""
    deviates = [NormalDist().inv_cdf(each) for each in _KNOWN]
    logs = [math.log(max(0.001, each)) for each in quantiles]
    low, high = (
        (logs[after] - logs[before]) / (deviates[after] - deviates[before]) for before, after in ((0, 1), (1, 2))
    )

    def at(share: float) -> float:
        deviate = NormalDist().inv_cdf(share)
        if deviate <= deviates[1]:
            return math.exp(logs[0] + low * (deviate - deviates[0]))
        return math.exp(logs[1] + high * (deviate - deviates[1]))

    return tuple(at((number + 0.5) / _SAMPLE) for number in range(_SAMPLE))
