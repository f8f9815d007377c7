"""All metric series of one region: put samples merged with computed history."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from threading import RLock

from prodwatch.demo.aws.faults import FaultPlan
from prodwatch.demo.aws.metrics.model import Sample, Series, SeriesKey, sample
from prodwatch.demo.workload import History

_CHUNK_S = 600
_KEEP_CHUNKS = 10_000


class MetricStore:
    """Series by name. Safe to use from any thread."""

    def __init__(self, *, wall: Callable[[], float], faults: FaultPlan, history: History | None = None) -> None:
        self._wall = wall
        self._faults = faults
        self._history = history
        self._lock = RLock()
        self._series: dict[SeriesKey, Series] = {}
        self._past: OrderedDict[tuple[SeriesKey, int], list[Sample]] = OrderedDict()
        self._past_keys = (
            {SeriesKey.of(*name) for name in history.metric_names()} if history is not None else frozenset[SeriesKey]()
        )

    def put(
        self,
        namespace: str,
        metric: str,
        dimensions: Mapping[str, str],
        timestamp_s: float,
        values: Iterable[float],
        counts: Iterable[float] | None = None,
        unit: str | None = None,
        visible_s: float | None = None,
        *,
        high_resolution: bool = False,
    ) -> None:
        """Add values to a series; reads return them from wall time `visible_s` on, by default immediately."""
        now_s = self._wall()
        seen_s = (now_s if visible_s is None else visible_s) + self._faults.lateness_s(
            "cloudwatch", "PutMetricData", now_s
        )
        # Immediately visible samples are grouped by ten seconds, so that a busy minute has few of them.
        shown_s = float(int(seen_s // 10) * 10) if seen_s <= now_s else seen_s
        kept_s = timestamp_s if high_resolution else float(int(timestamp_s // 60) * 60)
        with self._lock:
            series = self._series.setdefault(SeriesKey.of(namespace, metric, dimensions), Series())
            series.unit = unit or series.unit
            series.high_resolution = series.high_resolution or high_resolution
            series.updated_s = now_s
            series.add(sample(kept_s, shown_s, values, counts))

    def names(self) -> list[SeriesKey]:
        """Return every series, in order."""
        with self._lock:
            return sorted(self._series.keys() | self._past_keys)

    def unit(self, key: SeriesKey) -> str:
        """Return the unit of a series, `None` (AWS's word) without one."""
        with self._lock:
            return self._series[key].unit if key in self._series else "None"

    def updated_s(self, key: SeriesKey) -> float:
        """Return the time of the last put; 0 for a series of history alone."""
        with self._lock:
            return self._series[key].updated_s if key in self._series else 0.0

    def samples(self, key: SeriesKey, start_s: float, end_s: float, seen_s: float) -> list[Sample]:
        """Return samples with start ≤ timestamp < end visible at `seen_s`, history first, then put ones."""
        samples = self._history_samples(key, start_s, end_s, seen_s)
        with self._lock:
            if series := self._series.get(key):
                samples.extend(
                    Sample(put_sample.timestamp_s, put_sample.visible_s, put_sample.values[:], put_sample.counts[:])
                    for put_sample in series.between(start_s, end_s, seen_s)
                )
        return samples

    def _history_samples(self, key: SeriesKey, start_s: float, end_s: float, seen_s: float) -> list[Sample]:
        if key not in self._past_keys:
            return []
        return [
            past_sample
            # A history may be endless: samples in the future cannot be visible.
            for index in range(int(start_s // _CHUNK_S), int(min(end_s, seen_s) // _CHUNK_S) + 1)
            for past_sample in self._chunk(key, index)
            if start_s <= past_sample.timestamp_s < end_s and past_sample.visible_s <= seen_s
        ]

    def _chunk(self, key: SeriesKey, index: int) -> list[Sample]:
        assert self._history is not None
        with self._lock:
            if (cached := self._past.get((key, index))) is not None:
                self._past.move_to_end((key, index))
                return cached
        start_s = index * _CHUNK_S
        chunk = [
            sample(past_sample.timestamp_s, past_sample.visible_s, past_sample.values, past_sample.counts)
            for past_sample in self._history.metric_samples(
                key.namespace, key.metric, dict(key.dimensions), start_s, start_s + _CHUNK_S
            )
        ]
        with self._lock:
            self._past[key, index] = chunk
            while len(self._past) > _KEEP_CHUNKS:
                self._past.popitem(last=False)
        return chunk
