"""Groups error lines by shape, so that errors new since the release are recognised."""

from __future__ import annotations

import heapq
import re
from bisect import insort
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from prodwatch.judge.signatures.merge import merged
from prodwatch.judge.signatures.signature import SignatureReader, signature_text, tokens_of_text
from prodwatch.model.comparison import SignatureKey
from prodwatch.model.identity import GroupId
from prodwatch.model.signal import ERROR_WORDS, CountedErrors, Level, LogRecord
from prodwatch.store.own_traffic import OwnTraffic
from prodwatch.store.under_release import NOTHING_RELEASED, UnderRelease

Fingerprint = Callable[[LogRecord], str]
"""Line → shape; lines of one group and of equal shape form one signature."""

REMEMBERED = 40
"""Dropped signatures whose first line is remembered, as a multiple of the capacity."""
IDS_KEPT = 10_000
"""Request and trace ids of error lines that are remembered: an id may turn out later to be that of an own request."""
EARLIEST_KEPT = 20
"""Times of the earliest lines remembered per signature."""
_SEVERE = frozenset((Level.ERROR, Level.FATAL))
_COUNTED = re.compile("|".join(ERROR_WORDS), re.IGNORECASE)


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """One shape of error lines and its occurrences."""

    shape: str
    sample: str
    """The latest message in full."""
    group: GroupId
    """Writer of the lines."""
    log_group: GroupId | None = None
    """Group that holds the latest line; None where it has the writer's name."""
    count: int
    """Lines; those of prodwatch's own requests are left out."""
    own: int = 0
    """Lines of prodwatch's own requests."""
    by_version: dict[str, int]
    """Version → lines of `count`; lines without a version are left out."""
    first_ms: int
    """Of the counted lines, or where there are none of the own ones."""
    last_ms: int
    request_id: str | None = None
    """Request id of the latest line."""
    trace_id: str | None = None

    @property
    def key(self) -> SignatureKey:
        """Identity of the signature."""
        return (self.group, self.shape)

    @property
    def read_in(self) -> GroupId:
        """Group that holds the latest line."""
        return self.log_group or self.group


class SignatureState(msgspec.Struct, frozen=True, kw_only=True):
    """Error signatures, in order of first occurrence."""

    signatures: tuple[Signature, ...] = ()
    counted: tuple[CountedErrors, ...] = ()
    """Errors of the time before releases."""
    dropped: int = 0
    own: int = 0


class _Counted(NamedTuple):
    """One counted line."""

    key: SignatureKey
    version: str | None
    at_ms: int
    event_id: str
    kept_since: int


class ErrorShapes:
    """Shapes of error lines: their signatures as text."""

    def __init__(self) -> None:
        self._reader = SignatureReader()

    def of(self, record: LogRecord) -> str:
        """Return the shape of a line."""
        return signature_text(self._reader.read(record.message, record.fields))


