"""The staged release: weights, deployment, alarms, and whose turn it is at any moment."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

import msgspec

from prodwatch.model.signal import (
    AlarmState,
    Batch,
    ReleaseEvent,
    ReleasePhase,
    ReleaseState,
    SourcePhase,
    SourceStatus,
)

FUNCTION = "shop-orders"
OLD, NEW = "41", "42"
SHARE = 0.10
ROLLED_BACK_AFTER = timedelta(minutes=9)


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """When the staged release is looked at."""

    now: datetime
    started: datetime
    moment: Literal["before", "during", "after"]

    def share_of_new(self, at: datetime) -> float:
        """Return the part of the traffic on the new version at a moment."""
        if self.moment == "before" or at < self.started:
            return 0.0
        return 0.0 if at >= self.started + ROLLED_BACK_AFTER else SHARE


def live(source: str, now: datetime, age_s: float = 1.4) -> SourceStatus:
    """Return the status of a source that keeps up."""
    return SourceStatus(source=source, phase=SourcePhase.LIVE, fresh_at=now - timedelta(seconds=age_s))


def history(timing: Timing) -> Batch:
    """Return the release's state and its events so far."""
    status = live("release", timing.now)
    if timing.moment == "before":
        return Batch(source="release", status=status, records=(ReleaseState(function=FUNCTION, alias="live"),))
    at = timing.started
    events = [
        _event(at - timedelta(seconds=40), "codedeploy", "d-8F2C1A9QX", "status", None, "Created"),
        _event(at - timedelta(seconds=31), "codedeploy", "d-8F2C1A9QX", "BeforeAllowTraffic", None, "Succeeded"),
        _event(at, "codedeploy", "d-8F2C1A9QX", "status", "Created", "InProgress"),
        _event(at, "lambda", FUNCTION, "weights", OLD, NEW, SHARE),
    ]
    state = ReleaseState(
        function=FUNCTION,
        alias="live",
        phase=ReleasePhase.SHIFTING,
        version=NEW,
        previous=OLD,
        weights={OLD: 1 - SHARE, NEW: SHARE},
        started_at=at,
        next_shift_at=at + timedelta(minutes=5),
        deployment="d-8F2C1A9QX",
        deployment_status="InProgress",
    )
    if timing.moment == "after":
        back = at + ROLLED_BACK_AFTER
        cause = "alarm shop-orders-errors"
        events += [
            _event(back, "codedeploy", "d-8F2C1A9QX", "status", "InProgress", "Stopped", detail=cause),
            _event(back, "codedeploy", "d-ROLLBACK1", "status", None, "Succeeded", detail=cause),
            _event(back, "lambda", FUNCTION, "weights", NEW, OLD, 1.0),
        ]
        state = msgspec.structs.replace(
            state,
            phase=ReleasePhase.ROLLED_BACK,
            weights={OLD: 1.0},
            next_shift_at=None,
            cause=cause,
            deployment_status="Stopped",
        )
    return Batch(source="release", status=status, records=(*events, state))


def alarms(timing: Timing) -> Batch:
    """Return the alarms, one of which fires while the new version has traffic."""
    firing = timing.moment == "during"
    since = timing.started + timedelta(seconds=121) if firing else timing.now - timedelta(hours=7)
    reason = "3 out of the last 3 datapoints were greater than the threshold (1.0 %)"
    return Batch(
        source="alarms",
        status=live("alarms", timing.now, 9.0),
        records=(
            AlarmState(
                name="shop-orders-errors",
                state="ALARM" if firing else "OK",
                since=since,
                reason=reason if firing else None,
            ),
            AlarmState(name="shop-inbox-age", state="OK", since=timing.now - timedelta(days=2)),
            AlarmState(name="shop-orders-latency", state="OK", since=timing.now - timedelta(hours=31)),
            AlarmState(
                name="shop-release",
                state="ALARM" if firing else "OK",
                kind="composite",
                since=since,
                gate=False,
                reason="ALARM(shop-orders-errors) OR ALARM(shop-orders-latency)" if firing else None,
            ),
            AlarmState(name="shop-nightly-export", state="INSUFFICIENT_DATA", gate=False),
        ),
    )


def _event(
    at: datetime,
    source: Literal["lambda", "codedeploy"],
    subject: str,
    what: str,
    from_: str | None,
    to: str | None,
    weight: float | None = None,
    detail: str | None = None,
) -> ReleaseEvent:
    return ReleaseEvent(
        at=at, source=source, subject=subject, what=what, from_=from_, to=to, weight=weight, detail=detail
    )
