"""Statuses of log groups that are read from a given time on, without which no error is new."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from prodwatch.model.identity import GroupId
from prodwatch.model.signal import Batch, LogRecord, Record, SourcePhase, SourceStatus
from prodwatch.store import Store


def groups_of(records: Iterable[Record]) -> set[GroupId]:
    """Return the log groups of the lines among `records`."""
    return {each.group_id for each in records if isinstance(each, LogRecord)}


def note_read(store: Store, groups: Iterable[GroupId], read_from: datetime) -> None:
    """Note that these groups are read from `read_from` on."""
    for group in groups:
        status = SourceStatus(source=f"logs:{group.key}", phase=SourcePhase.LIVE, read_from=read_from)
        store.apply(Batch(source=status.source, status=status))