class SignatureStore:
    """Signatures by log group and shape; beyond `capacity` the least valuable are dropped.

    Of least value is what was seen once and longest ago; the release's errors and the latest line are kept longest.
    """

    def __init__(self, capacity: int, fingerprint: Fingerprint | None = None) -> None:
        self.capacity = capacity
        self._fingerprint = fingerprint or ErrorShapes().of
        self._signatures: dict[SignatureKey, Signature] = {}
        self._first_ms: dict[int, int] = {}
        """Hash of a dropped signature → its first line, so that it is not new when it returns."""
        self.dropped = 0
        """Signatures dropped because the capacity was reached."""
        self.own = 0
        """Lines of prodwatch's own requests, which are counted apart."""
        self._earliest: dict[SignatureKey, list[int]] = {}
        """Times of the earliest counted lines, in ms, to know which is first once some turn out to be own ones."""
        self._kept_since: dict[SignatureKey, int] = {}
        """Value of `dropped` when the signature was added: lines counted before it was dropped are not in its count."""
        self._by_id: dict[str, list[_Counted]] = {}
        """Request or trace id → its latest counted lines."""
        self._groups: Mapping[SignatureKey, tuple[SignatureKey, ...]] | None = None
        """Cache of `groups`, until a signature comes or goes."""
        self._counted: dict[GroupId, CountedErrors] = {}
        """Writer → errors of the time before its release, counted elsewhere."""
        self._known_before: frozenset[SignatureKey] | None = None
        """Cache of the signatures that share a group with a counted one, until either changes."""

    @property
    def fingerprint(self) -> Fingerprint:
        """Line → shape."""
        return self._fingerprint

    @property
    def counted(self) -> tuple[CountedErrors, ...]:
        """Errors of the time before releases that were counted elsewhere."""
        return tuple({id(each): each for each in self._counted.values()}.values())

    def add_counted(self, counted: CountedErrors) -> None:
        """Note the errors of the time before a release."""
        self._counted |= dict.fromkeys(counted.writers, counted)
        self._known_before = None

    def counted_before(self, members: Iterable[Signature], since: datetime) -> bool | None:
        """Return whether one of a group's signatures was counted before a release; None where that is not known."""
        members = tuple(members)
        counted = self._counted.get(members[0].group)
        if counted is None or counted.until != since:
            return None
        if self._known_before is None:
            keys = {key for each in self._counted.values() for key in each.signatures}
            groups = _groups_of({*self._signatures, *keys}).values()
            self._known_before = frozenset(key for group in groups if keys & {*group} for key in group)
        if any(each.key in self._known_before for each in members):
            return True
        is_counted = counted.complete and all(_COUNTED.search(each.sample) for each in members)
        return False if is_counted else None

    def add(
        self,
        records: Iterable[LogRecord],
        own: OwnTraffic | None = None,
        under_release: UnderRelease = NOTHING_RELEASED,
    ) -> bool:
        """Add the error lines among `records`, those of `own` requests apart; return whether there were any."""
        changed = False
        for record in records:
            # Lambda's own closing lines repeat an error that an application line has already reported.
            if record.level not in _SEVERE or record.kind in {"report", "end"}:
                continue
            changed = True
            key = (record.writer, self._fingerprint(record))
            previous = self._signatures.get(key)
            if previous is None and len(self._signatures) >= self.capacity:
                self._drop(under_release)
            if previous is None:
                self._kept_since[key] = self.dropped
                self._groups = self._known_before = None
            if own is not None and own.owns(record):
                self.own += 1
                self._signatures[key] = _with_own(key, previous, record)
                continue
            signature = _merged(key, previous, record)
            if (first_ms := self._first_ms.pop(hash(key), None)) is not None:
                signature = replace(signature, first_ms=min(first_ms, signature.first_ms))
                self._earliest[key] = [first_ms]
            self._signatures[key] = signature
            self._note(key, record)
        return changed

    def restore(self, state: SignatureState) -> None:
        """Fill an empty store with the signatures of another time."""
        self.dropped, self.own = state.dropped, state.own
        for counted in state.counted:
            self.add_counted(counted)
        for signature in state.signatures:
            self._signatures[signature.key] = signature
            self._kept_since[signature.key] = self.dropped
            self._earliest[signature.key] = [signature.first_ms]

    def _drop(self, under_release: UnderRelease) -> None:
        """Drop the least valuable signatures, several at once, because finding them looks at all."""

        def value(signature: Signature) -> tuple[bool, int, int]:
            released = under_release.has_error(signature.group, signature.by_version, signature.first_ms)
            return (released and signature.count > 0, min(signature.count, 2), signature.last_ms)

        for signature in heapq.nsmallest(max(1, self.capacity // 20), self._signatures.values(), key=value):
            key = signature.key
            del self._signatures[key], self._kept_since[key]
            self._earliest.pop(key, None)
            self.dropped += 1
            self._groups = self._known_before = None
            if signature.count:
                self._first_ms[hash(key)] = signature.first_ms
        while len(self._first_ms) > REMEMBERED * self.capacity:
            del self._first_ms[next(iter(self._first_ms))]

    def _note(self, key: SignatureKey, record: LogRecord) -> None:
        earliest = self._earliest.setdefault(key, [])
        if len(earliest) < EARLIEST_KEPT or record.timestamp_ms < earliest[-1]:
            insort(earliest, record.timestamp_ms)
            del earliest[EARLIEST_KEPT:]
        for id_ in {record.request_id, record.trace_id}:
            if id_:
                line = _Counted(key, record.version, record.timestamp_ms, record.event_id, self._kept_since[key])
                self._by_id.setdefault(id_, []).append(line)
        while len(self._by_id) > IDS_KEPT:
            del self._by_id[next(iter(self._by_id))]

    def set_aside(self, ids: Iterable[str]) -> bool:
        """Count the lines with these ids of own requests apart from now on; return whether there were any."""
        lines = dict.fromkeys(line for id_ in ids for line in self._by_id.pop(id_, ()))
        for line in lines:
            signature = self._signatures.get(line.key)
            if signature is None or not signature.count or self._kept_since[line.key] != line.kept_since:
                continue
            self.own += 1
            earliest = self._earliest.get(line.key, [])
            if line.at_ms in earliest:
                earliest.remove(line.at_ms)
            by_version = dict(signature.by_version)
            if line.version:
                by_version[line.version] -= 1
            self._signatures[line.key] = replace(
                signature,
                count=signature.count - 1,
                own=signature.own + 1,
                by_version={version: count for version, count in by_version.items() if count > 0},
                first_ms=earliest[0] if earliest else signature.last_ms if signature.count > 1 else signature.first_ms,
            )
        return bool(lines)

    @property
    def signatures(self) -> Mapping[SignatureKey, Signature]:
        """All signatures, in order of first occurrence."""
        return self._signatures

    @property
    def groups(self) -> Mapping[SignatureKey, tuple[SignatureKey, ...]]:
        """Log group and text → signatures that differ only in names; most groups have one member.

        Groups change with what is seen, so they serve display and the question whether an error is new.
        """
        if self._groups is None:
            self._groups = _groups_of(self._signatures)
        return self._groups


def _groups_of(keys: Iterable[SignatureKey]) -> Mapping[SignatureKey, tuple[SignatureKey, ...]]:
    shapes: defaultdict[GroupId, list[str]] = defaultdict(list)
    for group, shape in keys:
        shapes[group].append(shape)
    members: defaultdict[SignatureKey, list[SignatureKey]] = defaultdict(list)
    for group, own in shapes.items():
        tokens = {shape: tokens_of_text(shape) for shape in own}
        together = merged(tokens.values())
        for shape in own:
            members[group, signature_text(together[tokens[shape]])].append((group, shape))
    return {group: tuple(each) for group, each in members.items()}


def _with_own(key: SignatureKey, previous: Signature | None, record: LogRecord) -> Signature:
    """Return the signature with one more line of an own request, which is its example only where it has no other."""
    if previous is not None and previous.count:
        return replace(previous, own=previous.own + 1)
    merged = _merged(key, previous, record)
    return replace(merged, count=0, own=(previous.own if previous else 0) + 1, by_version={})


def _log_group(record: LogRecord) -> GroupId | None:
    return None if record.group_id == record.writer else record.group_id


def _merged(key: SignatureKey, previous: Signature | None, record: LogRecord) -> Signature:
    own = previous.own if previous else 0
    if previous is not None and not previous.count:
        previous = None
    by_version = dict(previous.by_version) if previous else {}
    if record.version:
        by_version[record.version] = by_version.get(record.version, 0) + 1
    group, shape = key
    newest = previous is None or record.timestamp_ms >= previous.last_ms
    latest = record if newest else None
    return Signature(
        shape=shape,
        group=group,
        log_group=_log_group(record) if newest else previous.log_group if previous else None,
        sample=latest.message if latest else (previous.sample if previous else record.message),
        count=(previous.count if previous else 0) + 1,
        own=own,
        by_version=by_version,
        first_ms=min(record.timestamp_ms, previous.first_ms) if previous else record.timestamp_ms,
        last_ms=max(record.timestamp_ms, previous.last_ms) if previous else record.timestamp_ms,
        request_id=latest.request_id if latest else (previous.request_id if previous else None),
        trace_id=latest.trace_id if latest else (previous.trace_id if previous else None),
    )
