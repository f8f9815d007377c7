"""Reads, lists and writes S3 objects; an object that is not there is told, never passed over."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from prodwatch.aws.api import AwsError
from prodwatch.model.status import Reason, Status
from prodwatch.probes.aws_support import Talk, ask, from_json, refuse, to_json
from prodwatch.probes.base import Failure, Observation, ProbeContext

READ_BYTES = 1024 * 1024
"""Of a body that is judged; a longer object is cut there and the result says so."""
_ABSENT = frozenset(("404", "NoSuchKey", "NotFound"))


async def probe(params: Mapping[str, Any], context: ProbeContext) -> Observation:
    """Carry out `params["operation"]`; `exists` says whether the object, or any key, is there."""
    return await ask(params, context, "s3", _operate)


async def _operate(talk: Talk) -> Observation:
    return await _OPERATIONS[talk.params.get("operation") or "get"](talk)


def _object(talk: Talk) -> dict[str, Any]:
    if not talk.params.get("key"):
        raise refuse(Status.ERROR, Reason.INVALID, f"operation {talk.params.get('operation') or 'get'} needs `key`")
    return {"Bucket": talk.params["bucket"], "Key": talk.params["key"]}


async def _get(talk: Talk) -> Observation:
    where = _object(talk)
    try:
        answer = await talk.call("GetObject", where | {"Range": f"bytes=0-{READ_BYTES - 1}"})
    except AwsError as error:
        if error.code in _ABSENT:
            return _absent(talk, error)
        if error.code != "InvalidRange":
            raise
        # An empty object has no first byte to ask for.
        talk.show("GetObject", where)
        answer = await talk.call("GetObject", where)
    body: bytes = answer["Body"]
    size = _whole_size(answer, body)
    document = _facts(answer) | {"exists": True, "size": size, "body": body.decode(errors="replace")}
    if size > len(body):
        talk.notice(f"only the first {READ_BYTES // 1024} KiB of {size} bytes were read")
    else:
        with contextlib.suppress(ValueError):
            document["json"] = from_json(body)
    return talk.answer(document | {"latency": talk.latency()}, complete=size <= len(body))


async def _head(talk: Talk) -> Observation:
    try:
        answer = await talk.call("HeadObject", _object(talk))
    except AwsError as error:
        if error.code in _ABSENT:
            # HEAD has no body to say whether the key or the whole bucket is missing.
            await talk.call("HeadBucket", {"Bucket": talk.params["bucket"]})
            return _absent(talk, error)
        raise
    document = _facts(answer) | {"exists": True, "size": answer["ContentLength"], "latency": talk.latency()}
    return talk.answer(document)


async def _list(talk: Talk) -> Observation:
    request = {"Bucket": talk.params["bucket"], "Prefix": talk.params.get("prefix") or ""}
    keys = [each["Key"] async for page in talk.pages("ListObjectsV2", request) for each in page.get("Contents") or ()]
    return talk.answer({"keys": keys, "exists": bool(keys), "latency": talk.latency()})


async def _put(talk: Talk) -> Observation:
    body = talk.params.get("body")
    content = body.encode() if isinstance(body, str) else to_json(body, "body")
    answer = await talk.call("PutObject", _object(talk) | {"Body": content}, retries=False)
    document = _facts(answer) | {"exists": True, "size": len(content), "latency": talk.latency()}
    return talk.answer(document)


async def _delete(talk: Talk) -> Observation:
    await talk.call("DeleteObject", _object(talk), retries=False)
    return talk.answer({"exists": False, "latency": talk.latency()})


def _facts(answer: Mapping[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    if answer.get("ETag"):
        document["etag"] = answer["ETag"].strip('"')
    if "Metadata" in answer:
        document["metadata"] = {name.lower(): value for name, value in answer["Metadata"].items()}
    return document


def _whole_size(answer: Mapping[str, Any], body: bytes) -> int:
    """Return the object's size, which the answer to a range tells apart from what was read."""
    total = str(answer.get("ContentRange") or "").rpartition("/")[2]
    return int(total) if total.isdecimal() else len(body)


def _absent(talk: Talk, error: AwsError) -> Observation:
    """Tell that the object is not there: an answer for who asks `exists`, a failure for who expects the object."""
    talk.met(error)
    message = f'there is no object "{talk.params["key"]}" in bucket "{talk.params["bucket"]}"'
    failure = Failure(status=Status.FAIL, reason=Reason.API_ERROR, message=message, answered_by=("exists", "error"))
    document = {
        "exists": False,
        "error": {"code": "NoSuchKey", "message": error.message},
        "latency": talk.latency(),
    }
    return talk.answer(document, failure=failure)


_OPERATIONS: dict[str, Callable[[Talk], Awaitable[Observation]]] = {
    "get": _get,
    "head": _head,
    "list": _list,
    "put": _put,
    "delete": _delete,
}
