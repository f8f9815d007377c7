"""Rows of alarms, firing first, and of error signatures, new first."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from prodwatch.model.signal import AlarmState
from prodwatch.store.error_signatures import Signature
from prodwatch.store.store import Store
from prodwatch.views.release import FunctionReleases
from prodwatch.views.status_style import State, Tone

ALARM_STATES = {
    "ALARM": State("✘", "x", "ALARM", Tone.BAD),
    "INSUFFICIENT_DATA": State("?", "?", "NO DATA", Tone.UNKNOWN),
    "OK": State("✔", "+", "OK", Tone.GOOD),
}
BEFORE_AT_LEAST = timedelta(minutes=1)
"""Time read before a release that is needed to know which errors are new since."""
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
    """First seen after the release began, in lines that were read from before it on."""
    on_new: int
    """Lines written by the version under release of the same function."""


class Signatures(msgspec.Struct, frozen=True, kw_only=True):
    """Rows in display order."""

    rows: tuple[SignatureRow, ...]
    new: int
    since: datetime | None
    """Start of the release; None: no signature is marked as new."""
    version: str | None


def was_before(store: Store, signature: Signature, since: datetime) -> bool | None:
    """Return whether an error was logged before `since`; None where its group was not read from before on."""
    status = store.sources.get(f"logs:{signature.group.key}")
    read_from = status.read_from if status is not None else None
    if read_from is not None and since - read_from < BEFORE_AT_LEAST:
        return None
    return signature.count > 0 and signature.first_ms < since.timestamp() * 1000


def is_new(store: Store, signature: Signature, since: datetime) -> bool:
    """Return whether an error was first seen after `since`; False where its group was not read from before on."""
    return signature.count > 0 and was_before(store, signature, since) is False


def signature_rows(store: Store, now: datetime, *, since: datetime | None = None) -> Signatures:
    """Return error signatures: new, then those of the version under release, then by how recent.

    New is what was first seen after `since`; unless it is given, after the release of the function that writes the log
    group began, or the main release where that function has none.
    """
    releases = FunctionReleases(store.release.states.values(), now)
    main = releases.main if since is None else None
    rows = []
    for signature in store.signatures.signatures.values():
        own = releases.of_group(signature.group) if since is None else None
        began = since or (own.started_at if own else None) or (main.started_at if main else None)
        rows.append(
            SignatureRow(
                signature=signature,
                new=began is not None and is_new(store, signature, began),
                on_new=signature.by_version.get(own.version, 0) if own and own.version else 0,
            )
        )
    rows.sort(key=lambda row: (not row.new, not row.on_new, not row.signature.count, -row.signature.last_ms))
    return Signatures(
        rows=tuple(rows),
        new=sum(row.new for row in rows),
        since=since or (main.started_at if main else None),
        version=main.version if main else None,
    )
