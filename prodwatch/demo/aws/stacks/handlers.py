"""CloudFormation operations over moto's stacks, with scripted events and status."""

from __future__ import annotations

import hashlib

from prodwatch.demo.aws.api_call import ApiCall, Document, Routes
from prodwatch.demo.aws.paging import Pager
from prodwatch.demo.aws.stacks.store import StackEventStore

_PAGE = Pager(limit="", default=100, refusal="ValidationError")


class StackHandlers:
    """CloudFormation over one script."""

    def __init__(self, store: StackEventStore) -> None:
        self._store = store

    def routes(self) -> Routes:
        """Return the operations completed here."""
        return Routes(
            "cloudformation",
            patches={"DescribeStackEvents": self.describe_stack_events, "DescribeStacks": self.describe_stacks},
        )

    def describe_stack_events(self, call: ApiCall, document: Document) -> Document:
        """DescribeStackEvents, newest first: the script's events instead of moto's."""
        own = document.get("StackEvents", [])
        if not own:
            return document
        stack_id, name = own[0]["StackId"], own[0]["StackName"]
        script = self._store.events_until(name, call.now_s)
        if script is None:
            return document
        events = [
            {
                "StackId": stack_id,
                "EventId": hashlib.blake2b(f"{name}/{index}".encode(), digest_size=16).hexdigest(),
                "StackName": name,
                "LogicalResourceId": event.logical_id,
                "PhysicalResourceId": event.physical_id or (stack_id if event.logical_id == name else ""),
                "ResourceType": event.type,
                "Timestamp": event.at_s,
                "ResourceStatus": event.status,
                "ResourceStatusReason": event.reason,
            }
            for index, event in enumerate(script)
        ]
        return _PAGE.page(call, events[::-1], "StackEvents")

    def describe_stacks(self, call: ApiCall, document: Document) -> Document:
        """DescribeStacks, each stack with the status its script has reached."""
        for stack in document.get("Stacks", []):
            last = self._store.status(stack["StackName"], call.now_s)
            if last is not None:
                stack["StackStatus"] = last.status
                stack["LastUpdatedTime"] = last.at_s
                if last.reason:
                    stack["StackStatusReason"] = last.reason
        return document
