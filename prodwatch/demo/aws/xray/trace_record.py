"""All documents of one trace, and the trace as visible at a given time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prodwatch.demo.aws.xray.trace import Trace

Arrival = tuple[float, int, Mapping[str, Any]]
"""(visible_s, place, document)."""


class Record:
    """The documents of one trace in order of visibility; the latest trace built from them is cached."""

    __slots__ = ("_built", "arrivals")

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self._built: Trace | None = None

    def add(self, visible_s: float, document: Mapping[str, Any]) -> None:
        """Add a document."""
        self.arrivals.append((visible_s, len(self.arrivals), document))
        if len(self.arrivals) > 1 and self.arrivals[-2][0] > visible_s:
            self.arrivals.sort(key=_order)
        self._built = None

    def at(self, trace_id: str, now_s: float) -> Trace | None:
        """Return the trace as visible at `now_s`, None when no document is visible."""
        visible = len(self.arrivals)
        while visible and self.arrivals[visible - 1][0] > now_s:
            visible -= 1
        if not visible:
            return None
        if self._built is None or self._built.revision != visible:
            documents = [document for _, _, document in self.arrivals[:visible]]
            self._built = Trace(trace_id, documents, revision=visible, updated_s=self.arrivals[visible - 1][0])
        return self._built


def _order(arrival: Arrival) -> tuple[float, int]:
    return arrival[:2]
