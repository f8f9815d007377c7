"""Reads the events of CloudFormation stacks, each once, and the progress of an update."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from prodwatch.aws.interface import AwsApi
from prodwatch.model.environment import StackReference, place_of
from prodwatch.model.signal import ReleaseEvent

QUIET_EVERY_S = 60.0
"""Pause between reads while the stack does not change."""
BUSY_EVERY_S = 5.0
"""Pause between reads during an update."""
_ENDED = ("_COMPLETE", "_FAILED", "_SKIPPED")


class StackEventReader:
    """Reads the events of one stack."""

    def __init__(self, aws: AwsApi, stack: StackReference, *, since: datetime, clean: Callable[[str], str]) -> None:
        self._aws = aws
        self.stack = stack
        self._since = since
        self._clean = clean
        self._seen: set[str] = set()
        self._due_s = float("-inf")
        self._update_status: str | None = None
        """The stack's status during an update, else None."""
        self.error: str | None = None
        """Why the stack could not be read, None when it could."""
        self._resources: dict[str, bool] = {}
        """Resource touched by the current update → whether it is finished."""

    def is_due(self, now_s: float) -> bool:
        """Return whether the stack is due at monotonic or epoch second `now_s`, as passed to `read`."""
        return now_s >= self._due_s

    async def read(self, now_s: float) -> list[ReleaseEvent]:
        """Return the new events, oldest first; raises AwsError."""
        # Set before reading, so that a missing stack is read no more often than an unchanged one.
        self._due_s = now_s + QUIET_EVERY_S
        new = await self._read_new()
        self.error = None
        for item in new:
            self._apply(item)
        if self._update_status is not None:
            self._due_s = now_s + BUSY_EVERY_S
        return [self._event(item) for item in new if item["Timestamp"] >= self._since]

    async def _read_new(self) -> list[dict[str, Any]]:
        """Read events, newest first, back to a known one and at least to the stack's own latest status."""
        new: list[dict[str, Any]] = []
        status_known = bool(self._seen)
        pages = self._aws.pages(
            "cloudformation",
            "DescribeStackEvents",
            {"StackName": self.stack.name},
            account=self.stack.account,
            region=self.stack.region,
        )
        async for page in pages:
            for item in page.get("StackEvents") or ():
                if _id(item) in self._seen or (status_known and item["Timestamp"] < self._since):
                    return self._remember(new)
                new.append(item)
                status_known |= _is_own(item)
        return self._remember(new)

    def _remember(self, new: list[dict[str, Any]]) -> list[dict[str, Any]]:
        self._seen.update(_id(item) for item in new)
        return new[::-1]

    def _apply(self, item: dict[str, Any]) -> None:
        status = str(item.get("ResourceStatus", ""))
        if _is_own(item):
            if status.endswith("_IN_PROGRESS"):
                if self._update_status is None:
                    self._resources = {}
                self._update_status = status
            else:
                self._update_status = None
        elif self._update_status is not None:
            self._resources[str(item.get("LogicalResourceId", ""))] = status.endswith(_ENDED)

    def note(self) -> str | None:
        """Return the progress of an update or why it cannot be read; None without an update."""
        if self.error is not None:
            return f"stack {self.stack.name}: {self.error}"
        if self._update_status is None:
            return None
        done = f", {sum(self._resources.values())} of {len(self._resources)} resources done" if self._resources else ""
        return f"stack {self.stack.name}: {self._clean(self._update_status)}{done}"

    def _event(self, item: dict[str, Any]) -> ReleaseEvent:
        reason = item.get("ResourceStatusReason")
        return ReleaseEvent(
            at=item["Timestamp"],
            source="cloudformation",
            subject=self._clean(f"{self.stack.name}/{item.get('LogicalResourceId', '')}"),
            what=self._clean(str(item.get("ResourceStatus", "changed"))),
            detail=self._clean(reason) if reason else None,
            place=place_of(self.stack),
        )


def _id(item: dict[str, Any]) -> str:
    event_id = item.get("EventId")
    return (
        str(event_id)
        if event_id
        else f"{item['Timestamp']}/{item.get('LogicalResourceId')}/{item.get('ResourceStatus')}"
    )


def _is_own(item: dict[str, Any]) -> bool:
    """Return whether an event is about the stack itself rather than one of its resources."""
    id_ = item.get("StackId")
    return bool(id_) and item.get("PhysicalResourceId") == id_
