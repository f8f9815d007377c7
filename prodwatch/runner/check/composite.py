"""`all`, `any`, `none`: conclusions from members' results; a member that was not measured never helps to be green."""

from __future__ import annotations

from collections.abc import Sequence

from prodwatch.model.result import CheckResult
from prodwatch.model.status import Reason, Status, worst
from prodwatch.runner.step.conclusion import PASSED, Conclusion
from prodwatch.runner.step.run_step import GREEN

_UNMEASURED = frozenset({Status.ERROR, Status.INCONCLUSIVE, Status.SKIPPED})


def member_counts(members: Sequence[CheckResult]) -> dict[str, int]:
    """Return the document that a composite's own assertions read."""
    return {
        "passed": sum(member.status in GREEN for member in members),
        "failed": sum(member.status is Status.FAIL for member in members),
    }


def compose(type_: str, members: Sequence[CheckResult]) -> Conclusion:
    """Return the conclusion of a composite of type `all`, `any` or `none`."""
    if not members:
        return Conclusion(Status.INCONCLUSIVE, Reason.NO_DATA, "it has no members, so nothing is proven")
    if type_ == "all":
        return _all(members)
    return _any(members) if type_ == "any" else _none(members)


def _all(members: Sequence[CheckResult]) -> Conclusion:
    bad = [member for member in members if member.status not in GREEN]
    if not bad:
        degraded = [member for member in members if member.status is Status.DEGRADED]
        return _because(Status.DEGRADED, degraded, len(members), "degraded") if degraded else PASSED
    return _worst_of(bad, len(members))


def _any(members: Sequence[CheckResult]) -> Conclusion:
    if any(member.status is Status.PASS for member in members):
        return PASSED
    degraded = [member for member in members if member.status is Status.DEGRADED]
    if degraded:
        return _because(Status.DEGRADED, degraded, len(members), "degraded")
    return _worst_of(members, len(members))


def _none(members: Sequence[CheckResult]) -> Conclusion:
    green = [member for member in members if member.status in GREEN]
    if green:
        return _because(Status.FAIL, green, len(members), "green, and none may be")
    unmeasured = [member for member in members if member.status in _UNMEASURED]
    return _worst_of(unmeasured, len(members)) if unmeasured else PASSED


def _worst_of(bad: Sequence[CheckResult], count: int) -> Conclusion:
    worst_status = worst(member.status for member in bad)
    # A skipped member proves nothing, which is not the same as the composite being skipped.
    status = Status.INCONCLUSIVE if worst_status is None or worst_status is Status.SKIPPED else worst_status
    return _because(status, [member for member in bad if member.status is worst_status], count, "not green")


def _because(status: Status, causes: Sequence[CheckResult], count: int, state: str) -> Conclusion:
    first = causes[0]
    why = f": {first.message}" if first.message else ""
    return Conclusion(status, Reason.CHILDREN, f"{len(causes)} of {count} members {state}, first {first.id}{why}")
