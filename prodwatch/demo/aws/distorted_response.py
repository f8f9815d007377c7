"""Responses in a valid envelope that are not the operation's document: a foreign or cut body, or a missing member."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import cbor2

from prodwatch.demo.aws.faults import Active, ForeignBody
from prodwatch.demo.aws.protocols.encode import HttpResponse

LOGIN_PAGE = b"<!DOCTYPE html><html><body><form action='/login'>Sign in to the network</form></body></html>"
FOREIGN_JSON = {"status": "UP", "checks": []}


def distorted(response: HttpResponse, active: Active, protocol: str) -> HttpResponse:
    """Return `response` with the faults `foreign_body` and `missing_member` of the call applied."""
    for fault in active.faults:
        if fault.kind == "foreign_body":
            response = HttpResponse(
                status=response.status, headers=response.headers, body=_BODIES[fault.body](response.body, protocol)
            )
        elif fault.kind == "missing_member" and response.status < 300:
            response = without(response, fault.member, protocol)
    return response


def without(response: HttpResponse, member: str, protocol: str) -> HttpResponse:
    """Return `response` without a member: a header, or a path of serialized names such as `events.message`.

    A path leads through lists: `events.message` leaves the message of every event out.
    """
    headers = {name: value for name, value in response.headers.items() if name.lower() != member.lower()}
    path = member.split(".")
    if not response.body or (protocol == "rest-xml" and not response.body.lstrip().startswith(b"<")):
        return HttpResponse(status=response.status, headers=headers, body=response.body)
    if protocol in {"query", "ec2", "rest-xml"}:
        root = ET.fromstring(response.body)  # noqa: S314 -- our own response
        _remove_elements(root, path)
        body: bytes = ET.tostring(root)
    else:
        loads, dumps = (cbor2.loads, cbor2.dumps) if "cbor" in protocol else (json.loads, _json)
        document = loads(response.body)
        _remove(document, path)
        body = dumps(document)
    return HttpResponse(status=response.status, headers=headers, body=body)


def _remove(value: Any, path: list[str]) -> None:
    if isinstance(value, list):
        for item in value:
            _remove(item, path)
    elif isinstance(value, dict) and path[0] in value:
        if len(path) == 1:
            del value[path[0]]
        else:
            _remove(value[path[0]], path[1:])


def _remove_elements(node: ET.Element, path: list[str]) -> None:
    for child in list(node):
        tag = child.tag.rpartition("}")[2]
        if tag == path[0] and len(path) == 1:
            node.remove(child)
        elif tag == path[0]:
            _remove_elements(child, path[1:])
        elif tag in {"member", "entry"} or tag.endswith("Result"):
            _remove_elements(child, path)


def _json(document: Any) -> bytes:
    return json.dumps(document).encode()


def _foreign(_body: bytes, protocol: str) -> bytes:
    if protocol in {"query", "ec2", "rest-xml"}:
        return b'<?xml version="1.0"?><health><status>UP</status></health>'
    return cbor2.dumps(FOREIGN_JSON) if "cbor" in protocol else _json(FOREIGN_JSON)


def _error(_body: bytes, protocol: str) -> bytes:
    if protocol in {"query", "ec2", "rest-xml"}:
        return b"<ErrorResponse><Error><Code>InternalFailure</Code><Message>no</Message></Error></ErrorResponse>"
    document = {"__type": "InternalServerError", "message": "an error of the service"}
    return cbor2.dumps(document) if "cbor" in protocol else _json(document)


_BODIES: dict[ForeignBody, Callable[[bytes, str], bytes]] = {
    "page": lambda _body, _protocol: LOGIN_PAGE,
    "cut": lambda body, _protocol: body[: len(body) // 2],
    "empty": lambda _body, _protocol: b"",
    "foreign": _foreign,
    "error": _error,
}
