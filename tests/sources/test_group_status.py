"""The status of a log group: what is read up to when, and what is missing, in the words of the panel."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from prodwatch.aws.interface import AwsError
from prodwatch.model.environment import LogTarget
from prodwatch.model.signal import SourcePhase, SourceStatus
from prodwatch.model.status import Reason
from prodwatch.sources.backoff import Backoff
from prodwatch.sources.logs.events import Page, RawEvent
from prodwatch.sources.logs.group_status import group_error_status, group_status
from prodwatch.sources.logs.live_tail import LiveTail
from prodwatch.sources.logs.scan_plan import DEEP_S, PROMISED_S
from prodwatch.sources.logs.tailer import GroupTailer
from prodwatch.testing.aws import ScriptedAws
from prodwatch.testing.clock import FakeClock

NOW_S = 1_000_000.0
SINCE_S = NOW_S - 10
SAMPLES = "Live Tail samples at this volume; polling reads the rest"


async def no_events(group: str, start_ms: int, token: str | None) -> Page:
    return Page([], None)


def unread() -> GroupTailer:
    return GroupTailer("g", no_events, since_ms=int(SINCE_S * 1000))


async def read_at(now_s: float) -> GroupTailer:
    tailer = unread()
    await tailer.read_page(now_s)
    return tailer


def live_tail(sampled_at_s: Sequence[float] = ()) -> LiveTail:
    async def offer(group: str, events: list[RawEvent]) -> None:
        raise AssertionError("no session delivers anything here")

    live = LiveTail(
        ScriptedAws(),
        LogTarget(group="g", live_tail=True),
        clock=FakeClock(),
        backoff=Backoff(uniform=lambda _low, high: high),
        offer=offer,
        began=lambda _: None,
        ended=lambda _: None,
    )
    live._sampled_s.extend(sampled_at_s)
    return live


def status_of(tailer: GroupTailer, live: LiveTail | None = None, now_s: float = NOW_S) -> SourceStatus:
    return group_status("logs:g", tailer, live, now_s)


@pytest.mark.parametrize(("age_s", "phase"), [(30.0, SourcePhase.LIVE), (30.1, SourcePhase.BEHIND)])
async def test_a_group_whose_last_scan_began_over_30_s_ago_is_behind(age_s: float, phase: SourcePhase) -> None:
    status = status_of(await read_at(NOW_S - age_s))
    assert status.phase is phase
    assert status.message == (None if phase is SourcePhase.LIVE else "behind by 30 s")
    assert status.fresh_at == status.swept_at == datetime.fromtimestamp(NOW_S - age_s, UTC)


def test_before_the_first_scan_has_ended_the_beginning_of_the_window_counts() -> None:
    assert status_of(unread()).phase is SourcePhase.LIVE
    late = status_of(unread(), now_s=SINCE_S + 31)
    assert (late.phase, late.message) == (SourcePhase.BEHIND, "behind by 31 s")
    assert late.fresh_at is late.swept_at is None


@pytest.mark.parametrize(
    ("ahead_s", "says"),
    [
        (5.0, None),
        (-5.0, None),
        (6.0, ("clock 6 s ahead", "this machine's clock is 6 s ahead of AWS's")),
        (-6.0, ("clock 6 s behind", "this machine's clock is 6 s behind AWS's")),
    ],
)
async def test_a_clock_that_differs_by_over_5_s_is_reported_with_its_direction(
    ahead_s: float, says: tuple[str, str] | None
) -> None:
    tailer = await read_at(NOW_S)
    tailer.plan.ahead_s = ahead_s
    status = status_of(tailer)
    assert (status.notes, status.message) == (((), None) if says is None else ((says[0],), says[1]))


@pytest.mark.parametrize(
    ("window_s", "says"),
    [
        (DEEP_S, "None"),
        (DEEP_S - 1, "reduced to 899 s: more lines"),
        (PROMISED_S, "reduced to 180 s: more lines"),
        (PROMISED_S - 1, "reduced to 179 s, below the promised 180 s: more lines"),
    ],
)
async def test_a_window_that_memory_reduces_is_reported_and_one_below_the_promise_as_such(
    window_s: float, says: str
) -> None:
    tailer = await read_at(NOW_S)
    tailer.seen.floor_ms = int((NOW_S - window_s) * 1000)
    status = status_of(tailer)
    assert says in str(status.message)
    assert status.notes == (() if says == "None" else (f"late window {window_s:.0f} s",))


async def test_lines_that_cannot_be_told_from_shown_ones_are_counted() -> None:
    tailer = await read_at(NOW_S)
    tailer.unsure, tailer.late = 3, 2
    status = status_of(tailer)
    assert (status.dropped, status.late) == (3, 2)
    assert status.message == "3 late lines not shown: too old to tell whether they were shown before"


async def test_samples_count_until_polling_has_read_beyond_them() -> None:
    live = live_tail([NOW_S - 20, NOW_S - 5, NOW_S - 4])
    before = status_of(unread(), live)
    assert (before.sampled, before.message) == (3, SAMPLES)
    since = status_of(await read_at(NOW_S - 5), live)
    assert (since.sampled, since.message) == (1, SAMPLES)
    after = status_of(await read_at(NOW_S), live)
    assert (after.sampled, after.message) == (0, "Live Tail starting")


async def test_without_live_tail_nothing_is_sampled() -> None:
    assert status_of(await read_at(NOW_S)).sampled == 0


def error(code: str) -> AwsError:
    return AwsError(code, code=code, reason=Reason.SERVICE, service="logs", operation="FilterLogEvents", transient=True)


@pytest.mark.parametrize(("read_before", "says"), [(False, "does not exist yet"), (True, "has been deleted")])
async def test_a_group_that_does_not_exist_is_waited_for_and_keeps_its_counts(read_before: bool, says: str) -> None:
    tailer = await read_at(NOW_S) if read_before else unread()
    tailer.late, tailer.unsure = 2, 3
    before = status_of(tailer)
    status = group_error_status("logs:g", error("ResourceNotFoundException"), 5.0, before)
    assert status.phase is SourcePhase.WAITING
    assert says in str(status.message)
    assert (status.fresh_at, status.late, status.dropped) == (before.fresh_at, 2, 3)


async def test_any_other_error_is_an_error_and_keeps_its_counts() -> None:
    tailer = await read_at(NOW_S)
    tailer.late = 2
    status = group_error_status("logs:g", error("ServiceUnavailable"), 5.0, status_of(tailer))
    assert status.phase not in {SourcePhase.WAITING, SourcePhase.LIVE}
    assert (status.late, status.fresh_at) == (2, datetime.fromtimestamp(NOW_S, UTC))
