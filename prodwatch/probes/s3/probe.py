"""Reads, lists and writes S3 objects; an object that does not exist is a result."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from prodwatch.aws.interface import AwsError
from prodwatch.model.status import Reason, Status
from prodwatch.probes.aws_support import AwsCalls, ask, refuse, to_json
from prodwatch.probes.base import Failure, Observation, ProbeContext
from prodwatch.probes.decode import read_json

READ_BYTES = 1024 * 1024
"""Largest part of an object that is read; a longer one is cut, with a notice."""
_ABSENT = frozenset(("404", "NoSuchKey", "NotFound"))


async def probe(params: Mapping[str, Any], context: ProbeContext) -> Observation:
    """Execute `params["operation"]`; `exists` is whether the object, or a key, exists."""
    return await ask(params, context, "s3", _operate)


async def _operate(calls: AwsCalls) -> Observation:
    return await _OPERATIONS[calls.params.get("operation") or "get"](calls)


def _object(calls: AwsCalls) -> dict[str, Any]:
    if not calls.params.get("key"):
        raise refuse(Status.ERROR, Reason.INVALID, f"operation {calls.params.get('operation') or 'get'} needs `key`")
    return {"Bucket": calls.params["bucket"], "Key": calls.params["key"]}


async def _get(calls: AwsCalls) -> Observation:
    where = _object(calls)
    try:
        answer = await calls.call("GetObject", where | {"Range": f"bytes=0-{READ_BYTES - 1}"})
    except AwsError as error:
        if error.code in _ABSENT:
            return _absent(calls, error)
        if error.code != "InvalidRange":
            raise
        # An empty object has no first byte to ask for.
        calls.show("GetObject", where)
        answer = await calls.call("GetObject", where)
    body: bytes = answer["Body"]
    size = _whole_size(answer, body)
    document = _facts(answer) | {"exists": True, "size": size, "body": body.decode(errors="replace")}
    document["latency"] = calls.latency()
    if size > len(body):
        calls.notice(f"only the first {READ_BYTES // 1024} KiB of {size} bytes were read")
        return calls.answer(document, complete=False)
    json = read_json(body, answer.get("ContentType"))
    if json.beyond_limits:
        message = f"the object {where['Bucket']}/{where['Key']} {json.problem}"
        unreadable = {"json": Failure(status=Status.ERROR, reason=Reason.LIMIT, message=message)}
        return calls.answer(document, unreadable=unreadable)
    remarks = {} if json.problem is None else {"json": f"the object {json.problem}"}
    return calls.answer({**document, **json.fields}, remarks=remarks)


async def _head(calls: AwsCalls) -> Observation:
    try:
        answer = await calls.call("HeadObject", _object(calls))
    except AwsError as error:
        if error.code in _ABSENT:
            # HEAD has no body to say whether the key or the whole bucket is missing.
            await calls.call("HeadBucket", {"Bucket": calls.params["bucket"]})
            return _absent(calls, error)
        raise
    document = _facts(answer) | {"exists": True, "size": answer["ContentLength"], "latency": calls.latency()}
    return calls.answer(document)


async def _list(calls: AwsCalls) -> Observation:
    request = {"Bucket": calls.params["bucket"], "Prefix": calls.params.get("prefix") or ""}
    keys = [each["Key"] async for page in calls.pages("ListObjectsV2", request) for each in page.get("Contents") or ()]
    return calls.answer({"keys": keys, "exists": bool(keys), "latency": calls.latency()})


async def _put(calls: AwsCalls) -> Observation:
    body = calls.params.get("body")
    content = body.encode() if isinstance(body, str) else to_json(body, "body")
    answer = await calls.call("PutObject", _object(calls) | {"Body": content}, retries=False)
    document = _facts(answer) | {"exists": True, "size": len(content), "latency": calls.latency()}
    return calls.answer(document)


async def _delete(calls: AwsCalls) -> Observation:
    await calls.call("DeleteObject", _object(calls), retries=False)
    return calls.answer({"exists": False, "latency": calls.latency()})


def _facts(answer: Mapping[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    if answer.get("ETag"):
        document["etag"] = answer["ETag"].strip('"')
    if "Metadata" in answer:
        document["metadata"] = {name.lower(): value for name, value in answer["Metadata"].items()}
    return document


def _whole_size(answer: Mapping[str, Any], body: bytes) -> int:
    """Return the size of the whole object from the response to a range request."""
    total = str(answer.get("ContentRange") or "").rpartition("/")[2]
    return int(total) if total.isdecimal() else len(body)


def _absent(calls: AwsCalls, error: AwsError) -> Observation:
    """Return the observation of a missing object: `exists` is false, and other assertions fail."""
    calls.met(error)
    message = f'there is no object "{calls.params["key"]}" in bucket "{calls.params["bucket"]}"'
    failure = Failure(status=Status.FAIL, reason=Reason.API_ERROR, message=message, answered_by=("exists", "error"))
    document = {
        "exists": False,
        "error": {"code": "NoSuchKey", "message": error.message},
        "latency": calls.latency(),
    }
    return calls.answer(document, failure=failure)


_OPERATIONS: dict[str, Callable[[AwsCalls], Awaitable[Observation]]] = {
    "get": _get,
    "head": _head,
    "list": _list,
    "put": _put,
    "delete": _delete,
}
