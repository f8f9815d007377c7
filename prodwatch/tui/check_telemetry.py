"""Fetches the traces and log lines of a check's own requests, round by round.

X-Ray and CloudWatch have them some seconds after the request, often after the next round has started. So each round is
polled for a while, and until the latest round's trace arrives the last one that did stays on screen.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from prodwatch.clock import Clock
from prodwatch.model.signal import LogRecord, Trace
from prodwatch.session.protocol import NOT_RECORDED, Session
from prodwatch.store.store import Store

TRACE_POLL_INTERVAL_S = 5.0
MAX_TRACE_POLLS = 20
"""Requests to X-Ray for one trace before giving up."""
MAX_FOLLOWED_ROUNDS = 4
"""Latest rounds whose traces are requested."""
MAX_TAIL_CHECKS = 3
"""Checks whether the log tail has delivered the lines, as it usually does, before they are searched for."""
MAX_SEARCHES = 2
SEARCH_INTERVAL_S = 20.0
"""A search reads every watched group, so searches are few."""
TRACE_DELAY = "5 to 30 s"

Start = Callable[[str, Coroutine[Any, Any, None]], None]
"""Runs a task in the background, under a name."""


class CheckRound(NamedTuple):
    """The ids that one round of a check sent."""

    at: datetime | None
    """When the round finished."""
    trace_ids: tuple[str, ...]
    request_ids: tuple[str, ...]
    logged: bool = True
    """Whether log lines can contain its ids."""

    @property
    def ids(self) -> tuple[str, ...]:
        """All ids, for finding lines and traces."""
        return (*self.request_ids, *self.trace_ids)


class CheckTelemetry:
    """Follows the rounds of one check while `open_` returns True."""

    def __init__(
        self,
        store: Store,
        session: Session,
        clock: Clock,
        *,
        start: Start,
        open_: Callable[[], bool],
        fetches: bool = True,
    ) -> None:
        """Without `fetches`, in a replay, only what the store holds is found."""
        self._fetches = fetches
        self._store = store
        self._session = session
        self._clock = clock
        self._start = start
        self._open = open_
        self._rounds: list[CheckRound] = []
        """Newest first."""
        self._attempts: dict[str, int] = {}
        self._searched: dict[CheckRound, int] = {}
        self._found: dict[CheckRound, tuple[LogRecord, ...]] = {}

    def follow(self, newest: CheckRound) -> None:
        """Start to fetch traces and lines of a round, unless that has started already."""
        if not newest.ids or (self._rounds and self._rounds[0] == newest):
            return
        for gone in self._rounds[MAX_FOLLOWED_ROUNDS:]:
            self._found.pop(gone, None)
            self._searched.pop(gone, None)
        self._rounds = [newest, *self._rounds[:MAX_FOLLOWED_ROUNDS]]
        if not self._fetches:
            return
        for trace_id in newest.trace_ids:
            if not self._whole(trace_id):
                self._start("trace", self._ask_trace(newest, trace_id))
        if newest.logged:
            self._start("log lines", self._search(newest))

    def lines(self, of: CheckRound) -> list[LogRecord]:
        """Return the lines of a round from the tail, else from the search, by time."""
        records_by_identity: dict[int, LogRecord] = {}
        for trace_id in of.trace_ids or (None,):
            records_by_identity.update(
                (id(record), record) for record in self._store.logs.find(of.request_ids, trace_id)
            )
        records = list(records_by_identity.values()) or list(self._found.get(of, ()))
        return sorted(records, key=lambda record: record.timestamp_ms)

    def traces(self, of: CheckRound) -> list[Trace]:
        """Return the traces of a round that have arrived."""
        return [trace for trace_id in of.trace_ids if (trace := self._store.traces.detail(trace_id)) is not None]

    def before(self, newest: CheckRound, has: Callable[[CheckRound], Sequence[object]]) -> CheckRound | None:
        """Return the latest round before `newest` for which `has` returns something."""
        return next((earlier for earlier in self._rounds if earlier != newest and has(earlier)), None)

    def trace_note(self, trace_id: str) -> str:
        """Return the progress of the search in one sentence."""
        if not self._fetches:
            return NOT_RECORDED
        attempts = self._attempts.get(trace_id, 0)
        if attempts >= MAX_TRACE_POLLS:
            return "not in X-Ray: the request may not have been sampled"
        progress = (
            f"; {attempts} {'attempt' if attempts == 1 else 'attempts'}, next in {TRACE_POLL_INTERVAL_S:.0f} s"
            if attempts
            else ""
        )
        return f"waiting for the trace; X-Ray usually needs {TRACE_DELAY}{progress}"

    def lines_note(self, of: CheckRound) -> str:
        """Return the progress of the search in one sentence."""
        if not of.logged:
            return "this check calls AWS APIs only: they write no lines with these ids to your log groups"
        if not self._fetches:
            return NOT_RECORDED
        searched = self._searched.get(of, 0)
        if searched >= MAX_SEARCHES:
            return "no line has its ids: searched the last 15 min of every watched group"
        progress = f"; searched {searched} {'time' if searched == 1 else 'times'}" if searched else ""
        return f"waiting for its log lines; CloudWatch usually needs a few seconds{progress}"

    def _followed(self, of: CheckRound) -> bool:
        return self._open() and of in self._rounds[:MAX_FOLLOWED_ROUNDS]

    def _whole(self, trace_id: str) -> bool:
        trace = self._store.traces.detail(trace_id)
        return trace is not None and trace.complete

    async def _ask_trace(self, of: CheckRound, trace_id: str) -> None:
        while self._attempts.get(trace_id, 0) < MAX_TRACE_POLLS and self._followed(of):
            trace = await self._session.fetch_trace(trace_id)
            if trace is not None:
                self._store.add_trace(trace)
                if trace.complete:
                    return
            self._attempts[trace_id] = self._attempts.get(trace_id, 0) + 1
            await self._clock.sleep(TRACE_POLL_INTERVAL_S)

    async def _search(self, of: CheckRound) -> None:
        """Search CloudWatch for the lines when the tail does not deliver them."""
        for _ in range(MAX_TAIL_CHECKS):
            if self.lines(of):
                return
            await self._clock.sleep(TRACE_POLL_INTERVAL_S)
        while (
            self._searched.get(of, 0) < MAX_SEARCHES and self._open() and self._rounds[0] == of and not self.lines(of)
        ):
            trace_id = of.trace_ids[0] if of.trace_ids else None
            self._found[of] = tuple(await self._session.fetch_logs_for(of.request_ids, trace_id))
            self._searched[of] = self._searched.get(of, 0) + 1
            await self._clock.sleep(SEARCH_INTERVAL_S)
