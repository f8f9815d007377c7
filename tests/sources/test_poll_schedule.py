"""Groups share the calls fairly: busy and pinned ones soon, quiet ones rarely, none starved."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from prodwatch.sources.logs.poll_schedule import (
    BUSY_EVERY_S,
    QUIET_EVERY_S,
    URGENT_TURNS,
    PollSchedule,
    longest_pause_s,
)


def run(agenda: PollSchedule, busy: set[str], *, seconds: float, calls_per_s: float) -> dict[str, list[float]]:
    """Poll at a limited rate; returns the times at which each group was read."""
    reads: dict[str, list[float]] = {}
    for call in range(int(seconds * calls_per_s)):
        now_s = call / calls_per_s
        due_s = agenda.next_due_s()
        assert due_s is not None
        if due_s > now_s:
            continue
        group = agenda.pop(now_s)
        reads.setdefault(group, []).append(now_s)
        agenda.reschedule(group, now_s, busy=group in busy, scan_done=True)
    return reads


def gaps(times: list[float]) -> list[float]:
    return [after - before for before, after in pairwise(times)]


def test_a_busy_group_is_read_each_second_and_a_quiet_one_ever_more_rarely() -> None:
    agenda = PollSchedule()
    for group in ("busy", "quiet"):
        agenda.add(group, 0.0)
    reads = run(agenda, {"busy"}, seconds=60, calls_per_s=20)
    assert max(gaps(reads["busy"])) <= BUSY_EVERY_S + 0.05
    assert [round(gap) for gap in gaps(reads["quiet"])][:7] == [*QUIET_EVERY_S, QUIET_EVERY_S[-1]]


def test_quiet_groups_rest_longer_where_many_share_the_calls() -> None:
    assert [longest_pause_s(sharing) for sharing in (1, 22, 30, 38, 10_000)] == [9.0, 9.0, 12.0, 15.0, 15.0]


def test_B15_a_scan_is_judged_over_all_its_pages_and_timed_from_its_start() -> None:
    agenda = PollSchedule()
    agenda.add("busy", 0.0)
    agenda.pop(0.0)
    agenda.reschedule("busy", 0.4, busy=True, scan_done=False, began_s=0.0)
    assert agenda.next_due_s() == 0.4
    agenda.pop(0.4)
    agenda.reschedule("busy", 0.8, busy=True, scan_done=True, began_s=0.0)
    assert agenda.next_due_s() == BUSY_EVERY_S


def test_a_pinned_group_is_read_each_second_whatever_it_brings() -> None:
    agenda = PollSchedule()
    for group in ("pinned", "quiet"):
        agenda.add(group, 0.0)
    run(agenda, set(), seconds=20, calls_per_s=20)
    agenda.pin({"pinned"}, 0.0)
    reads = run(agenda, set(), seconds=60, calls_per_s=20)["pinned"]
    assert reads[0] == 0.0
    assert max(gaps(reads)) <= BUSY_EVERY_S + 0.05


def test_ten_thousand_quiet_groups_do_not_keep_a_busy_one_waiting_and_each_gets_its_turn() -> None:
    agenda = PollSchedule()
    groups = [f"/quiet/{number}" for number in range(10_000)]
    for group in (*groups, "busy"):
        agenda.add(group, 0.0)
    agenda.pin({"busy"}, 0.0)
    reads = run(agenda, {"busy"}, seconds=5_300, calls_per_s=3)
    assert max(gaps(reads["busy"])) <= 2 * BUSY_EVERY_S
    assert all(group in reads for group in groups)


@given(st.integers(1, 8), st.integers(1, 8))
def test_when_too_much_is_due_urgent_groups_get_three_calls_of_four(urgent: int, calm: int) -> None:
    agenda = PollSchedule()
    for number in range(calm):
        agenda.add(f"calm {number}", 0.0)
    for number in range(urgent):
        agenda.reschedule(f"urgent {number}", 0.0, busy=True, scan_done=False)
    turns = Counter[str]()
    for _ in range(40 * (URGENT_TURNS + 1)):
        group = agenda.pop(1.0)
        turns[group] += 1
        if group.startswith("urgent"):
            agenda.reschedule(group, 1.0, busy=True, scan_done=False)
        else:
            agenda.postpone(group, 1.0)
    assert sum(count for group, count in turns.items() if group.startswith("calm")) == 40
    of_calm = [turns[f"calm {number}"] for number in range(calm)]
    of_urgent = [turns[f"urgent {number}"] for number in range(urgent)]
    assert max(of_calm) - min(of_calm) <= 1
    assert max(of_urgent) - min(of_urgent) <= 1


def test_a_last_look_reads_every_group_that_rests_at_once() -> None:
    agenda = PollSchedule()
    for number in range(4):
        agenda.add(f"{number}", 0.0)
    run(agenda, {"0"}, seconds=10, calls_per_s=20)
    agenda.expedite(10.0)
    assert {agenda.pop(10.0) for _ in range(4)} == {"0", "1", "2", "3"}
