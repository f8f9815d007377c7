"""Proves that a response comes from AWS and is the document of its operation, before botocore parses it.

botocore reads a login page, a cut body or an empty one as a document without members, which would prove absence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from prodwatch.text.sanitize import sanitize_line

SHOWN_CHARS = 60
"""Longest part of a foreign body that a message quotes."""
TOO_DEEP = "it is nested more deeply than prodwatch reads"
CBOR_READ_TWICE_BYTES = 16 * 1024
"""Largest CBOR body that is read to its end before botocore reads it."""
_CBOR_MAP = 5
_CBOR_LENGTH_BYTES = {24: 1, 25: 2, 26: 4, 27: 8}
"""Length code of a CBOR item → bytes of the length that follow."""
_REQUEST_IDS = ("x-amzn-requestid", "x-amz-request-id", "x-amz-id-2")
_ERROR_TYPES = ("x-amzn-errortype", "x-amzn-query-error")
_CODE = re.compile(r"[A-Za-z][\w.:/#-]*")
_EVENT_STREAM = "application/vnd.amazon.eventstream"
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


class ForeignResponseError(Exception):
    """A response that is not the document of its operation; the text says which response came."""

    def __init__(self, text: str, *, transient: bool = True) -> None:
        super().__init__(text)
        self.transient = transient
        """Whether the same request may be answered properly next time."""


class ResponseLimitError(Exception):
    """A response beyond a limit of prodwatch; the text says which response came, and which limit."""


def check_envelope(operation: Any, status: int, headers: Mapping[str, str], body: Any) -> frozenset[str] | None:
    """Return the serialized names of the top-level members of a successful response; None when its body has none.

    `operation` is botocore's model; `body` is bytes, except for streams. Raises ForeignResponseError, and
    ResponseLimitError for a document that is nested too deeply.
    """
    protocol = operation.service_model.resolved_protocol
    if status >= 300:
        if not isinstance(body, bytes):
            # botocore verifies the checksum of an object while it is read; an error has neither.
            raise ForeignResponseError(_foreign(status, headers, b"", "an object in place of an error"))
        _check_error(protocol, status, headers, body)
        return None
    shape = operation.output_shape
    if operation.has_event_stream_output:
        kind = headers.get("content-type", "")
        if kind.startswith("text/") or not (kind.startswith(_EVENT_STREAM) or _is_numbered(headers)):
            raise ForeignResponseError(_foreign(status, headers, b"", f"no event stream but {_content_type(headers)}"))
        return None
    document = None if shape is None else _document_shape(shape)
    if document is None or operation.http.get("method") == "HEAD":
        _check_request_id(status, headers, body)
        return None
    if protocol in {"query", "ec2", "rest-xml"}:
        return _check_xml(operation, document, protocol, status, headers, body)
    return _check_map(document, protocol, status, headers, body)


def _document_shape(shape: Any) -> Any | None:
    """Return the shape whose members the body holds; None when the body is a blob, a stream or empty."""
    payload = shape.serialization.get("payload")
    if payload is not None:
        member = shape.members[payload]
        return member if member.type_name == "structure" else None
    located = [member for member in shape.members.values() if "location" not in member.serialization]
    return shape if located else None


def _is_numbered(headers: Mapping[str, str]) -> bool:
    """Return whether a response has the request id that AWS gives to every response."""
    return any(name in headers for name in _REQUEST_IDS)


def _check_request_id(status: int, headers: Mapping[str, str], body: Any) -> None:
    # Nothing in such a response proves its operation, but AWS numbers every response and other servers do not.
    if not _is_numbered(headers):
        content = bytes(body) if isinstance(body, bytes | bytearray) else b""
        raise ForeignResponseError(_foreign(status, headers, content, "a response without AWS's request id"))


def _check_map(shape: Any, protocol: str, status: int, headers: Mapping[str, str], body: bytes) -> frozenset[str]:
    names = _members(protocol, body)
    known = frozenset(member.serialization.get("name", name) for name, member in shape.members.items())
    if names is None or "__type" in names - known or (names and not names & known and not shape.is_document_type):
        raise ForeignResponseError(_foreign(status, headers, body))
    return names


def _members(protocol: str, body: bytes) -> frozenset[str] | None:
    """Return the names of a JSON or CBOR map; None when the body is not one."""
    try:
        if "cbor" in protocol:
            return _cbor_members(body)
        return frozenset(_OBJECT.decode(body))
    except RecursionError as error:
        raise ResponseLimitError(TOO_DEEP) from error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def check_readable(operation: Any, status: int, headers: Mapping[str, str], body: Any) -> None:
    """Raise unless botocore can read a JSON body to its end.

    Of a number with thousands of digits botocore makes a document without members, which would prove absence. Raises
    ForeignResponseError and ResponseLimitError.
    """
    protocol = operation.service_model.resolved_protocol
    if not isinstance(body, bytes) or not body or "json" not in protocol:
        return
    shape = operation.output_shape
    if status < 300 and (shape is None or _document_shape(shape) is None):
        return
    try:
        json.loads(body.decode())
    except RecursionError as error:
        raise ResponseLimitError(TOO_DEEP) from error
    except UnicodeDecodeError as error:
        content = f"JSON that is not UTF-8 at byte {error.start}"
        raise ForeignResponseError(_foreign(status, headers, body, content)) from error
    except json.JSONDecodeError as error:
        raise ForeignResponseError(_foreign(status, headers, body)) from error
    except ValueError as error:
        raise ResponseLimitError("it holds a number with more digits than prodwatch reads") from error


def _cbor_members(body: bytes) -> frozenset[str] | None:
    """Return the names of a CBOR map, of a large one only the first: botocore's slow parser reads the rest once more.

    It reports a body that breaks off by itself.
    """
    from botocore.parsers import RpcV2CBORParser

    parser = RpcV2CBORParser()
    stream = parser.get_peekable_stream_from_bytes(body)
    try:
        if len(body) <= CBOR_READ_TWICE_BYTES:
            document = parser.parse_data_item(stream)
            return frozenset(map(str, document)) if isinstance(document, Mapping) and not stream.read(1) else None
        major_type, length_code = divmod(stream.read(1)[0], 32)
        if major_type != _CBOR_MAP:
            return None
        stream.read(_CBOR_LENGTH_BYTES.get(length_code, 0))
        return frozenset({str(parser.parse_data_item(stream))})
    except RecursionError:
        raise
    except Exception:  # noqa: BLE001 -- botocore's parser raises many types for a body that is not CBOR
        return None


def _check_xml(
    operation: Any, shape: Any, protocol: str, status: int, headers: Mapping[str, str], body: bytes
) -> frozenset[str]:
    root = _xml(body)
    if root is None:
        raise ForeignResponseError(_foreign(status, headers, body))
    names = frozenset(_local(child.tag) for child in root)
    if protocol != "rest-xml":
        if _local(root.tag) != f"{operation.name}Response":
            raise ForeignResponseError(_foreign(status, headers, body))
        return names
    known = {str(member.serialization.get("name", name)) for name, member in shape.members.items()}
    if _local(root.tag).lower() in {"html", "error", "errorresponse"} or (names and not names & known):
        raise ForeignResponseError(_foreign(status, headers, body))
    return names


def _check_error(protocol: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Raise unless an error response names AWS's error code, which alone says who refused the request and why."""
    if not body:
        known = any(name in headers for name in (*_REQUEST_IDS, *_ERROR_TYPES))
    elif protocol in {"query", "ec2", "rest-xml"}:
        known = _xml_code(body)
    else:
        known = _map_code(protocol, headers, body)
    if not known:
        # A problem between this machine and AWS may end soon; a refusal by a proxy repeats.
        raise ForeignResponseError(_foreign(status, headers, body), transient=status >= 500 or status == 429)


