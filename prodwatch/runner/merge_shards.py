"""Shards into one result: the verdict is decided over all of them, and a shard that is missing is never green."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec.structs import replace

from prodwatch.errors import ConfigurationError
from prodwatch.judge.decide import decide
from prodwatch.judge.facts import SUPPORTING, Facts, check_fact
from prodwatch.model.result import Blocking, CheckResult, Notice, ReleaseInfo, RunResult, Usage
from prodwatch.model.status import WORST_FIRST, Status
from prodwatch.runner.result_document import summarize
from prodwatch.runner.schedule.selection import parse_shard


def merge_results(results: Sequence[RunResult], *, strict: bool = False, allow_empty: bool = False) -> RunResult:
    """Return one result of all shards of a run.

    ConfigurationError when they are of different environments, of different divisions, or when there are none.
    A shard that is missing makes the verdict `inconclusive` at best; one that was aborted makes it `aborted`; one
    that was run with `--strict` makes the merged run strict too.
    """
    if not results:
        raise ConfigurationError("there is nothing to merge; name the result files of all shards")
    _refuse_strangers(results)
    ordered = sorted(results, key=lambda each: (_shard(each)[0], each.run.started_at))
    checks, notices = _checks(ordered)
    missing = _missing(ordered)
    interrupted = next((each.verdict.exit_code for each in ordered if each.verdict.status == "aborted"), None)
    problems = [blocking for each in ordered for blocking in each.verdict.blocking if blocking.kind == "run"]
    decision = decide(
        Facts(
            mode="run",
            checks=tuple(check_fact(each) for each in checks),
            strict=strict or any(each.verdict.status == "degraded" and each.verdict.exit_code for each in ordered),
            allow_empty=allow_empty,
            interrupted=interrupted,
            refused=problems[0] if problems else missing,
        )
    )
    first = ordered[0]
    started_at = min(each.run.started_at for each in ordered)
    ended_at = max(each.run.ended_at for each in ordered)
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
        notices=notices,
        usage=_usage(ordered),
    )


def _shard(result: RunResult) -> tuple[int, int]:
    if result.run.shard is None:
        return 1, 1
    return parse_shard(result.run.shard)


def _refuse_strangers(results: Sequence[RunResult]) -> None:
    environments = sorted({each.environment.name for each in results})
    if len(environments) > 1:
        raise ConfigurationError(f"these are results of different environments ({', '.join(environments)})")
    if len({each.run.shard is None for each in results}) > 1:
        raise ConfigurationError("some of these are shards and some are whole runs; name the shards of one run only")
    divisions = sorted({_shard(each)[1] for each in results if each.run.shard is not None})
    if len(divisions) > 1:
        raise ConfigurationError(f"these are shards of different divisions (of {', of '.join(map(str, divisions))})")
    twice = [shard for shard, times in Counter(each.run.shard for each in results).items() if shard and times > 1]
    if twice:
        raise ConfigurationError(f"shard {twice[0]} is there twice; name each result once")


def _missing(results: Sequence[RunResult]) -> Blocking | None:
    count = max(_shard(each)[1] for each in results)
    there = {_shard(each)[0] for each in results}
    missing = [f"{index}/{count}" for index in range(1, count + 1) if index not in there]
    if not missing:
        return None
    noun = "shard" if len(missing) == 1 else "shards"
    message = f"{noun} {', '.join(missing)} missing: part of the checks was not seen"
    return Blocking(kind="run", id="shards", status=Status.INCONCLUSIVE, message=message)


def _checks(results: Sequence[RunResult]) -> tuple[tuple[CheckResult, ...], tuple[Notice, ...]]:
    """Return all checks as one run would order them; twice there, the selected or else the worse counts."""
    found: dict[str, CheckResult] = {}
    notices: dict[tuple[str, str], Notice] = {}
    for result in results:
        for notice in result.notices:
            notices.setdefault((notice.code, notice.message), notice)
        for check in result.checks:
            known = found.get(check.id)
            if known is None or SUPPORTING in known.flags:
                found[check.id] = check
            elif SUPPORTING not in check.flags:
                found[check.id] = max(known, check, key=_weight)
                message = f"{check.id} was selected twice; the worse result counts"
                notices.setdefault(("twice", message), Notice(code="twice", message=message))
    ordered = sorted(found.values(), key=lambda check: (check.kind != "smoke", check.source, check.id))
    return tuple(ordered), tuple(sorted(notices.values(), key=lambda each: (each.code, each.message)))


def _weight(check: CheckResult) -> int:
    return len(WORST_FIRST) - WORST_FIRST.index(check.status) if check.status in WORST_FIRST else 0


def _release(results: Sequence[RunResult]) -> ReleaseInfo | None:
    known = [each.release for each in results if each.release is not None]
    if not known:
        return None
    attested = [each.attested for each in known if each.attested is not None]
    return replace(known[0], attested=all(attested) if attested else None)


def _usage(results: Sequence[RunResult]) -> Usage:
    calls: Counter[str] = Counter()
    for each in results:
        calls.update(each.usage.calls)
    return Usage(
        calls=dict(sorted(calls.items())),
        throttles=sum(each.usage.throttles for each in results),
        cost_usd=sum(each.usage.cost_usd for each in results),
    )
