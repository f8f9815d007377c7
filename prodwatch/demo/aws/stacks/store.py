"""Scripted stack events by stack name."""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock

from prodwatch.demo.aws.stacks.model import StackEvent

STACK_TYPE = "AWS::CloudFormation::Stack"


class StackEventStore:
    """All scripted stack events of one region. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._events: dict[str, list[StackEvent]] = {}

    def put(self, stack: str, events: Iterable[StackEvent]) -> None:
        """Add events to the script of a stack (by name)."""
        with self._lock:
            script = self._events.setdefault(stack, [])
            script.extend(events)
            script.sort(key=lambda event: event.at_s)

    def events_until(self, stack: str, now_s: float) -> list[StackEvent] | None:
        """Return a stack's events up to `now_s`, oldest first; None for a stack without a script."""
        with self._lock:
            script = self._events.get(stack)
            return None if script is None else [event for event in script if event.at_s <= now_s]

    def status(self, stack: str, now_s: float) -> StackEvent | None:
        """Return the last event of the stack itself, which is its status."""
        own = [
            event
            for event in self.events_until(stack, now_s) or ()
            if event.type == STACK_TYPE and event.logical_id == stack
        ]
        return own[-1] if own else None
