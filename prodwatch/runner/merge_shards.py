"""Merges shards into one result: the verdict covers all of them, and a missing shard is never green."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import NoReturn

from msgspec.structs import replace

from prodwatch.errors import ConfigurationError
from prodwatch.judge.decide import decide
from prodwatch.judge.facts import SUPPORTING
from prodwatch.judge.signals import merged
from prodwatch.model.result import Blocking, CheckResult, Notice, ReleaseInfo, RunResult, StepResult, Usage
from prodwatch.model.status import WORST_FIRST, Status
from prodwatch.runner.run_result_document import run_facts, summarize
from prodwatch.runner.schedule.selection import parse_shard
from prodwatch.text.units import format_ms

APART = timedelta(hours=1)
"""Longest time between the starts of two shards without a notice."""


def merge_results(results: Sequence[RunResult], *, strict: bool = False, allow_empty: bool = False) -> RunResult:
    """Return one result of all shards of a run.

    ConfigurationError when they belong to different runs, environments, releases or divisions, when one contradicts
    itself, or when `results` is empty. A notice when they started far apart.
    A shard that is missing makes the verdict `inconclusive` at best; one that was aborted makes it `aborted`; one
    that was run with `--strict` makes the merged run strict too.
    """
    if not results:
        raise ConfigurationError("there is nothing to merge; name the result files of all shards")
    _refuse_unrelated(results)
    for result in results:
        _refuse_contradiction(result)
    ordered = sorted(results, key=lambda result: (_shard(result)[0], result.run.started_at))
    checks, notices = _checks(ordered)
    notices = tuple(sorted((*notices, *_doubts(ordered)), key=lambda notice: (notice.code, notice.message)))
    # Every shard reads them all; the heaviest reading counts.
    signals = merged(signal for each in ordered for signal in each.signals)
    missing = _missing(ordered)
    interrupted = next((result.verdict.exit_code for result in ordered if result.verdict.status == "aborted"), None)
    problems = [blocking for result in ordered for blocking in result.verdict.blocking if blocking.kind == "run"]
    decision = decide(
        run_facts(
            checks,
            signals,
            strict=strict
            or any(result.verdict.status == "degraded" and result.verdict.exit_code for result in ordered),
            allow_empty=allow_empty,
            interrupted=interrupted,
            refused=problems[0] if problems else missing,
        )
    )
    first = ordered[0]
    started_at = min(result.run.started_at for result in ordered)
    ended_at = max(result.run.ended_at for result in ordered)
    return replace(
        first,
        run=replace(
            first.run,
            mode="merge",
            started_at=started_at,
            ended_at=ended_at,
            duration_ms=round((ended_at - started_at).total_seconds() * 1000),
            shard=None,
        ),
        release=_release(ordered),
        verdict=decision.verdict,
        summary=summarize(checks),
        checks=checks,
        signals=signals,
        notices=notices,
        usage=_usage(ordered),
    )


def _shard(result: RunResult) -> tuple[int, int]:
    if result.run.shard is None:
        return 1, 1
    return parse_shard(result.run.shard)


def _refuse_unrelated(results: Sequence[RunResult]) -> None:
    environments = sorted({result.environment.name for result in results})
    if len(environments) > 1:
        raise ConfigurationError(f"these are results of different environments ({', '.join(environments)})")
    for noun, found in (
        ("AWS accounts", {result.environment.account for result in results}),
        ("regions", {result.environment.region for result in results}),
        ("releases", {result.release.version for result in results if result.release is not None}),
    ):
        known = sorted(each for each in found if each is not None)
        if len(known) > 1:
            raise ConfigurationError(f"these are results of different {noun} ({', '.join(known)})")
    if len({result.run.digest for result in results}) > 1:
        raise ConfigurationError(
            "these shards are not of one run: their check files, environment, selection or options differ; "
            "run all shards from the same commit with the same options"
        )
    if len({result.run.shard is None for result in results}) > 1:
        raise ConfigurationError("some of these are shards and some are whole runs; name the shards of one run only")
    divisions = sorted({_shard(result)[1] for result in results if result.run.shard is not None})
    if len(divisions) > 1:
        raise ConfigurationError(f"these are shards of different divisions (of {', of '.join(map(str, divisions))})")
    twice = [shard for shard, times in Counter(result.run.shard for result in results).items() if shard and times > 1]
    if twice:
        raise ConfigurationError(f"shard {twice[0]} was given twice; name each result once")


def _refuse_contradiction(result: RunResult) -> None:
    """Raise ConfigurationError for a document whose verdict or statuses are not those of its own parts."""
    for check in result.checks:
        green = check.status in {Status.PASS, Status.DEGRADED}
        if green and (_denies(check) or any(map(_denies, check.steps))):
            _contradicts(result, f"{check.id} is {check.status} although one of its assertions or steps is not true")
    if summarize(result.checks) != result.summary:
        _contradicts(result, "its summary does not count its checks")
    if result.verdict.status == "aborted":
        return
    problem = next((each for each in result.verdict.blocking if each.kind == "run"), None)
    shard = None if result.run.shard is None else _shard(result)
    facts = run_facts(result.checks, result.signals, allow_empty=True, shard=shard, refused=problem)
    status = decide(facts).verdict.status
    if status != result.verdict.status:
        _contradicts(result, f"its verdict is {result.verdict.status}, that of its checks and signals is {status}")


def _denies(part: CheckResult | StepResult) -> bool:
    return (isinstance(part, StepResult) and part.status in {Status.FAIL, Status.ERROR, Status.INCONCLUSIVE}) or any(
        each.severity == "expect" and each.ok is not True for each in part.assertions
    )


def _contradicts(result: RunResult, why: str) -> NoReturn:
    name = f"shard {result.run.shard}" if result.run.shard else f"run {result.run.id}"
    raise ConfigurationError(f"the result of {name} contradicts itself: {why}; run it again")


def _doubts(results: Sequence[RunResult]) -> Iterator[Notice]:
    """Yield notices about results that may not belong together."""
    starts = [result.run.started_at for result in results]
    apart = max(starts) - min(starts)
    if apart > APART:
        text = format_ms(round(apart.total_seconds() * 1000))
        first, last = (f"{at:%Y-%m-%d %H:%M} UTC" for at in (min(starts), max(starts)))
        yield Notice(code="apart", message=f"the shards started {text} apart, from {first} to {last}")
    if len(results) > 1 and any(result.run.digest is None for result in results):
        yield Notice(code="digest", message="nothing proves that these shards are of the same files and options")


def _missing(results: Sequence[RunResult]) -> Blocking | None:
    count = max(_shard(result)[1] for result in results)
    there = {_shard(result)[0] for result in results}
    missing = [f"{index}/{count}" for index in range(1, count + 1) if index not in there]
    if not missing:
        return None
    noun = "shard" if len(missing) == 1 else "shards"
    message = f"{noun} {', '.join(missing)} missing: some checks were not run"
    return Blocking(kind="run", id="shards", status=Status.INCONCLUSIVE, message=message)


def _checks(results: Sequence[RunResult]) -> tuple[tuple[CheckResult, ...], tuple[Notice, ...]]:
    """Return all checks in the order of one run; of duplicates the selected one counts, or else the worse one."""
    checks: dict[str, CheckResult] = {}
    notices: dict[tuple[str, str], Notice] = {}
    for result in results:
        for notice in result.notices:
            notices.setdefault((notice.code, notice.message), notice)
        for check in result.checks:
            earlier = checks.get(check.id)
            if earlier is None or SUPPORTING in earlier.flags:
                checks[check.id] = check
            elif SUPPORTING not in check.flags:
                checks[check.id] = max(earlier, check, key=_weight)
                message = f"{check.id} was selected twice; the worse result counts"
                notices.setdefault(("twice", message), Notice(code="twice", message=message))
    ordered = sorted(checks.values(), key=lambda check: (check.kind != "smoke", check.source, check.id))
    return tuple(ordered), tuple(sorted(notices.values(), key=lambda notice: (notice.code, notice.message)))


def _weight(check: CheckResult) -> int:
    return len(WORST_FIRST) - WORST_FIRST.index(check.status) if check.status in WORST_FIRST else 0


def _release(results: Sequence[RunResult]) -> ReleaseInfo | None:
    releases = [result.release for result in results if result.release is not None]
    if not releases:
        return None
    attested = [release.attested for release in releases if release.attested is not None]
    return replace(releases[0], attested=all(attested) if attested else None)


def _usage(results: Sequence[RunResult]) -> Usage:
    calls: Counter[str] = Counter()
    for result in results:
        calls.update(result.usage.calls)
    return Usage(
        calls=dict(sorted(calls.items())),
        throttles=sum(result.usage.throttles for result in results),
        cost_usd=sum(result.usage.cost_usd for result in results),
        unpriced=tuple(sorted({call for result in results for call in result.usage.unpriced})),
    )