def _map_code(protocol: str, headers: Mapping[str, str], body: bytes) -> bool:
    names = _members(protocol, body)
    if names is None:
        return False
    if "__type" in names or any(name in headers for name in _ERROR_TYPES):
        return True
    if not _is_numbered(headers) or "cbor" in protocol:
        return False
    document = msgspec.json.decode(body)
    return any(isinstance(text := document.get(key), str) and bool(_CODE.fullmatch(text)) for key in ("code", "Code"))


def _xml_code(body: bytes) -> bool:
    root = _xml(body)
    if root is None or _local(root.tag) not in {"Error", "ErrorResponse", "Response"}:
        return False
    return any(_local(element.tag) == "Code" and (element.text or "").strip() for element in root.iter())


def _xml(body: bytes) -> Any | None:
    from xml.etree import ElementTree as ET

    try:
        return ET.fromstring(body)  # noqa: S314 -- as above
    except ET.ParseError:
        return None


def _local(tag: Any) -> str:
    return str(tag).rpartition("}")[2]


def _foreign(status: int, headers: Mapping[str, str], body: bytes, content: str | None = None) -> str:
    server = sanitize_line(headers.get("server", ""))[:SHOWN_CHARS]
    sender = f" from the server {server}" if server else ""
    return (
        f"the response{sender} is not AWS's document of this operation: {status}, {content or _content(headers, body)}"
    )


def _content(headers: Mapping[str, str], body: bytes) -> str:
    """Return what a body is, in a few words."""
    if not body.strip():
        return "an empty body"
    text = sanitize_line(" ".join(body[: 4 * SHOWN_CHARS].decode(errors="replace").split()))
    begin = f"begins with `{text[:SHOWN_CHARS]}`"
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        kind = f"JSON that breaks off ({error})" if text.startswith(("{", "[")) else _content_type(headers)
        return f"{kind}; it {begin}"
    if isinstance(document, Mapping) and isinstance(code := document.get("__type"), str):
        return f"an error document ({sanitize_line(code)[:SHOWN_CHARS]})"
    return f"JSON that {begin}"


def _content_type(headers: Mapping[str, str]) -> str:
    return sanitize_line(headers.get("content-type", "")).partition(";")[0].strip() or "a body without a content type"
