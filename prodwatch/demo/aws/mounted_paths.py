"""Plain HTTP handlers mounted next to the AWS APIs, and the faults that apply to them."""

from __future__ import annotations

import asyncio
import json
import logging
from urllib.parse import parse_qsl, unquote

from prodwatch.demo.aws.faults import Active
from prodwatch.demo.aws.protocols.encode import HttpResponse
from prodwatch.demo.aws.protocols.identify import HttpRequest, credential_scope
from prodwatch.demo.workload import WebHandler, WebRequest

LOGGER = logging.getLogger(__name__)
_SCOPES = frozenset({None, "execute-api", "lambda", "vpc-lattice-svcs"})
"""Signing scopes of requests to a mounted path; any other scope means a bucket of the same name."""


class Mounts:
    """Handlers by path prefix."""

    def __init__(self) -> None:
        self._handlers: dict[str, WebHandler] = {}

    def add(self, prefix: str, handler: WebHandler) -> None:
        """Route every request below `prefix` to `handler`, which gets the path without the prefix."""
        self._handlers["/" + prefix.strip("/")] = handler

    def match(self, request: HttpRequest) -> tuple[str, WebHandler] | None:
        """Return (path below the prefix, handler), None for a request to an AWS API."""
        for prefix in sorted(self._handlers, key=len, reverse=True):
            if request.path == prefix or request.path.startswith(prefix + "/"):
                if credential_scope(request).service not in _SCOPES:
                    return None
                return request.path.removeprefix(prefix) or "/", self._handlers[prefix]
        return None


async def respond(handler: WebHandler, path: str, request: HttpRequest) -> HttpResponse:
    """Return the handler's response; its work continues when the client disconnects, as behind a real gateway."""
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
        return _message(502, "Internal server error")
    return HttpResponse(status=response.status, headers=dict(response.headers), body=response.body)


def refusal(active: Active) -> HttpResponse | None:
    """Return the gateway's own error response under a fault, worded as by API Gateway; None without one."""
    for kind, status, text in (
        ("access_denied", 403, "Forbidden"),
        ("expired_token", 403, "The security token included in the request is expired"),
        ("rate", 429, "Too Many Requests"),
        ("throttle", 429, "Too Many Requests"),
        ("error_5xx", 503, "Service Unavailable"),
    ):
        if active.has(kind):  # type: ignore[arg-type]
            return _message(status, text)
    return None


def _message(status: int, message: str) -> HttpResponse:
    body = json.dumps({"message": message}).encode()
    return HttpResponse(status=status, headers={"Content-Type": "application/json"}, body=body)
