"""The shop's past and present signals: computed from the seed, nothing stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prodwatch.demo.shop.log_history import LogHistory
from prodwatch.demo.shop.metric_history import MetricHistory
from prodwatch.demo.shop.release_timeline import HISTORY_S, WEEK_S, Timeline
from prodwatch.demo.shop.request_ids import LEAD_MS
from prodwatch.demo.shop.trace_history import TraceHistory
from prodwatch.demo.shop.traffic import Traffic
from prodwatch.demo.workload import LogEvent, MetricSample, TracedCall


class ShopHistory:
    """`workload.History` of the shop, from an hour before the start."""

    def __init__(self, timeline: Timeline, *, seed: int, public_url: str = "https://api.shop.example") -> None:
        self._timeline = timeline
        self.traffic = Traffic(timeline, seed)
        self._log_history = LogHistory(self.traffic, seed)
        self._trace_history = TraceHistory(self.traffic, public_url)
        self._metric_history = MetricHistory(self.traffic, seed)
        created_ms = (timeline.opened_s - WEEK_S - HISTORY_S) * 1000
        self._groups = dict.fromkeys(self._log_history.groups, created_ms)

    def log_groups(self) -> Mapping[str, int]:
        """Return log group → creation time in epoch ms."""
        return self._groups

    def log_events(self, group: str, start_ms: int, end_ms: int) -> Iterator[LogEvent]:
        """Yield the group's events with start ≤ timestamp ≤ end, ordered by timestamp."""
        for second in self._seconds(start_ms // 1000, end_ms // 1000 + 1):
            for event in self._log_history.second(group, second):
                if start_ms <= event.timestamp_ms <= end_ms:
                    yield event

    def segments(self, start_s: float, end_s: float) -> Iterator[Mapping[str, Any]]:
        """Yield X-Ray segment documents starting in [start, end)."""
        # A segment starts up to LEAD_MS before the invocation it leads to, and up to a cold start after it.
        for second in self._seconds(int(start_s) - 1, int(end_s + LEAD_MS / 1000) + 1):
            for document in self._trace_history.second(second):
                if start_s <= document["start_time"] < end_s:
                    yield document

    def calls(self, start_s: float, end_s: float) -> Iterator[TracedCall]:
        """Yield the calls of all traces that begin in [start, end)."""
        for second in self._seconds(int(start_s) - 1, int(end_s + LEAD_MS / 1000) + 1):
            for began_s, calls in self._trace_history.calls(second):
                if start_s <= began_s < end_s:
                    yield from calls

    def metric_names(self) -> Iterator[tuple[str, str, Mapping[str, str]]]:
        """Yield (namespace, metric, dimensions) of every past series."""
        for namespace, metric, dimensions in self._metric_history.names():
            yield namespace, metric, dict(dimensions)

    def metric_samples(
        self, namespace: str, metric: str, dimensions: Mapping[str, str], start_s: int, end_s: int
    ) -> Iterator[MetricSample]:
        """Yield the samples of one exact series with start ≤ minute < end."""
        yield from self._metric_history.samples((namespace, metric, tuple(sorted(dimensions.items()))), start_s, end_s)

    def _seconds(self, start_s: int, end_s: int) -> Iterator[int]:
        for span in self._timeline.spans():
            yield from span.seconds_in(start_s, end_s)
