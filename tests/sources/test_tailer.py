"""Every line that becomes visible in time is shown exactly once, whatever the API does."""

from __future__ import annotations

import bisect
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodwatch.aws.interface import AwsError
from prodwatch.model.status import Reason
from prodwatch.sources.logs.deduplication import MAX_IDS
from prodwatch.sources.logs.events import Page, RawEvent
from prodwatch.sources.logs.tailer import GroupTailer

PROMISE_S = 180.0
START_S = 1_000_000.0


@dataclass(frozen=True)
class Line:
    """One event: dated by its writer, visible from `visible_s` on."""

    event_id: str
    timestamp_ms: int
    visible_s: float


def error(code: str, reason: Reason) -> AwsError:
    return AwsError(code, code=code, reason=reason, service="logs", operation="FilterLogEvents", transient=True)


@dataclass
class Service:
    """FilterLogEvents as CloudWatch behaves: pages in order of time, gaps, errors, expiring tokens."""

    lines: list[Line]
    rng: random.Random
    page: int = 50
    empty: float = 0.15
    throttle: float = 0.0
    fail: float = 0.0
    lose_token: float = 0.0
    now_s: float = START_S
    calls: int = 0
    _order: list[tuple[int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lines.sort(key=lambda line: (line.timestamp_ms, line.event_id))
        self._order = [(line.timestamp_ms, line.event_id) for line in self.lines]

    async def fetch(self, group: str, start_ms: int, token: str | None) -> Page:
        assert group == "g"
        self.calls += 1
        self.now_s += 0.02
        if self.rng.random() < self.throttle:
            raise error("ThrottlingException", Reason.THROTTLED)
        if self.rng.random() < self.fail:
            raise error("ServiceUnavailable", Reason.SERVICE)
        if token and self.rng.random() < self.lose_token:
            raise error("InvalidParameterException", Reason.API_ERROR)
        if self.rng.random() < self.empty:
            return Page([], token or f"{start_ms}:")
        after: tuple[int, str]
        if token and not token.endswith(":"):
            stamp, _, event_id = token.partition("/")
            after = (int(stamp), event_id)
            index = bisect.bisect_right(self._order, after)
        else:
            index = bisect.bisect_left(self._order, (start_ms, ""))
        results: list[Line] = []
        while index < len(self.lines) and len(results) < self.page:
            if self.lines[index].visible_s <= self.now_s:
                results.append(self.lines[index])
            index += 1
        events = [RawEvent(line.timestamp_ms, "m", line.event_id) for line in results]
        more = index < len(self.lines) and results
        return Page(events, f"{results[-1].timestamp_ms}/{results[-1].event_id}" if more else None)


async def tail(service: Service, seconds: float, *, cap: int = MAX_IDS) -> Counter[str]:
    """Follow the group for some virtual time; returns how often each id was shown."""
    tailer = GroupTailer("g", service.fetch, since_ms=int((START_S - 60) * 1000), cap=cap)
    shown: Counter[str] = Counter()
    end_s = service.now_s + seconds
    while service.now_s < end_s:
        try:
            results = await tailer.read_page(service.now_s)
        except AwsError as caught:
            if caught.code == "InvalidParameterException":
                tailer.resume_without_token()
            service.now_s += 0.5
            continue
        shown.update(event.event_id for event in results.events)
        if results.scan_done:
            service.now_s += 1.0
    return shown


def lines_of(rng: random.Random, seconds: float, rate: float, delays: Iterable[float]) -> list[Line]:
    """Make lines at `rate` a second, every seventh in the same millisecond as the one before."""
    delay = list(delays)
    made: list[Line] = []
    for number in range(int(seconds * rate)):
        stamp = START_S + number / rate
        if made and number % 7 == 0:
            stamp = made[-1].timestamp_ms / 1000
        made.append(Line(f"{number:08}", int(stamp * 1000), stamp + rng.choice(delay)))
    return made


def verdict(service: Service, shown: Counter[str], end_s: float) -> tuple[int, int]:
    """Return how many promised lines were lost and how many lines were shown twice."""
    promised = [
        line.event_id
        for line in service.lines
        if line.visible_s - line.timestamp_ms / 1000 <= PROMISE_S and line.visible_s < end_s - 70
    ]
    return sum(not shown[each] for each in promised), sum(count > 1 for count in shown.values())


REGIMES: dict[str, dict[str, Any]] = {
    "in order": {},
    "late batches": {"delays": [0.2, 0.5, 1.5, 1.5, 30.0, 90.0, 170.0]},
    "throttled 50 %": {"throttle": 0.5},
    "failing and throttled": {"throttle": 0.3, "fail": 0.2, "delays": [0.2, 60.0]},
    "tokens die": {"lose_token": 0.2, "delays": [0.2, 20.0]},
    "mostly empty pages": {"empty": 0.7},
}


@pytest.mark.parametrize("regime", REGIMES)
async def test_nothing_is_lost_and_nothing_shown_twice(regime: str) -> None:
    options = REGIMES[regime].copy()
    rng = random.Random(regime)
    delays: list[float] = options.pop("delays", [0.2, 0.5, 1.5])
    service = Service(lines_of(rng, 400, 8, delays), rng, **options)
    shown = await tail(service, 700)
    assert verdict(service, shown, service.now_s) == (0, 0)
    assert len(shown) > 3000


@given(
    seed=st.integers(0, 2**32),
    throttle=st.sampled_from([0.0, 0.2, 0.5]),
    lose_token=st.sampled_from([0.0, 0.1]),
    future_s=st.sampled_from([0.0, 600.0]),
    page=st.sampled_from([5, 50]),
    delays=st.lists(st.sampled_from([0.0, 0.2, 1.5, 14.0, 40.0, 100.0, 178.0]), min_size=1, max_size=6),
)
@settings(max_examples=40, deadline=None)
async def test_the_promise_holds_for_any_mix(
    seed: int, throttle: float, lose_token: float, future_s: float, page: int, delays: list[float]
) -> None:
    rng = random.Random(seed)
    lines = lines_of(rng, 120, 2, delays)
    # One line dated into the future must not hide the others.
    lines.append(Line("future", int((START_S + 10 + future_s) * 1000), START_S + 11))
    service = Service(lines, rng, page=page, throttle=throttle, lose_token=lose_token)
    shown = await tail(service, 500)
    assert verdict(service, shown, service.now_s) == (0, 0)
    assert shown["future"] == 1


async def test_a_line_too_late_for_a_scan_is_counted_when_the_deep_one_finds_it() -> None:
    rng = random.Random(1)
    service = Service([Line("late", int((START_S + 5) * 1000), START_S + 400)], rng, empty=0.0)
    tailer = GroupTailer("g", service.fetch, since_ms=int(START_S * 1000))
    shown = 0
    while service.now_s < START_S + 800:
        results = await tailer.read_page(service.now_s)
        shown += len(results.events)
        service.now_s += 1
    assert (shown, tailer.late) == (1, 1)


async def test_the_memory_cap_narrows_the_window_says_so_and_shows_nothing_twice() -> None:
    rng = random.Random(2)
    service = Service(lines_of(rng, 120, 50, [0.2]), rng, page=500, empty=0.0)
    tailer = GroupTailer("g", service.fetch, since_ms=int(START_S * 1000), cap=1000)
    shown: Counter[str] = Counter()
    reduced: list[float] = []
    while service.now_s < START_S + 400:
        results = await tailer.read_page(service.now_s)
        shown.update(event.event_id for event in results.events)
        if (window_s := tailer.window_s(service.now_s)) is not None:
            reduced.append(window_s)
        service.now_s += 1 if results.scan_done else 0
    assert min(reduced) < 25
    assert tailer.unsure == 0
    assert len(tailer.seen) <= 1000
    assert set(shown.values()) == {1}
    assert len(shown) == 6000


@pytest.mark.parametrize(
    ("read_to_ms", "memory_from_ms", "next_page"),
    [
        (None, 0, (0, "page 1")),
        (None, 1, (1, None)),
        (1000, 1000, (0, "page 1")),
        (1000, 1001, (1001, None)),
    ],
    ids=["starts where memory begins", "starts before", "has read up to there", "has not read that far"],
)
async def test_a_scan_goes_on_unless_all_it_has_read_is_forgotten_and_starts_again_where_memory_begins(
    read_to_ms: int | None, memory_from_ms: int, next_page: tuple[int, str | None]
) -> None:
    start_ms = int(START_S * 1000)
    asked: list[tuple[int, str | None]] = []

    async def fetch(_group: str, from_ms: int, token: str | None) -> Page:
        asked.append((from_ms - start_ms, token))
        # An empty page with a token is common.
        events = [] if read_to_ms is None else [RawEvent(timestamp=start_ms + read_to_ms, event_id="a")]
        return Page(events, f"page {len(asked)}")

    tailer = GroupTailer("g", fetch, since_ms=start_ms)
    await tailer.read_page(START_S)
    tailer.seen.floor_ms = start_ms + memory_from_ms
    tailer._forget_below_floor()
    await tailer.read_page(START_S)
    assert asked == [(0, None), next_page]
