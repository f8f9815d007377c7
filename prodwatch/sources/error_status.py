"""Maps an AWS error to a source status and a retry delay."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from prodwatch.aws.iam_actions import actions
from prodwatch.aws.interface import AwsError
from prodwatch.model.signal import SourcePhase, SourceStatus
from prodwatch.model.status import Reason
from prodwatch.sources.backoff import Backoff

DENIED_EVERY_S = 60.0
"""Pause after a missing permission or an exhausted limit, which do not recover within seconds."""
EXPIRED_EVERY_S = 8.0
"""Longest pause while credentials are expired."""

_PHASES = {
    Reason.THROTTLED: SourcePhase.THROTTLED,
    Reason.ACCESS_DENIED: SourcePhase.DENIED,
    Reason.EXPIRED_CREDENTIALS: SourcePhase.EXPIRED,
    Reason.LIMIT: SourcePhase.STOPPED,
}


def retry_delay_s(error: AwsError, backoff: Backoff) -> float:
    """Return the seconds until the next attempt."""
    if error.reason in {Reason.ACCESS_DENIED, Reason.LIMIT}:
        return DENIED_EVERY_S
    wait_s = max(0.2, backoff.next_s())
    # The user is probably renewing the credentials and waits for the effect.
    return min(wait_s, EXPIRED_EVERY_S) if error.reason is Reason.EXPIRED_CREDENTIALS else wait_s


def error_of_all(errors: Iterable[AwsError], more: Iterable[str] = ()) -> AwsError:
    """Return one of several errors with the messages of all: each may name another account or region.

    It is that of the user's limit, which stops all calls, else the first. `more` are further messages.
    There must be an error.
    """
    errors = list(errors)
    first = next((each for each in errors if each.reason is Reason.LIMIT), errors[0])
    return AwsError(
        "; ".join(dict.fromkeys((*(error.message for error in errors), *more))),
        code=first.code,
        reason=first.reason,
        service=first.service,
        operation=first.operation,
        status=first.status,
        request_id=first.request_id,
        transient=first.transient,
    )


def error_status(source: str, error: AwsError, retry_s: float) -> SourceStatus:
    """Return the status of `source` after an error; `retry_s` is the epoch second of the next attempt."""
    denied = error.reason is Reason.ACCESS_DENIED
    return SourceStatus(
        source=source,
        phase=_PHASES.get(error.reason, SourcePhase.FAILED),
        message=error.message,
        action=" and ".join(actions(error.service, error.operation)) if denied else None,
        retry_at=datetime.fromtimestamp(retry_s, UTC),
    )
