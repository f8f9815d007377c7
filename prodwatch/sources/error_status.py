"""How an AWS error shows in the state of a source."""

from __future__ import annotations

from datetime import UTC, datetime

from prodwatch.aws.api import AwsError
from prodwatch.aws.iam_actions import actions
from prodwatch.model.signal import SourcePhase, SourceStatus
from prodwatch.model.status import Reason
from prodwatch.sources.backoff import Backoff

DENIED_EVERY_S = 60.0
EXPIRED_EVERY_S = 8.0

_PHASES = {
    Reason.THROTTLED: SourcePhase.THROTTLED,
    Reason.ACCESS_DENIED: SourcePhase.DENIED,
    Reason.EXPIRED_CREDENTIALS: SourcePhase.EXPIRED,
    Reason.LIMIT: SourcePhase.STOPPED,
}


def retry_delay_s(caught: AwsError, backoff: Backoff) -> float:
    """Return how long to wait: a missing permission or a spent budget does not come back in seconds."""
    if caught.reason in {Reason.ACCESS_DENIED, Reason.LIMIT}:
        return DENIED_EVERY_S
    wait_s = max(0.2, backoff.next_s())
    # Somebody is logging in again right now, and wants to see that it worked.
    return min(wait_s, EXPIRED_EVERY_S) if caught.reason is Reason.EXPIRED_CREDENTIALS else wait_s


def error_status(source: str, caught: AwsError, retry_s: float) -> SourceStatus:
    """Return the state of `source` after an error; `retry_s` is the epoch second of the next try."""
    denied = caught.reason is Reason.ACCESS_DENIED
    return SourceStatus(
        source=source,
        phase=_PHASES.get(caught.reason, SourcePhase.FAILED),
        message=caught.message,
        action=" and ".join(actions(caught.service, caught.operation)) if denied else None,
        retry_at=datetime.fromtimestamp(retry_s, UTC),
    )
