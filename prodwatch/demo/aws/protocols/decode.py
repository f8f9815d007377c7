"""Decodes a request into parameters, by the operation's input shape."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qs, parse_qsl

import cbor2

from prodwatch.demo.aws.api_call import Document, ServiceError
from prodwatch.demo.aws.protocols.identify import HttpRequest, Identity


def decode(identity: Identity, operation: Any, request: HttpRequest) -> Document:
    """Return the operation's parameters. Raises ServiceError for a body that cannot be read."""
    shape = operation.input_shape
    if shape is None:
        return {}
    try:
        match identity.protocol:
            case "query":
                return _fields(_query(shape, dict(parse_qsl(request.body.decode(), keep_blank_values=True))))
            case "smithy-rpc-v2-cbor":
                return _document(shape, _cbor(request.body) if request.body else {})
            case "rest-json" | "rest-xml":
                return _rest(shape, identity, request)
            case _:
                return _document(shape, json.loads(request.body or b"{}"))
    except (ValueError, TypeError, AttributeError) as error:
        raise ServiceError("SerializationException", f"The request body could not be read: {error}") from error


def _document(shape: Any, value: Mapping[str, Any]) -> Document:
    return _fields(_value(shape, value))


def _fields(document: Any) -> Document:
    if not isinstance(document, dict):
        raise TypeError("the body is not an object")
    return document


def _time(value: Any) -> float:
    if isinstance(value, int | float):
        return float(value)
    text = str(value)
    try:
        return float(text)
    except ValueError:
        pass  # not a number: one of the two text forms
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = parsedate_to_datetime(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _cbor(body: bytes) -> Any:
    try:
        return cbor2.loads(body)
    except cbor2.CBORDecodeError as error:
        raise ValueError(f"the body is not CBOR: {error}") from error


def _scalar(shape: Any, value: Any) -> Any:
    match shape.type_name:
        case "timestamp":
            return _time(value)
        case "blob":
            return value if isinstance(value, bytes) else base64.b64decode(value)
        case "integer" | "long":
            return int(value)
        case "float" | "double":
            return float(value)
        case "boolean":
            return value if isinstance(value, bool) else str(value).lower() == "true"
        case _:
            return value


def _value(shape: Any, value: Any) -> Any:
    match shape.type_name:
        case "structure" if getattr(shape, "is_document_type", False):
            return value
        case "structure":
            return {
                name: _value(member, value[member.serialization.get("name", name)])
                for name, member in shape.members.items()
                if value.get(member.serialization.get("name", name)) is not None
            }
        case "list":
            return [_value(shape.member, item) for item in value]
        case "map":
            return {key: _value(shape.value, item) for key, item in value.items()}
        case _:
            return _scalar(shape, value)


def _rest(shape: Any, identity: Identity, request: HttpRequest) -> Document:
    query = parse_qs(request.query, keep_blank_values=True)
    payload = shape.serialization.get("payload")
    params: Document = {}
    body: Mapping[str, Any] = {}
    if payload is None and request.body and identity.protocol == "rest-json":
        body = json.loads(request.body)
    for name, member in shape.members.items():
        key = member.serialization.get("name", name)
        match member.serialization.get("location"):
            case "uri" if key in identity.path_params:
                params[name] = _scalar(member, identity.path_params[key])
            case "querystring" if key in query:
                values = query[key]
                params[name] = values if member.type_name == "list" else _scalar(member, values[0])
            case "header" if request.headers.get(key) is not None:
                params[name] = _scalar(member, request.headers[key])
            case None if name == payload and member.type_name == "blob":
                params[name] = request.body
            case None if body.get(key) is not None:
                params[name] = _value(member, body[key])
            case _:
                continue
    return params


def _query(shape: Any, form: Mapping[str, str], prefix: str = "") -> Any:
    match shape.type_name:
        case "structure":
            members = {}
            for name, member in shape.members.items():
                key = f"{prefix}{member.serialization.get('name', name)}"
                if any(other == key or other.startswith(f"{key}.") for other in form):
                    members[name] = _query(member, form, f"{key}." if member.type_name == "structure" else key)
            return members
        case "list":
            return _query_list(shape, form, prefix)
        case "map":
            name = f"{prefix}." if shape.serialization.get("flattened") else f"{prefix}.entry."
            pairs: dict[str, Any] = {}
            index = 1
            while f"{name}{index}.key" in form:
                pairs[form[f"{name}{index}.key"]] = _query(shape.value, form, f"{name}{index}.value")
                index += 1
            return pairs
        case _:
            return _scalar(shape, form[prefix])


def _query_list(shape: Any, form: Mapping[str, str], prefix: str) -> list[Any]:
    member_name = shape.member.serialization.get("name", "member")
    stem = prefix if shape.serialization.get("flattened") else f"{prefix}.{member_name}"
    items = []
    index = 1
    while any(key == f"{stem}.{index}" or key.startswith(f"{stem}.{index}.") for key in form):
        dot = "." if shape.member.type_name == "structure" else ""
        items.append(_query(shape.member, form, f"{stem}.{index}{dot}"))
        index += 1
    return items
