"""Encodes an operation's output or error as a response in the caller's protocol."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

import cbor2

from prodwatch.demo.aws.api_call import ServiceError


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """A complete response."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


CONTENT_TYPES = {
    "json": "application/x-amz-json-1.1",
    "rest-json": "application/json",
    "query": "text/xml",
    "rest-xml": "application/xml",
    "smithy-rpc-v2-cbor": "application/cbor",
}


def iso8601(seconds: float) -> str:
    """Return epoch seconds as AWS writes them into XML, with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def encode(protocol: str, operation: Any, output: Mapping[str, Any], request_id: str) -> HttpResponse:
    """Return the successful response. Raises KeyError for a member the operation's model does not have."""
    shape = operation.output_shape
    headers = {"x-amzn-RequestId": request_id, "Content-Type": CONTENT_TYPES[protocol]}
    match protocol:
        case "query":
            return HttpResponse(status=200, headers=headers, body=_query(operation, shape, output, request_id))
        case "smithy-rpc-v2-cbor":
            headers["smithy-protocol"] = "rpc-v2-cbor"
            document = _value(shape, output, _epoch_tag) if shape is not None else {}
            return HttpResponse(status=200, headers=headers, body=cbor2.dumps(document))
        case "rest-json":
            return _rest(operation, shape, output, headers)
        case "json":
            document = _value(shape, output, _json_time) if shape is not None else {}
            return HttpResponse(status=200, headers=headers, body=json.dumps(document).encode())
        case _:
            raise ValueError(f"no operation is implemented over {protocol}")


def raw(protocol: str, body: bytes, request_id: str) -> HttpResponse:
    """Return a response whose body a handler has already encoded."""
    headers = {"x-amzn-RequestId": request_id, "Content-Type": CONTENT_TYPES[protocol]}
    return HttpResponse(status=200, headers=headers, body=body)


def _epoch_tag(seconds: float) -> cbor2.CBORTag:
    return cbor2.CBORTag(1, seconds)


def _json_time(seconds: float) -> float:
    return seconds


def _value(shape: Any, value: Any, time: Any) -> Any:  # noqa: PLR0911 -- one return per kind of shape reads best
    match shape.type_name:
        case "structure":
            members = shape.members
            return {
                members[name].serialization.get("name", name): _value(members[name], item, time)
                for name, item in value.items()
                if item is not None
            }
        case "list":
            return [_value(shape.member, item, time) for item in value]
        case "map":
            return {key: _value(shape.value, item, time) for key, item in value.items()}
        case "timestamp":
            return time(_seconds(value))
        case "blob" if time is not _epoch_tag:
            return base64.b64encode(value).decode()
        case "integer" | "long":
            return int(value)
        case "float" | "double":
            return float(value)
        case _:
            return value


def _seconds(value: Any) -> float:
    return float(value.timestamp()) if isinstance(value, datetime) else float(value)


def _rest(operation: Any, shape: Any, output: Mapping[str, Any], headers: dict[str, str]) -> HttpResponse:
    status = int(operation.http.get("responseCode", 200))
    if shape is None:
        return HttpResponse(status=status, headers=headers, body=b"{}")
    payload = shape.serialization.get("payload")
    body: dict[str, Any] = {}
    content = b"" if payload is not None else None
    for name, item in output.items():
        if item is None:
            continue
        member = shape.members[name]
        key = member.serialization.get("name", name)
        match member.serialization.get("location"):
            case "statusCode":
                status = int(item)
            case "header":
                headers[key] = str(item)
            case None if name == payload and member.type_name == "blob":
                content = bytes(item)
            case _:
                body[key] = _value(member, item, _json_time)
    return HttpResponse(status=status, headers=headers, body=json.dumps(body).encode() if content is None else content)


def _query(operation: Any, shape: Any, output: Mapping[str, Any], request_id: str) -> bytes:
    name = operation.name
    result = ""
    if shape is not None:
        inner = "".join(_xml(shape.members[key], key, item) for key, item in output.items() if item is not None)
        wrapper = shape.serialization.get("resultWrapper", f"{name}Result")
        result = f"<{wrapper}>{inner}</{wrapper}>"
    namespace = operation.service_model.metadata.get("xmlNamespace", "http://aws.amazon.com/")
    return (
        f'<{name}Response xmlns="{escape(str(namespace))}">{result}'
        f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{name}Response>"
    ).encode()


def _xml(shape: Any, name: str, value: Any) -> str:
    tag = shape.serialization.get("name", name)
    match shape.type_name:
        case "structure":
            inner = "".join(_xml(shape.members[key], key, item) for key, item in value.items() if item is not None)
        case "list":
            member = shape.member.serialization.get("name", "member")
            if shape.serialization.get("flattened"):
                return "".join(_xml_item(shape.member, tag, item) for item in value)
            inner = "".join(_xml_item(shape.member, member, item) for item in value)
        case "map":
            inner = "".join(
                f"<entry><key>{escape(key)}</key>{_xml_item(shape.value, 'value', item)}</entry>"
                for key, item in value.items()
            )
        case "timestamp":
            inner = iso8601(_seconds(value))
        case "boolean":
            inner = "true" if value else "false"
        case "blob":
            inner = base64.b64encode(value).decode()
        case _:
            inner = escape(str(value))
    return f"<{tag}>{inner}</{tag}>"


def _xml_item(shape: Any, tag: str, value: Any) -> str:
    inner = _xml(shape, tag, value)
    own = shape.serialization.get("name", tag)
    return inner if own == tag else f"<{tag}>" + inner[len(own) + 2 : -len(own) - 3] + f"</{tag}>"


def encode_error(protocol: str, service: str, error: ServiceError, request_id: str) -> HttpResponse:
    """Return the error in the protocol's form."""
    headers = {"x-amzn-RequestId": request_id, "Content-Type": CONTENT_TYPES.get(protocol, "application/json")}
    kind = "Sender" if error.status < 500 else "Receiver"
    match protocol:
        case "query":
            body = (
                f"<ErrorResponse><Error><Type>{kind}</Type><Code>{escape(error.code)}</Code>"
                f"<Message>{escape(error.message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
            ).encode()
        case "rest-xml":
            headers["x-amz-request-id"] = request_id
            body = (
                f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{escape(error.code)}</Code>'
                f"<Message>{escape(error.message)}</Message><RequestId>{request_id}</RequestId></Error>"
            ).encode()
        case "smithy-rpc-v2-cbor":
            headers["smithy-protocol"] = "rpc-v2-cbor"
            headers["x-amzn-query-error"] = f"{error.code};{kind}"
            document = {"__type": f"com.amazonaws.{service}#{error.code}", "message": error.message, **error.fields}
            body = cbor2.dumps(document)
        case "rest-json":
            headers["x-amzn-ErrorType"] = error.code
            body = json.dumps({"message": error.message, "Message": error.message, **error.fields}).encode()
        case _:
            if service in {"cloudwatch", "sqs"}:
                headers["x-amzn-query-error"] = f"{error.code};{kind}"
            body = json.dumps({"__type": error.code, "message": error.message, **error.fields}).encode()
    return HttpResponse(status=error.status, headers=headers, body=body)
