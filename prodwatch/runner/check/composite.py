"""`all`, `any`, `none`: what members' results say together; an unmeasured member never helps to be green."""

from __future__ import annotations

from collections.abc import Sequence

from prodwatch.model.result import CheckResult
from prodwatch.model.status import Reason, Status, worst
from prodwatch.runner.step.conclusion import PASSED, Conclusion

_GREEN = frozenset({Status.PASS, Status.DEGRADED})
_UNMEASURED = frozenset({Status.ERROR, Status.INCONCLUSIVE, Status.SKIPPED})


def counts(members: Sequence[CheckResult]) -> dict[str, int]:
    """Return the document a composite's own assertions read."""
    return {
        "passed": sum(each.status in _GREEN for each in members),
        "failed": sum(each.status is Status.FAIL for each in members),
    }


def compose(type_: str, members: Sequence[CheckResult]) -> Conclusion:
    """Return the outcome of a composite."""
    if not members:
        return Conclusion(Status.INCONCLUSIVE, Reason.NO_DATA, "it has no members, so nothing is proven")
    if type_ == "all":
        return _all(members)
    return _any(members) if type_ == "any" else _none(members)


def _all(members: Sequence[CheckResult]) -> Conclusion:
    bad = [each for each in members if each.status not in _GREEN]
    if not bad:
        degraded = [each for each in members if each.status is Status.DEGRADED]
        return _because(Status.DEGRADED, degraded, len(members), "degraded") if degraded else PASSED
    return _as_bad_as_the_worst(bad, len(members))


def _any(members: Sequence[CheckResult]) -> Conclusion:
    if any(each.status is Status.PASS for each in members):
        return PASSED
    degraded = [each for each in members if each.status is Status.DEGRADED]
    if degraded:
        return _because(Status.DEGRADED, degraded, len(members), "degraded")
    return _as_bad_as_the_worst(members, len(members))


def _none(members: Sequence[CheckResult]) -> Conclusion:
    green = [each for each in members if each.status in _GREEN]
    if green:
        return _because(Status.FAIL, green, len(members), "green, and none may be")
    unmeasured = [each for each in members if each.status in _UNMEASURED]
    return _as_bad_as_the_worst(unmeasured, len(members)) if unmeasured else PASSED


def _as_bad_as_the_worst(bad: Sequence[CheckResult], count: int) -> Conclusion:
    heaviest = worst(each.status for each in bad)
    # A member that was skipped proves nothing, which is not the same as the composite being skipped.
    status = Status.INCONCLUSIVE if heaviest is None or heaviest is Status.SKIPPED else heaviest
    return _because(status, [each for each in bad if each.status is heaviest], count, "not green")


def _because(status: Status, blamed: Sequence[CheckResult], count: int, what: str) -> Conclusion:
    first = blamed[0]
    why = f": {first.message}" if first.message else ""
    return Conclusion(status, Reason.CHILDREN, f"{len(blamed)} of {count} members {what}, first {first.id}{why}")
