"""Handlers of plain HTTP mounted beside the AWS APIs, and the faults that strike them."""

from __future__ import annotations

import asyncio
import json
import logging
from urllib.parse import parse_qsl, unquote

from prodwatch.demo.aws.faults import Active
from prodwatch.demo.aws.protocols.encode import HttpAnswer
from prodwatch.demo.aws.protocols.identify import HttpRequest, credential_scope
from prodwatch.demo.workload import WebHandler, WebRequest

LOGGER = logging.getLogger(__name__)
_SCOPES = frozenset({None, "execute-api", "lambda", "vpc-lattice-svcs"})
"""Signing scopes under which a mounted path is meant rather than a bucket of the same name."""


class Mounts:
    """Which path prefixes belong to whom."""

    def __init__(self) -> None:
        self._handlers: dict[str, WebHandler] = {}

    def add(self, prefix: str, handler: WebHandler) -> None:
        """Give every request below `prefix` to `handler`, which sees the path without the prefix."""
        self._handlers["/" + prefix.strip("/")] = handler

    def match(self, request: HttpRequest) -> tuple[str, WebHandler] | None:
        """Return (path below the prefix, handler) for a request that is none of AWS's."""
        for prefix in sorted(self._handlers, key=len, reverse=True):
            if request.path == prefix or request.path.startswith(prefix + "/"):
                if credential_scope(request).service not in _SCOPES:
                    return None
                return request.path.removeprefix(prefix) or "/", self._handlers[prefix]
        return None


async def answer(handler: WebHandler, path: str, request: HttpRequest) -> HttpAnswer:
    """Return the handler's answer; its work goes on when the client hangs up, as behind a real gateway."""
    task = asyncio.ensure_future(
        handler(
            WebRequest(
                method=request.method,
                path=unquote(path),
                query=dict(parse_qsl(request.query, keep_blank_values=True)),
                headers=request.headers,
                body=request.body,
            )
        )
    )
    try:
        response = await asyncio.shield(task)
    except Exception:
        LOGGER.exception("the handler of %s %s failed", request.method, request.path)
        return _told(502, "Internal server error")
    return HttpAnswer(status=response.status, headers=dict(response.headers), body=response.body)


def refusal(active: Active) -> HttpAnswer | None:
    """Return what the gateway answers in the handler's place under a fault, as API Gateway words it."""
    for kind, status, text in (
        ("access_denied", 403, "Forbidden"),
        ("expired_token", 403, "The security token included in the request is expired"),
        ("rate", 429, "Too Many Requests"),
        ("throttle", 429, "Too Many Requests"),
        ("error_5xx", 503, "Service Unavailable"),
    ):
        if active.has(kind):  # type: ignore[arg-type]
            return _told(status, text)
    return None


def _told(status: int, message: str) -> HttpAnswer:
    body = json.dumps({"message": message}).encode()
    return HttpAnswer(status=status, headers={"Content-Type": "application/json"}, body=body)
