"""Results, verdict and run information as the one document that every format is made from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from prodwatch.judge.decide import decide
from prodwatch.judge.decision import Rule
from prodwatch.judge.facts import SUPPORTING, Facts, check_fact, signal_fact
from prodwatch.model.environment import Environment
from prodwatch.model.result import (
    Blocking,
    CheckResult,
    EnvironmentInfo,
    Notice,
    RunInfo,
    RunResult,
    SignalResult,
    Summary,
    Tool,
)
from prodwatch.model.status import Reason, Status
from prodwatch.runner.options import RunOptions, left_out
from prodwatch.runner.step.run_context import RunContext
from prodwatch.runner.step.run_step import STALLED, UNATTESTED
from prodwatch.runner.values.read_releases import release_info


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """When a run happened and how it ended."""

    run_id: str
    version: str
    """Of prodwatch."""
    started_at: datetime
    ended_at: datetime
    duration_s: float
    interrupted: int | None
    """Exit code of an aborted run."""
    refused: Blocking | None
    """Why the whole run sent nothing; None when it did not."""


def assemble(
    context: RunContext,
    results: Sequence[CheckResult],
    signals: tuple[SignalResult, ...],
    options: RunOptions,
    record: RunRecord,
) -> RunResult:
    """Return the whole document."""
    decision = decide(
        run_facts(
            results,
            signals,
            strict=options.strict,
            allow_empty=options.allow_empty,
            shard=options.shard,
            interrupted=record.interrupted,
            refused=record.refused or _unknown_release(context.environment),
        )
    )
    for unfilled in context.environment.unfilled:
        context.notice("unresolved", context.redactor.text(unfilled.sentence))
    for secret in context.inputs.unmasked_secrets():
        if not secret.missing:
            context.notice("secret", context.redactor.text(f"{secret.message}; it is not masked in this result"))
    releases = context.inputs.known_releases()
    if releases.problem is not None:
        context.notice("release", context.redactor.text(f"the release under test is not known: {releases.problem}"))
    slow = _slow_machine(context, results, record.duration_s)
    if slow is not None:
        context.notice("stalled", slow)
    left = left_out(context.environment) if options.no_signals else None
    if left is not None:
        context.notice("signals", left)
    if decision.of(Rule.ADVISORY_ONLY) is not None:
        context.notice("advisory_only", "Only advisory checks were selected; they are shown and never gate")
    environment = context.environment
    usage = context.aws.usage()
    if usage.unpriced and environment.limits.api_cost_usd is not None:
        context.notice(
            "unpriced",
            f"[limits] api_cost_usd cannot count {', '.join(usage.unpriced)}: the price is not known; "
            "set it in [limits.prices]",
        )
    return RunResult(
        tool=Tool(version=record.version),
        run=RunInfo(
            id=record.run_id,
            mode=options.mode,
            started_at=record.started_at,
            ended_at=record.ended_at,
            duration_ms=round(record.duration_s * 1000),
            host=options.host,
            ci=options.ci,
            shard=None if options.shard is None else f"{options.shard[0]}/{options.shard[1]}",
            digest=options.digest,
        ),
        environment=EnvironmentInfo(
            name=environment.name,
            title=environment.title,
            account=environment.aws.account,
            # Reading the profile loads the SDK, so it is asked only when AWS was.
            region=environment.aws.region or (context.aws.region_name() if usage.calls else None),
        ),
        release=release_info(releases.certain, attested=_attested(results)),
        verdict=decision.verdict,
        summary=summarize(results),
        checks=tuple(results),
        signals=signals,
        notices=_sorted(context.notices.values()),
        usage=usage,
    )


def _unknown_release(environment: Environment) -> Blocking | None:
    """Return why it is unknown which release was measured; None when its functions have names."""
    for each in environment.unfilled_of("function", "release"):
        return Blocking(kind="run", id=each.kind, status=each.status, message=each.sentence)
    return None


def run_facts(
    results: Iterable[CheckResult],
    signals: Iterable[SignalResult] = (),
    *,
    strict: bool = False,
    allow_empty: bool = False,
    shard: tuple[int, int] | None = None,
    interrupted: int | None = None,
    refused: Blocking | None = None,
) -> Facts:
    """Return the facts of a run's verdict."""
    return Facts(
        mode="run",
        checks=tuple(check_fact(each) for each in results),
        signals=tuple(signal_fact(each) for each in signals),
        strict=strict,
        allow_empty=allow_empty,
        shard=shard,
        interrupted=interrupted,
        refused=refused,
    )


def summarize(results: Iterable[CheckResult]) -> Summary:
    """Count selected results by status; `flaky` counts across statuses."""
    counts = dict.fromkeys(Status, 0)
    flaky = 0
    for result in results:
        if SUPPORTING in result.flags:
            continue
        counts[result.status] += 1
        flaky += "flaky" in result.flags
    return Summary(
        passed=counts[Status.PASS],
        degraded=counts[Status.DEGRADED],
        fail=counts[Status.FAIL],
        error=counts[Status.ERROR],
        inconclusive=counts[Status.INCONCLUSIVE],
        skipped=counts[Status.SKIPPED],
        flaky=flaky,
        total=sum(counts.values()),
    )


def _slow_machine(context: RunContext, results: Iterable[CheckResult], duration_s: float) -> str | None:
    """Return the notice of a run during which this machine was too slow; None when no check was affected."""
    affected = sum(STALLED in result.flags for result in results)
    if not affected:
        return None
    now_s = context.clock.monotonic_s()
    checks = "1 check that was" if affected == 1 else f"{affected} checks that were"
    return (
        f"this machine is too slow: prodwatch did not run for {context.lag.stalled_s(now_s - duration_s, now_s):.2f} s"
        f" of {duration_s:.2f} s; {checks} measured meanwhile: flag `stalled`;"
        " end other programs, or run fewer checks at once with --jobs"
    )


def _sorted(notices: Iterable[Notice]) -> tuple[Notice, ...]:
    return tuple(sorted(notices, key=lambda notice: (notice.code, notice.message)))


def _attested(results: Sequence[CheckResult]) -> bool | None:
    """Return whether the version under test responded and no other did; None when nothing was measured."""
    measured = [result for result in results if result.status in {Status.PASS, Status.DEGRADED, Status.FAIL}]
    if any(result.reason_code is Reason.VERSION_MISMATCH for result in results):
        return False
    if not measured:
        return None
    return any(UNATTESTED not in result.flags and result.version is not None for result in measured)
