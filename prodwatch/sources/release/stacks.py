"""Follows CloudFormation stacks: each event once, and how far an update has come while one is under way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from prodwatch.aws.api import AwsApi
from prodwatch.model.environment import StackReference
from prodwatch.model.signal import ReleaseEvent

QUIET_EVERY_S = 60.0
BUSY_EVERY_S = 5.0
_ENDED = ("_COMPLETE", "_FAILED", "_SKIPPED")


class StackFollower:
    """One stack."""

    def __init__(self, aws: AwsApi, stack: StackReference, *, since: datetime, clean: Callable[[str], str]) -> None:
        self._aws = aws
        self.stack = stack
        self._since = since
        self._clean = clean
        self._seen: set[str] = set()
        self._due_s = float("-inf")
        self._moves: str | None = None
        """The stack's own status while it changes, None while nothing moves."""
        self.trouble: str | None = None
        """Why the stack could not be read, None when it could."""
        self._moving: dict[str, bool] = {}
        """Resource touched by the update under way → whether it is done."""

    def is_due(self, now_s: float) -> bool:
        """Say whether it is time to ask."""
        return now_s >= self._due_s

    async def read(self, now_s: float) -> list[ReleaseEvent]:
        """Return the events nobody has been told of, oldest first; raises AwsError."""
        # Also when it fails: a stack that is not there is asked for no more often than one that is quiet.
        self._due_s = now_s + QUIET_EVERY_S
        fresh = await self._fresh()
        self.trouble = None
        for item in fresh:
            self._take(item)
        if self._moves is not None:
            self._due_s = now_s + BUSY_EVERY_S
        return [self._event(item) for item in fresh if item["Timestamp"] >= self._since]

    async def _fresh(self) -> list[dict[str, Any]]:
        """Read newest first back to what is known, and at least to the stack's own latest word."""
        fresh: list[dict[str, Any]] = []
        told = bool(self._seen)
        pages = self._aws.pages(
            "cloudformation",
            "DescribeStackEvents",
            {"StackName": self.stack.name},
            account=self.stack.account,
            region=self.stack.region,
        )
        async for page in pages:
            for item in page.get("StackEvents") or ():
                if _id(item) in self._seen or (told and item["Timestamp"] < self._since):
                    return self._remember(fresh)
                fresh.append(item)
                told |= _is_own(item)
        return self._remember(fresh)

    def _remember(self, fresh: list[dict[str, Any]]) -> list[dict[str, Any]]:
        self._seen.update(_id(item) for item in fresh)
        return fresh[::-1]

    def _take(self, item: dict[str, Any]) -> None:
        status = str(item.get("ResourceStatus", ""))
        if _is_own(item):
            if status.endswith("_IN_PROGRESS"):
                if self._moves is None:
                    self._moving = {}
                self._moves = status
            else:
                self._moves = None
        elif self._moves is not None:
            self._moving[str(item.get("LogicalResourceId", ""))] = status.endswith(_ENDED)

    def note(self) -> str | None:
        """Say how far an update has come, or why nobody can say; None while none is under way."""
        if self.trouble is not None:
            return f"stack {self.stack.name}: {self.trouble}"
        if self._moves is None:
            return None
        done = f", {sum(self._moving.values())} of {len(self._moving)} resources done" if self._moving else ""
        return f"stack {self.stack.name}: {self._clean(self._moves)}{done}"

    def _event(self, item: dict[str, Any]) -> ReleaseEvent:
        reason = item.get("ResourceStatusReason")
        return ReleaseEvent(
            at=item["Timestamp"],
            source="cloudformation",
            subject=self._clean(f"{self.stack.name}/{item.get('LogicalResourceId', '')}"),
            what=self._clean(str(item.get("ResourceStatus", "changed"))),
            detail=self._clean(reason) if reason else None,
        )


def _id(item: dict[str, Any]) -> str:
    known = item.get("EventId")
    return str(known) if known else f"{item['Timestamp']}/{item.get('LogicalResourceId')}/{item.get('ResourceStatus')}"


def _is_own(item: dict[str, Any]) -> bool:
    """Say whether an event is about the stack itself rather than about something in it."""
    id_ = item.get("StackId")
    return bool(id_) and item.get("PhysicalResourceId") == id_
