"""Status, reason and message of a step, concluded from the outcome of its attempts; pure."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from prodwatch.model.result import AssertionResult
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Failure
from prodwatch.runner.bounds.loop_lag import Stall
from prodwatch.runner.step.attempts import Attempt, Ending, Outcome
from prodwatch.runner.step.attestation import Attestation
from prodwatch.runner.step.expectations import NOT_JUDGED, Judgement


class Conclusion(msgspec.Struct, frozen=True):
    """Status of a step or a check, with its reason and message."""

    status: Status
    reason: Reason | None = None
    message: str | None = None


PASSED = Conclusion(Status.PASS)


def conclude(outcome: Outcome, limit: str) -> Conclusion:
    """Return the conclusion of all attempts of a step; `limit` is what ended those that ran out of time."""
    last, ending = outcome.last, outcome.ending
    if ending is Ending.CUT_OFF:
        return Conclusion(Status.INCONCLUSIVE, Reason.INTERRUPTED, _last_value(outcome))
    if last is None or ending is Ending.OUT_OF_TIME:
        return _out_of_time(outcome, limit)
    if ending is Ending.STALLED:
        return _with_attestation(_spoiled(outcome, last), last.attestation)
    if ending is Ending.FAILED:
        assert last.failure is not None
        message = last.failure.message
        if outcome.waited and len(outcome.attempts) > 1:
            # A source without any data did respond: the awaited data never appeared.
            how = Ending.NEVER if last.failure.reason is Reason.NO_DATA else ending
            message = f"{how}: {message} ({_effort(outcome)})"
        return Conclusion(last.failure.status, last.failure.reason, message)
    if ending is Ending.STOPPED:
        assert last.stop is not None
        met = next(result for result in last.stop.results if result.ok)
        message = f"waiting was stopped: `{met.expression}` is true ({_effort(outcome)})"
        conclusion = Conclusion(Status.FAIL, Reason.ASSERTION, message)
    elif ending is Ending.ANSWERED:
        warned = outcome.warned if last.warn.ok is True else None
        conclusion = conclude_judged(last.expect, last.warn if warned is None else warned.warn)
        if warned is not None and conclusion.status is Status.DEGRADED:
            when = f"{warned.started_at:%H:%M:%S} UTC, {_effort(outcome)}"
            conclusion = replace(conclusion, message=f"{conclusion.message} (at {when})")
    else:
        unmet = last.until if last.until is not None and last.until.ok is not True else last.expect
        conclusion = _never_held(outcome, unmet)
    return _with_attestation(_with_aside(with_unread(conclusion, last.unread), last.aside), last.attestation)


def stalled(stall: Stall, found: str) -> Conclusion:
    """Return the conclusion of what this machine was too slow to measure; `found` is what it would have reported."""
    message = f"this machine was too slow to measure it ({stall}), so this proves nothing: {found}"
    return Conclusion(Status.INCONCLUSIVE, Reason.STALLED, message)


def stalled_claims(stall: Stall, judged: Conclusion, effort: str = "") -> Conclusion:
    """Return the conclusion of claims that rest on measured times; only a false `warn` leaves them degraded."""
    doubt = judged.message or "the measured times may be longer than those of the target"
    conclusion = stalled(stall, doubt + effort)
    return replace(conclusion, status=Status.DEGRADED) if judged.status is Status.DEGRADED else conclusion


def _spoiled(outcome: Outcome, last: Attempt) -> Conclusion:
    assert last.stall is not None
    effort = f" ({_effort(outcome)})"
    if last.failure is not None:
        return stalled(last.stall, last.failure.message + effort)
    unmet = last.until if last.until is not None and last.until.ok is not True else last.expect
    return stalled_claims(last.stall, conclude_judged(unmet, last.warn), effort)


def conclude_judged(expect: Judgement, warn: Judgement) -> Conclusion:
    """Return the conclusion of judged assertions."""
    bad = expect.first_bad
    if bad is not None:
        if expect.ok is None:
            return Conclusion(Status.INCONCLUSIVE, Reason.NO_DATA, _sentence(bad))
        false = sum(result.ok is False for result in expect.results)
        more = f" (and {false - 1} more)" if false > 1 else ""
        return Conclusion(Status.FAIL, Reason.ASSERTION, _sentence(bad) + more)
    bad = warn.first_bad
    if bad is not None:
        return Conclusion(Status.DEGRADED, Reason.WARNING, _sentence(bad))
    return PASSED


def undecided_repeat(repeat: Judgement) -> Conclusion:
    """Return the conclusion of a step of which it is not certain whether it has to be repeated."""
    judged = conclude_judged(repeat, NOT_JUDGED)
    return replace(judged, message=f"`repeat.when` is not decidable: {judged.message}")


def with_unread(conclusion: Conclusion, unread: Failure | None) -> Conclusion:
    """Give an undecided conclusion the reason for which the source was not read to its end."""
    if unread is None or conclusion.status is not Status.INCONCLUSIVE:
        return conclusion
    return Conclusion(unread.status, unread.reason, f"{unread.message}; {conclusion.message}")


def _with_aside(conclusion: Conclusion, aside: str | None) -> Conclusion:
    """Add the probe's own finding to a false assertion, such as a name that does not exist."""
    if aside is None or conclusion.status is Status.PASS or conclusion.message is None:
        return conclusion
    return replace(conclusion, message=f"{conclusion.message}; {aside}")


