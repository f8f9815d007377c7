"""Rows of alarms, firing first, and of error signatures, new first."""

from __future__ import annotations

from datetime import datetime

import msgspec

from prodwatch.model.release import current_release
from prodwatch.model.signal import AlarmState
from prodwatch.store.error_signatures import Signature
from prodwatch.store.store import Store
from prodwatch.views.status_style import State, Tone

ALARM_STATES = {
    "ALARM": State("✘", "x", "ALARM", Tone.BAD),
    "INSUFFICIENT_DATA": State("?", "?", "NO DATA", Tone.UNKNOWN),
    "OK": State("✔", "+", "OK", Tone.GOOD),
}
_ORDER = ("ALARM", "INSUFFICIENT_DATA", "OK")


def alarm_rows(store: Store) -> tuple[AlarmState, ...]:
    """Return alarms: firing, then without data, then quiet; those that gate before those that do not."""
    return tuple(
        sorted(store.release.alarms.values(), key=lambda alarm: (_ORDER.index(alarm.state), not alarm.gate, alarm.name))
    )


class SignatureRow(msgspec.Struct, frozen=True, kw_only=True):
    """One error signature."""

    signature: Signature
    new: bool
    """First seen after the release began."""
    on_new: int
    """Lines written by the version under release."""


class Signatures(msgspec.Struct, frozen=True, kw_only=True):
    """Rows in display order."""

    rows: tuple[SignatureRow, ...]
    new: int
    since: datetime | None
    """Start of the release; None: no signature is marked as new."""
    version: str | None


def signature_rows(store: Store, now: datetime, *, since: datetime | None = None) -> Signatures:
    """Return error signatures: new, then those of the version under release, then by how recent.

    New is what was first seen after `since`, which is the beginning of the release unless it is given.
    """
    release = current_release(store.release.states.values(), now) if since is None else None
    if release:
        since = release.started_at
    since_ms = since.timestamp() * 1000 if since else None
    version = release.version if release else None
    rows = [
        SignatureRow(
            signature=signature,
            new=since_ms is not None and signature.first_ms >= since_ms,
            on_new=signature.by_version.get(version, 0) if version else 0,
        )
        for signature in store.signatures.signatures.values()
    ]
    rows.sort(key=lambda row: (not row.new, not row.on_new, -row.signature.last_ms))
    return Signatures(rows=tuple(rows), new=sum(row.new for row in rows), since=since, version=version)
