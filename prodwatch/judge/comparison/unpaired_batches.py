"""Batches that closed without a request of the new version, for its late records of the same batch."""

from __future__ import annotations

from prodwatch.model.comparison import RequestBatch, VersionCounts

WAITING_BATCHES = 20
"""Batches that wait for late records: ten minutes."""


class UnpairedBatches:
    """Requests of the old version that no request of the new one was compared with.

    Without the new version the factor of a batch is 1, whatever the old one's requests were like: they are unspent.
    Late records of the new version in the same batch are compared with them, once. Which requests are compared depends
    on their time and number alone, so that the evidence stays valid at every look.
    """

    def __init__(self, new: str, old: str | None) -> None:
        self._new = new
        self._old = old
        self._waiting: dict[int, VersionCounts] = {}
        """Start of a batch, epoch milliseconds → requests of the old version."""

    def partner_of(self, batch: RequestBatch) -> VersionCounts | None:
        """Return the earlier requests of the old version to compare this batch with, None without any.

        The batch itself is kept when its requests of the old version have nothing to be compared with.
        """
        new, old = batch.of(self._new), batch.of(self._old)
        if batch.late:
            return self._waiting.pop(batch.start_ms, None) if new.requests else None
        if old.requests and not new.requests:
            self._waiting[batch.start_ms] = old
            while len(self._waiting) > WAITING_BATCHES:
                del self._waiting[next(iter(self._waiting))]
        return None
