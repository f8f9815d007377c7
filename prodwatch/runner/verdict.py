"""Results into the one answer: never green by default, and every red or unknown result is named as blocking."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from prodwatch.model.result import Blocking, CheckResult, Summary, Verdict
from prodwatch.model.status import WORST_FIRST, Reason, Status, worst

EXIT_PASS = 0
EXIT_FAIL = 1
EXIT_ERROR = 3
EXIT_INCONCLUSIVE = 4
EXIT_NOTHING_SELECTED = 5
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143

ADVISORY = "advisory"
CRITICAL = "critical"
SUPPORTING = "supporting"
"""Flag of a check that ran only because a selected one refers to it; it counts through that one alone."""

_EXIT = {
    Status.FAIL: EXIT_FAIL,
    Status.ERROR: EXIT_ERROR,
    Status.INCONCLUSIVE: EXIT_INCONCLUSIVE,
    Status.DEGRADED: EXIT_PASS,
    Status.PASS: EXIT_PASS,
}
_STATUS: dict[Status, Literal["pass", "degraded", "fail", "error", "inconclusive"]] = {
    Status.FAIL: "fail",
    Status.ERROR: "error",
    Status.INCONCLUSIVE: "inconclusive",
    Status.DEGRADED: "degraded",
    Status.PASS: "pass",
}
_BLOCKING = frozenset({Status.FAIL, Status.ERROR, Status.INCONCLUSIVE})
_NOUN = {
    Status.FAIL: "failed",
    Status.ERROR: "could not be measured",
    Status.INCONCLUSIVE: "without enough evidence",
    Status.DEGRADED: "degraded",
    Status.PASS: "passed",
    Status.SKIPPED: "skipped",
}


def decide(
    results: Sequence[CheckResult],
    *,
    strict: bool = False,
    allow_empty: bool = False,
    shard: tuple[int, int] | None = None,
    interrupted: int | None = None,
    run_problem: Blocking | None = None,
) -> Verdict:
    """Return the verdict over a run's top-level results.

    `interrupted` is the exit code of an aborted run (130 or 143). `run_problem` is something that kept the whole run
    from measuring, with status `error` or `inconclusive`; it weighs like a check of that status.
    """
    if interrupted is not None:
        return _aborted(results, interrupted)
    if not results and run_problem is None:
        return _empty(allow_empty=allow_empty, shard=shard)
    selected = [result for result in results if SUPPORTING not in result.flags]
    gating = [result for result in selected if ADVISORY not in result.flags]
    blocking = _blocking(gating)
    if run_problem is not None:
        blocking = (*blocking, run_problem)
    if blocking:
        heaviest = worst(each.status for each in blocking)
        assert heaviest is not None
        first = next(each for each in blocking if each.status is heaviest)
        return Verdict(
            status=_STATUS[heaviest],
            exit_code=_EXIT[heaviest],
            reason_code=_reason_code(first, gating),
            reason=_reason(gating, blocking, first),
            blocking=blocking,
        )
    if selected and all(result.status is Status.SKIPPED for result in selected):
        return _all_skipped(selected)
    if gating and all(result.status is Status.SKIPPED for result in gating):
        return _all_skipped(gating)
    return _green(selected, gating, strict=strict)


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


def _blocking(gating: Sequence[CheckResult]) -> tuple[Blocking, ...]:
    found = []
    for result in gating:
        status = result.status
        if status is Status.SKIPPED and CRITICAL in result.flags:
            message = f"a critical check was skipped: {result.message or 'no reason given'}"
            found.append(Blocking(kind="check", id=result.id, status=Status.INCONCLUSIVE, message=message))
        elif status in _BLOCKING:
            found.append(Blocking(kind="check", id=result.id, status=status, message=result.message))
    order = {status: place for place, status in enumerate(WORST_FIRST)}
    return tuple(sorted(found, key=lambda each: order[each.status]))


def _reason_code(first: Blocking, gating: Sequence[CheckResult]) -> Reason | None:
    return next((result.reason_code for result in gating if result.id == first.id), None)


def _reason(gating: Sequence[CheckResult], blocking: tuple[Blocking, ...], first: Blocking) -> str:
    if first.kind == "run":
        return first.message or "The run could not measure anything."
    alike = sum(each.status is first.status for each in blocking)
    checks = "check" if len(gating) == 1 else "checks"
    sentence = f"{alike} of {len(gating)} {checks} {_NOUN[first.status]}, first {first.id}"
    return f"{sentence}: {first.message}" if first.message else f"{sentence}."


def _green(selected: Sequence[CheckResult], gating: Sequence[CheckResult], *, strict: bool) -> Verdict:
    if not gating:
        red = sum(result.status in _BLOCKING for result in selected)
        return Verdict(
            status="pass",
            exit_code=EXIT_PASS,
            reason=f"Only advisory checks were selected, which never gate; {red} of {len(selected)} are not green.",
        )
    heaviest = worst(result.status for result in gating)
    passed = sum(result.status is Status.PASS for result in gating)
    skipped = sum(result.status is Status.SKIPPED for result in gating)
    tail = f", {skipped} skipped" if skipped else ""
    if heaviest is Status.DEGRADED:
        degraded = sum(result.status is Status.DEGRADED for result in gating)
        return Verdict(
            status="degraded",
            exit_code=EXIT_FAIL if strict else EXIT_PASS,
            reason_code=Reason.WARNING,
            reason=f"{degraded} of {len(gating)} checks degraded, {passed} passed{tail}.",
        )
    checks = "check" if len(gating) == 1 else "checks"
    return Verdict(status="pass", exit_code=EXIT_PASS, reason=f"{passed} of {len(gating)} {checks} passed{tail}.")


def _all_skipped(results: Sequence[CheckResult]) -> Verdict:
    first = results[0]
    skipped = f"all {len(results)} checks were skipped, first" if len(results) > 1 else "the only check was skipped,"
    return Verdict(
        status="inconclusive",
        exit_code=EXIT_INCONCLUSIVE,
        reason_code=Reason.ALL_SKIPPED,
        reason=f"Nothing was measured: {skipped} {first.id}: {first.message}",
        blocking=tuple(
            Blocking(kind="check", id=result.id, status=Status.SKIPPED, message=result.message) for result in results
        ),
    )


def _empty(*, allow_empty: bool, shard: tuple[int, int] | None) -> Verdict:
    if shard is not None:
        reason = f"No check falls into shard {shard[0]}/{shard[1]}; merging the shards decides."
    elif allow_empty:
        reason = "No check is selected, which --allow-empty allows."
    else:
        reason = "No check is selected; `prodwatch list` shows what there is."
    return Verdict(
        status="empty",
        exit_code=EXIT_PASS if allow_empty or shard is not None else EXIT_NOTHING_SELECTED,
        reason_code=Reason.NOTHING_SELECTED,
        reason=reason,
    )


def _aborted(results: Sequence[CheckResult], exit_code: int) -> Verdict:
    gating = [result for result in results if not {ADVISORY, SUPPORTING} & set(result.flags)]
    cut_off = sum(result.reason_code is Reason.INTERRUPTED for result in results)
    how = "terminated" if exit_code == EXIT_TERMINATED else "interrupted"
    return Verdict(
        status="aborted",
        exit_code=exit_code,
        reason_code=Reason.INTERRUPTED,
        reason=f"The run was {how}: {len(results) - cut_off} of {len(results)} checks had finished.",
        blocking=_blocking(gating),
    )