def _never_held(outcome: Outcome, unmet: Judgement) -> Conclusion:
    bad = unmet.first_bad
    sentence = "it never held" if bad is None else _sentence(bad)
    message = f"{outcome.ending}: {sentence} ({_right(outcome)}{_effort(outcome)})"
    if unmet.ok is None:
        return Conclusion(Status.INCONCLUSIVE, Reason.NO_DATA, message)
    return Conclusion(Status.FAIL, Reason.ASSERTION, message)


def _right(outcome: Outcome) -> str:
    """Return when a state was right that did not last; empty for any other ending."""
    if outcome.ending is not Ending.LOST or outcome.held is None:
        return ""
    first, last = (f"{moment:%H:%M:%S}" for moment in outcome.held)
    return f"right at {first} UTC, " if first == last else f"right from {first} to {last} UTC, "


def _out_of_time(outcome: Outcome, limit: str) -> Conclusion:
    last = outcome.last
    if last is None:
        return Conclusion(Status.FAIL, Reason.TIMEOUT, f"{limit} was over before this step could be sent")
    if last.failure is not None and last.failure.status is not Status.FAIL:
        return Conclusion(last.failure.status, last.failure.reason, f"{last.failure.message} ({_effort(outcome)})")
    status = Status.FAIL
    why = "the expected state could not be shown to last"
    unmet = last.until if last.until is not None and last.until.ok is not True else last.expect
    if last.failure is not None:
        why = last.failure.message
    elif (bad := unmet.first_bad) is not None:
        why = _sentence(bad)
        status = Status.FAIL if unmet.ok is False else Status.INCONCLUSIVE
    return Conclusion(status, Reason.TIMEOUT, f"{limit} was over first: {why} ({_effort(outcome)})")


def _last_value(outcome: Outcome) -> str | None:
    """Return the last finding of attempts that were cut off, None before the first response."""
    last = outcome.last
    if last is None:
        return None
    if last.failure is not None:
        return f"last: {last.failure.message} ({_effort(outcome)})"
    unmet = last.until if last.until is not None and last.until.ok is not True else last.expect
    bad = unmet.first_bad
    return f"last: {'every assertion was true' if bad is None else _sentence(bad)} ({_effort(outcome)})"


def _with_attestation(conclusion: Conclusion, attestation: Attestation) -> Conclusion:
    """Make a response without proof of its version inconclusive: it counts neither for nor against the release."""
    if attestation.reason is None:
        return conclusion
    message = attestation.message
    if conclusion.message:
        message = f"{message}; the response itself: {conclusion.message}"
    return Conclusion(Status.INCONCLUSIVE, attestation.reason, message)


def _sentence(result: AssertionResult) -> str:
    if result.message:
        return result.message
    return f"`{result.expression}` is {'false' if result.ok is False else 'not decidable'}"


def _effort(outcome: Outcome) -> str:
    attempts = len(outcome.attempts)
    return f"{attempts} attempt{'' if attempts == 1 else 's'} in {outcome.elapsed_s:.1f} s"
