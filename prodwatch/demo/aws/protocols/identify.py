"""Identifies service, operation and protocol of an HTTP request, without decoding its parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, unquote

from prodwatch.demo.aws.protocols.models import SIGNING_NAMES, TARGETS, service_model

_SCOPE = re.compile(r"Credential=([^/,\s]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request")
_RPC_V2 = re.compile(r"^/service/([^/]+)/operation/([^/]+)$")
_UNSIGNED_REST = ("xray", "lambda")
"""REST services recognised by their paths alone: daemons and curl do not sign."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """The request, its body decompressed."""

    method: str
    path: str
    """Still percent-encoded."""
    query: str
    headers: Mapping[str, str]
    """Case-insensitive."""
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Operation that a request calls."""

    service: str
    """boto3's name, `unknown` when the request does not identify it."""
    operation: str
    protocol: str
    """`json`, `query`, `rest-json`, `rest-xml`, `smithy-rpc-v2-cbor`, `ec2`."""
    region: str | None
    path_params: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Scope:
    service: str | None
    region: str | None


def credential_scope(request: HttpRequest) -> _Scope:
    """Return service and region the request was signed for (header or presigned query)."""
    match = _SCOPE.search(request.headers.get("Authorization", ""))
    if match is None:
        for value in parse_qs(request.query).get("X-Amz-Credential", []):
            match = _SCOPE.search(f"Credential={value}")
    if match is None:
        return _Scope(None, None)
    return _Scope(match[4], match[3])


def _template(uri: str) -> re.Pattern[str]:
    path = uri.partition("?")[0].rstrip("/") or "/"
    parts = re.split(r"\{(\w+)(\+?)\}", path)
    pattern = re.escape(parts[0])
    for name, greedy, literal in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        pattern += f"(?P<{name}>{'.+' if greedy else '[^/]+'})" + re.escape(literal)
    return re.compile(pattern + "/?")


@dataclass(frozen=True, slots=True)
class _RestRoute:
    """Path pattern of one REST operation, and its required query keys and headers."""

    pattern: re.Pattern[str]
    query_keys: frozenset[str]
    headers: frozenset[str]
    operation: str

    @property
    def rank(self) -> tuple[int, int, str]:
        """The most specific route sorts first."""
        literal = len(re.sub(r"\(.*?\)", "", self.pattern.pattern))
        return -len(self.query_keys) - len(self.headers), -literal, self.operation


def _required(shape: Any, location: str) -> frozenset[str]:
    members = {name: member.serialization for name, member in shape.members.items()} if shape is not None else {}
    required = shape.required_members if shape is not None else []
    serializations = [members[name] for name in required if members[name].get("location") == location]
    return frozenset(str(serialization["name"]) for serialization in serializations)


@lru_cache(maxsize=32)
def _rest_table(service: str) -> dict[str, list[_RestRoute]]:
    """Return the service's REST operations per method, the most specific first."""
    model = service_model(service)
    table: dict[str, list[_RestRoute]] = {}
    for name in model.operation_names:
        operation = model.operation_model(name)
        uri = operation.http["requestUri"]
        keys = frozenset(parse_qs(uri.partition("?")[2], keep_blank_values=True))
        keys |= _required(operation.input_shape, "querystring")
        route = _RestRoute(_template(uri), keys, _required(operation.input_shape, "header"), name)
        table.setdefault(operation.http["method"], []).append(route)
    for routes in table.values():
        routes.sort(key=lambda route: route.rank)
    return table


def _rest_operation(service: str, request: HttpRequest) -> tuple[str, dict[str, str]] | None:
    query_keys = frozenset(parse_qs(request.query, keep_blank_values=True))
    for route in _rest_table(service).get(request.method, []):
        if not route.query_keys <= query_keys or any(name not in request.headers for name in route.headers):
            continue
        if match := route.pattern.fullmatch(request.path):
            return route.operation, {name: unquote(value) for name, value in match.groupdict().items()}
    return None


def _query_action(request: HttpRequest) -> str | None:
    form = request.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded")
    text = request.body.decode("utf-8", "replace") if form else request.query
    match = re.search(r"(?:^|&)Action=(\w+)", text)
    return match[1] if match else None


def _protocol(model: Any) -> str:
    return str(model.metadata.get("protocol", "rest-json")) if model is not None else "rest-json"


def identify(request: HttpRequest) -> Identity:
    """Return the operation of a request; `unknown:unknown` when it is not a known AWS call."""
    scope = credential_scope(request)
    if (rpc := _RPC_V2.match(request.path)) and request.headers.get("smithy-protocol") == "rpc-v2-cbor":
        service = TARGETS.get(rpc[1], scope.service or rpc[1].lower())
        return _identity(service, rpc[2], "smithy-rpc-v2-cbor", scope)
    if target := request.headers.get("X-Amz-Target"):
        prefix, _, operation = target.rpartition(".")
        return _identity(TARGETS.get(prefix, scope.service or "unknown"), operation, "json", scope)
    service = SIGNING_NAMES.get(scope.service or "", scope.service or "")
    model = service_model(service) if service else None
    if action := _query_action(request):
        return _identity(service or "unknown", action, "query", scope)
    for candidate in [service] if model is not None else _UNSIGNED_REST if not service else []:
        rest = _rest_operation(candidate, request)
        if rest:
            return _identity(candidate, rest[0], _protocol(service_model(candidate)), scope, rest[1])
    return _identity(service or "unknown", "unknown", _protocol(model), scope)


def _identity(
    service: str, operation: str, protocol: str, scope: _Scope, path_params: Mapping[str, str] | None = None
) -> Identity:
    return Identity(
        service=service, operation=operation, protocol=protocol, region=scope.region, path_params=path_params or {}
    )
