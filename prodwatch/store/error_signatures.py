"""Groups error lines by shape, so that errors new since the release are recognised."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

import msgspec

from prodwatch.model.identity import GroupId
from prodwatch.model.signal import Level, LogRecord

SignatureKey = tuple[GroupId, str]
"""Log group and shape: an error that another group always logged is new in this one."""
Fingerprint = Callable[[str], str]
"""Message → shape; messages of equal shape form one signature."""

SHAPE_CHARS = 200
"""Characters of a message that form its shape."""
_SEVERE = frozenset((Level.ERROR, Level.FATAL))
_VARIABLE = re.compile(
    r"[0-9a-fA-F]{8}-[0-9a-fA-F-]{27,}|\b0x[0-9a-fA-F]+\b|\b[0-9a-fA-F]{16,}\b|\b\d[\d.,:]*(?![A-Za-z_])"
)


def shape_of(message: str) -> str:
    """Return the first line of `message` with ids and numbers replaced by `<*>`."""
    first = message.split("⏎", 1)[0].split("\n", 1)[0][:SHAPE_CHARS]
    return _VARIABLE.sub("<*>", first)


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """One shape of error lines and its occurrences."""

    shape: str
    sample: str
    """The latest message in full."""
    group: GroupId
    count: int
    by_version: dict[str, int]
    """Version → lines; lines without a version are left out."""
    first_ms: int
    last_ms: int
    request_id: str | None = None
    """Request id of the latest line."""
    trace_id: str | None = None

    @property
    def key(self) -> SignatureKey:
        """Identity of the signature."""
        return (self.group, self.shape)


class SignatureStore:
    """Signatures by log group and shape; new ones beyond `capacity` are only counted."""

    def __init__(self, capacity: int, fingerprint: Fingerprint = shape_of) -> None:
        self.capacity = capacity
        self._fingerprint = fingerprint
        self._signatures: dict[SignatureKey, Signature] = {}
        self.refused = 0
        """Lines whose shape was not stored because the capacity was reached."""

    def add(self, records: Iterable[LogRecord]) -> bool:
        """Add the error lines among `records`; return whether there were any."""
        changed = False
        for record in records:
            # Lambda's own closing lines repeat an error that an application line has already reported.
            if record.level not in _SEVERE or record.kind in {"report", "end"}:
                continue
            changed = True
            key = (record.group_id, self._fingerprint(record.message))
            previous = self._signatures.get(key)
            if previous is None and len(self._signatures) >= self.capacity:
                self.refused += 1
                continue
            self._signatures[key] = _merged(key, previous, record)
        return changed

    @property
    def signatures(self) -> Mapping[SignatureKey, Signature]:
        """All signatures, in order of first occurrence."""
        return self._signatures


def _merged(key: SignatureKey, previous: Signature | None, record: LogRecord) -> Signature:
    by_version = dict(previous.by_version) if previous else {}
    if record.version:
        by_version[record.version] = by_version.get(record.version, 0) + 1
    group, shape = key
    newest = previous is None or record.timestamp_ms >= previous.last_ms
    latest = record if newest else None
    return Signature(
        shape=shape,
        group=group,
        sample=latest.message if latest else (previous.sample if previous else record.message),
        count=(previous.count if previous else 0) + 1,
        by_version=by_version,
        first_ms=min(record.timestamp_ms, previous.first_ms) if previous else record.timestamp_ms,
        last_ms=max(record.timestamp_ms, previous.last_ms) if previous else record.timestamp_ms,
        request_id=latest.request_id if latest else (previous.request_id if previous else None),
        trace_id=latest.trace_id if latest else (previous.trace_id if previous else None),
    )
