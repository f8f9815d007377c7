"""Injected faults: a seeded plan, consulted once per call and changeable while the server runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from random import Random
from threading import Lock
from typing import Any, Literal
from zlib import crc32

import msgspec

from prodwatch.demo.aws.protocols.models import iam_action

Kind = Literal[
    "delay",
    "throttle",
    "rate",
    "error_5xx",
    "drop",
    "drop_after",
    "truncate",
    "empty_page",
    "short_page",
    "invalid_token",
    "late",
    "expired_token",
    "access_denied",
    "foreign_body",
    "missing_member",
]
ForeignBody = Literal["page", "cut", "empty", "foreign", "error"]
"""Body in place of the operation's document: a login page, its first half, nothing, another document, an error."""


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One injected fault.

    `operation` is a shell pattern over `service:Operation` (boto3's service name), over the IAM action
    (`lambda:InvokeFunction`), and for mounted handlers over `web:METHOD /path`; `*` matches everything.

    Kinds: `delay` (by `delay_s`), `throttle`, `rate` (throttle above `per_s` calls/s), `error_5xx`, `drop` (close
    the connection without a response), `drop_after` (do the work, then close it), `truncate` (close it in the middle of
    the response), `empty_page` (a token but no items), `short_page` (fewer items than fit), `invalid_token` (the paging
    token is refused), `late` (stored records become visible `delay_s` later), `expired_token` (the credentials have
    expired), `access_denied`, `foreign_body` (status and headers of the response, with `body` as its body),
    `missing_member` (`member` is left out).
    """

    operation: str
    kind: Kind
    probability: float = 1.0
    count: int | None = None
    """Applies to this many calls at most."""
    from_s: float | None = None
    """Wall time from which it applies."""
    until_s: float | None = None
    """Wall time until which it applies."""
    delay_s: float = 0.0
    per_s: float = 5.0
    body: ForeignBody = "page"
    member: str = ""
    """Path of serialized names, through lists: `events.message`; or a header."""

    def covers(self, name: str, action: str) -> bool:
        """Return whether this fault applies to an operation."""
        return fnmatchcase(name, self.operation) or fnmatchcase(action, self.operation)

    def in_time(self, at_s: float) -> bool:
        """Return whether it applies at a wall time."""
        return (self.from_s is None or at_s >= self.from_s) and (self.until_s is None or at_s < self.until_s)

    def applies_to_record(self, at_s: float, number: int) -> bool:
        """Return whether it applies to the record with this number; the number decides, not a random draw."""
        return self.in_time(at_s) and crc32(number.to_bytes(8, "big")) < self.probability * 2**32


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fault plan as JSON: `{"seed": 7, "faults": [{"operation": …, "kind": …}]}`."""

    seed: int | None = None
    faults: tuple[Fault, ...] = ()


class Active(msgspec.Struct, frozen=True, kw_only=True):
    """Faults that apply to one call."""

    faults: tuple[Fault, ...] = ()

    def first(self, kind: Kind) -> Fault | None:
        """Return the fault of a kind, None without one."""
        return next((fault for fault in self.faults if fault.kind == kind), None)

    def has(self, kind: Kind) -> bool:
        """Return whether a fault of a kind applies."""
        return self.first(kind) is not None

    @property
    def delay_s(self) -> float:
        """Seconds to wait before the response."""
        return sum(fault.delay_s for fault in self.faults if fault.kind == "delay")


class _Entry:
    """A fault with its state: hits and rate allowance."""

    __slots__ = ("allowance", "fault", "hits", "refilled_s")

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.hits = 0
        self.allowance = max(1.0, fault.per_s)
        self.refilled_s: float | None = None

    def draw(self, now_s: float, random: Random) -> bool:
        fault = self.fault
        if fault.count is not None and self.hits >= fault.count:
            return False
        if not fault.in_time(now_s):
            return False
        if fault.kind == "rate":
            return self._over_rate(now_s)
        return fault.probability >= 1.0 or random.random() < fault.probability

    def _over_rate(self, now_s: float) -> bool:
        since = 0.0 if self.refilled_s is None else max(0.0, now_s - self.refilled_s)
        self.refilled_s = now_s
        self.allowance = min(max(1.0, self.fault.per_s), self.allowance + since * self.fault.per_s)
        if self.allowance < 1.0:
            return True
        self.allowance -= 1.0
        return False


class FaultPlan:
    """The active faults. Safe to change from any thread; equal seeds and calls give equal faults."""

    def __init__(self, faults: Iterable[Fault] = (), *, seed: int = 0) -> None:
        self._lock = Lock()
        self._random = Random(seed)  # noqa: S311 -- reproducible faults, not secrets
        self._entries = [_Entry(fault) for fault in faults]

    def add(self, *faults: Fault) -> None:
        """Add faults."""
        with self._lock:
            self._entries.extend(_Entry(fault) for fault in faults)

    def replace(self, faults: Iterable[Fault], *, seed: int | None = None) -> None:
        """Replace all faults; with `seed`, restart the random sequence."""
        with self._lock:
            self._entries = [_Entry(fault) for fault in faults]
            if seed is not None:
                self._random = Random(seed)  # noqa: S311 -- as above

    def clear(self) -> None:
        """Remove all faults."""
        self.replace(())

    def describe(self) -> list[dict[str, Any]]:
        """Return the active faults with their hits."""
        with self._lock:
            return [{**msgspec.to_builtins(entry.fault), "hits": entry.hits} for entry in self._entries]

    def draw(self, service: str, operation: str, now_s: float, kinds: Sequence[Kind] | None = None) -> Active:
        """Return the faults that apply to this call, and count them."""
        name, action = f"{service}:{operation}", iam_action(service, operation)
        with self._lock:
            if not self._entries:
                return _NONE
            drawn = []
            for entry in self._entries:
                fault = entry.fault
                if (kinds is None) == (fault.kind == "late"):
                    continue
                applies = (kinds is None or fault.kind in kinds) and fault.covers(name, action)
                if applies and entry.draw(now_s, self._random):
                    entry.hits += 1
                    drawn.append(fault)
            return Active(faults=tuple(drawn))

    def lateness_s(self, service: str, operation: str, now_s: float) -> float:
        """Return by how much a record that is stored now becomes visible later."""
        late = self.draw(service, operation, now_s, kinds=("late",))
        return sum(fault.delay_s for fault in late.faults)

    def record_lateness(self, service: str, operation: str) -> Callable[[float, int], float] | None:
        """Return a function for the lateness of an event of history, None without a `late` fault.

        The function takes the event's ingestion time and its number, which decides instead of a random draw, so that
        every read finds the same lateness. `count` does not apply.
        """
        name, action = f"{service}:{operation}", iam_action(service, operation)
        with self._lock:
            rules = [
                entry.fault
                for entry in self._entries
                if entry.fault.kind == "late" and entry.fault.covers(name, action)
            ]
        if not rules:
            return None
        return lambda at_s, number: sum(rule.delay_s for rule in rules if rule.applies_to_record(at_s, number))

    def adopt(self, other: FaultPlan) -> None:
        """Take the faults and the random sequence of another plan."""
        with other._lock:
            entries, random = other._entries, other._random
        with self._lock:
            self._entries, self._random = entries, random


_NONE = Active()
