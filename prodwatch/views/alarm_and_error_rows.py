"""Rows of alarms, firing first, and of error signatures, new first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from prodwatch.judge.signals import muted
from prodwatch.judge.signatures.readable import readable
from prodwatch.judge.signatures.signature import signature_id
from prodwatch.model.comparison import SignatureKey, SignatureResult
from prodwatch.model.identity import GroupId, unique_name
from prodwatch.model.signal import AlarmState
from prodwatch.model.status import WORST_FIRST
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


def alarm_reason(alarm: AlarmState) -> str:
    """Return the mute rule in force and CloudWatch's reason for the state; empty without either."""
    return ": ".join(filter(None, (muted(alarm.muted_by) if alarm.muted_by is not None else None, alarm.reason)))


class SignatureRow(msgspec.Struct, frozen=True, kw_only=True):
    """One group of error signatures; most have one member."""

    key: SignatureKey
    """Identity of the row: that of the member that was seen first, which a growing group keeps."""
    signature: Signature
    """The only member, or all of them added up, under the text of the group."""
    members: int
    text: str
    """The signature as people write it."""
    new: bool
    """First seen after the release began, in lines that were read from before it on; the same holds of its group."""
    on_new: int
    """Lines written by the version under release of the same function."""
    compared: SignatureResult | None
    """The surest comparison of its members; None where nothing compares them."""


class Signatures(msgspec.Struct, frozen=True, kw_only=True):
    """Rows in display order."""

    rows: tuple[SignatureRow, ...]
    new: int
    since: datetime | None
    """Start of the release; None: no signature is marked as new."""
    version: str | None


def was_before(store: Store, members: Iterable[Signature], since: datetime) -> bool | None:
    """Return whether any signature of one group was logged before `since`; None where that time was not read.

    Where Logs Insights has counted the time before a release, that answers it.
    """
    members = tuple(members)
    if not all(_was_read_before(store, group, since) for group in {each.read_in for each in members}):
        return store.signatures.counted_before(members, since)
    since_ms = since.timestamp() * 1000
    return any(each.count > 0 and each.first_ms < since_ms for each in members)


def _was_read_before(store: Store, group: GroupId, since: datetime) -> bool:
    """Return whether a log group was read from before `since` on; False for a group that reports no start."""
    status = store.sources.get(f"logs:{group.key}")
    read_from = status.read_from if status is not None else None
    return read_from is not None and since - read_from >= BEFORE_AT_LEAST


def signature_groups(store: Store) -> Iterator[tuple[str, tuple[Signature, ...]]]:
    """Yield each group of signatures as its text and its members."""
    signatures = store.signatures.signatures
    for (_, text), keys in store.signatures.groups.items():
        yield text, tuple(signatures[key] for key in keys)


def signature_rows(store: Store, now: datetime, *, since: datetime | None = None) -> Signatures:
    """Return error signatures: new, then those of the version under release, then by how recent.

    New is what was first seen after `since`; unless it is given, after the release of the function that writes the log
    group began, or the main release where that function has none.
    """
    releases = FunctionReleases(store.release.states.values(), now)
    main = releases.main if since is None else None
    results: dict[str, SignatureResult] = (
        {} if since is not None else {each.id: each for each in store.compared_signatures}
    )
    rows = []
    for text, members in signature_groups(store):
        signature = _together(text, members)
        own = releases.of_group(signature.group) if since is None else None
        began = since or (own.started_at if own else None) or (main.started_at if main else None)
        subject = unique_name(own.id.subject, own.place) if own else ""
        compared = [found for each in members if (found := results.get(signature_id(subject, each.shape)))]
        first = min(members, key=lambda each: (not each.count, each.first_ms, each.shape))
        is_new = began is not None and signature.count > 0 and was_before(store, members, began) is False
        rows.append(
            SignatureRow(
                key=first.key,
                signature=signature,
                members=len(members),
                text=readable(text),
                new=is_new,
                on_new=signature.by_version.get(own.version, 0) if own and own.version else 0,
                compared=min(compared, key=_sureness) if compared else None,
            )
        )
    rows.sort(key=lambda row: (not row.new, not row.on_new, not row.signature.count, -row.signature.last_ms))
    return Signatures(
        rows=tuple(rows),
        new=sum(row.new for row in rows),
        since=since or (main.started_at if main else None),
        version=main.version if main else None,
    )


def _together(text: str, members: Sequence[Signature]) -> Signature:
    """Return the signatures of one group added up, with the example of the latest line."""
    if len(members) == 1:
        return members[0]
    counted = [each for each in members if each.count] or members
    latest = max(counted, key=lambda each: each.last_ms)
    by_version: Counter[str] = Counter()
    for each in members:
        by_version.update(each.by_version)
    return replace(
        latest,
        shape=text,
        count=sum(each.count for each in members),
        own=sum(each.own for each in members),
        by_version=dict(by_version),
        first_ms=min(each.first_ms for each in counted),
    )


def _sureness(result: SignatureResult) -> tuple[int, float]:
    """Return the order: what is bound to the new version, then what is listed, then what is accepted."""
    return (WORST_FIRST.index(result.status), -result.evidence / result.needed)
