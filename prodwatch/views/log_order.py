"""Where a log line stands among those of all groups: at its own time, unless that would hide it or make it stay.

Groups are read apart, so a line may come after younger ones of other groups and is put before them. A line that came
late stands where it came, marked, rather than minutes back where nobody looks; one dated into the future stands where
it was taken in, or it would stay the newest line for hours.
"""

from __future__ import annotations

from prodwatch.model.signal import LogRecord


def place_ms(record: LogRecord) -> int:
    """Return the moment a line stands at, epoch milliseconds by AWS's clock."""
    stamp = record.timestamp_ms
    if record.late_ms:
        return stamp + record.late_ms
    return record.ingested_ms if 0 < record.ingested_ms < stamp else stamp
