"""The ids of the requests that prodwatch's own checks send, so that their effects are kept apart from the users'."""

from __future__ import annotations

import re
from collections.abc import Iterable

from prodwatch.model.result import CheckResult
from prodwatch.model.signal import LogRecord

_TRACE = re.compile(r"1-[0-9a-f]{8}-[0-9a-f]{24}")
MAX_IDS = 50_000
"""Most ids known; beyond them the oldest are forgotten."""


class OwnTraffic:
    """Trace and request ids of own requests, and of the invocations that they caused."""

    def __init__(self, capacity: int = MAX_IDS) -> None:
        self._capacity = capacity
        self._ids: dict[str, None] = {}

    def __contains__(self, id_: str | None) -> bool:
        """Return whether a trace or request id belongs to an own request."""
        return id_ in self._ids

    def owns(self, record: LogRecord) -> bool:
        """Return whether a line was written for an own request."""
        return record.request_id in self._ids or record.trace_id in self._ids

    def latest(self, count: int) -> tuple[str, ...]:
        """Return the latest ids, the oldest of them first."""
        return tuple(self._ids)[-count:]

    def learn(self, ids: Iterable[str | None]) -> list[str]:
        """Add ids; return those that were not known."""
        new = [id_ for id_ in dict.fromkeys(ids) if id_ and id_ not in self._ids]
        self._ids.update(dict.fromkeys(new))
        while len(self._ids) > self._capacity:
            del self._ids[next(iter(self._ids))]
        return new

    def traces_between(self, start_s: float, end_s: float) -> list[str]:
        """Return the X-Ray ids of traces that began in a span of whole epoch seconds, by the time within the id."""
        return [id_ for id_ in self._ids if _TRACE.fullmatch(id_) and start_s <= int(id_[2:10], 16) < end_s]

    def learn_result(self, result: CheckResult) -> list[str]:
        """Add the ids of a check's requests and of its cleanup; return those that were not known."""
        steps = (*result.steps, *result.cleanup)
        correlations = (result.correlation, *(step.correlation for step in steps))
        return self.learn(id_ for each in correlations for id_ in (each.trace_id, *each.request_ids))

    def learn_lines(self, records: Iterable[LogRecord]) -> list[str]:
        """Add the ids that lines bring together with a known one; return those that were not known.

        A function's report names the trace next to its own request id, which its other lines carry.
        """
        return self.learn(
            id_
            for record in records
            if record.request_id and record.trace_id and self.owns(record)
            for id_ in (record.request_id, record.trace_id)
        )
