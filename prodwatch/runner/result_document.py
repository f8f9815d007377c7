"""Results, verdict and run information as the one document that every format is made from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from prodwatch.model.result import (
    Blocking,
    CheckResult,
    EnvironmentInfo,
    Notice,
    RunInfo,
    RunResult,
    Tool,
)
from prodwatch.model.status import Reason, Status
from prodwatch.runner.options import RunOptions
from prodwatch.runner.step.run_context import RunContext
from prodwatch.runner.step.run_step import UNATTESTED
from prodwatch.runner.values.release import release_info
from prodwatch.runner.verdict import ADVISORY, SUPPORTING, decide, summarize


class RunFacts(msgspec.Struct, frozen=True, kw_only=True):
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


def assemble(context: RunContext, results: Sequence[CheckResult], options: RunOptions, facts: RunFacts) -> RunResult:
    """Return the whole document."""
    verdict = decide(
        results,
        strict=options.strict,
        allow_empty=options.allow_empty,
        shard=options.shard,
        interrupted=facts.interrupted,
        run_problem=facts.refused,
    )
    problem = context.inputs.release_problem()
    if problem is not None:
        context.notice("release", context.redactor.text(f"the release under test is not known: {problem}"))
    selected = [each for each in results if SUPPORTING not in each.flags]
    if selected and all(ADVISORY in each.flags for each in selected):
        context.notice("advisory_only", "only advisory checks were selected; they are shown and never gate")
    environment = context.environment
    usage = context.aws.usage()
    return RunResult(
        tool=Tool(version=facts.version),
        run=RunInfo(
            id=facts.run_id,
            mode=options.mode,
            started_at=facts.started_at,
            ended_at=facts.ended_at,
            duration_ms=round(facts.duration_s * 1000),
            host=options.host,
            ci=options.ci,
            shard=None if options.shard is None else f"{options.shard[0]}/{options.shard[1]}",
        ),
        environment=EnvironmentInfo(
            name=environment.name,
            title=environment.title,
            account=environment.aws.account,
            # Reading the profile loads the SDK, so it is asked only when AWS was.
            region=environment.aws.region or (context.aws.region_name() if usage.calls else None),
        ),
        release=release_info(context.inputs.known_releases(), attested=_attested(results)),
        verdict=verdict,
        summary=summarize(results),
        checks=tuple(results),
        notices=_sorted(context.notices.values()),
        usage=usage,
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
