"""An AWS whose log groups, alarms and functions of one name differ by region, for commands as users run them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from prodwatch.demo.aws.protocols.identify import HttpRequest
from tests.support.forged_aws import REGION, Forgery, World

Answer = Callable[[str, dict[str, Any]], dict[str, Any] | tuple[str, str]]
"""`answer(region, params)` returns the document, or an error's code and message."""


def by_region(answer: Answer) -> Forgery:
    """Return a forgery of an operation with JSON documents that depends on the region that signed the request."""

    def forged(request: HttpRequest) -> web.Response:
        found = re.search(r"Credential=[^/]+/\d+/([^/]+)/", request.headers["Authorization"])
        assert found is not None
        document = answer(found[1], json.loads(request.body or b"{}"))
        headers = {"Content-Type": "application/x-amz-json-1.1"}
        if isinstance(document, tuple):
            code, message = document
            return web.Response(body=json.dumps({"__type": code, "message": message}), status=400, headers=headers)
        return web.Response(body=json.dumps(document), headers=headers)

    return forged


DENIED = ("AccessDeniedException", "User: x is not authorized to perform: logs:FilterLogEvents")


class Regions:
    """Two regions with a log group of one name; `lines` by region, and the operations that fail there."""

    def __init__(self, world: World, group: str, other: str = "us-east-1") -> None:
        self.group, self.other = group, other
        self.lines: dict[str, list[str]] = {REGION: ["[INFO] fine at home"], other: ["[ERROR] KeyError: boom"]}
        self.failing: set[tuple[str, str]] = set()
        """(operation, region)"""
        at_ms = int(time.time() * 1000) - 30_000
        self._at_ms = {REGION: at_ms, other: at_ms + 1_000}
        world.aws.forgeries["logs:FilterLogEvents"] = by_region(self._events)
        world.aws.forgeries["logs:DescribeLogGroups"] = by_region(self._groups)

    def _events(self, region: str, params: Mapping[str, Any]) -> Any:
        if ("FilterLogEvents", region) in self.failing:
            return DENIED
        if params["logGroupName"] != self.group or region not in self.lines:
            return ("ResourceNotFoundException", "The specified log group does not exist.")
        return {
            "events": [
                {
                    "eventId": f"{region}-{number}",
                    "timestamp": self._at_ms[region] + number,
                    "ingestionTime": self._at_ms[region] + number,
                    "logStreamName": "2026/11/30/[42]ab",
                    "message": message,
                }
                for number, message in enumerate(self.lines[region])
            ]
        }

    def _groups(self, region: str, params: Mapping[str, Any]) -> Any:
        if ("DescribeLogGroups", region) in self.failing:
            return DENIED
        there = region in self.lines and self.group.startswith(params.get("logGroupNamePrefix", ""))
        return {"logGroups": [{"logGroupName": self.group, "creationTime": 0}] if there else []}
