"""What an `s3` check may say and what its answer looks like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prodwatch.model.spec import Field, Key, ProbeSpec
from prodwatch.probes.mutation_rules import is_open, operation_mutation

_WRITES = {
    "put": "a put writes an object",
    "delete": "a delete removes an object",
}


def _mutation(params: Mapping[str, Any]) -> str | None:
    return operation_mutation(params, _WRITES, default="get")


def _problems(params: Mapping[str, Any]) -> tuple[str, ...]:
    operation = params.get("operation", "get")
    if is_open(operation):
        return ()
    found = []
    if operation in {"get", "head", "put", "delete"} and "key" not in params:
        found.append(f'operation "{operation}" needs `key`')
    if operation == "put" and "body" not in params:
        found.append('operation "put" needs `body`')
    return tuple(found)


SPECS = (
    ProbeSpec(
        type="s3",
        title="S3 object",
        doc=(
            "Reads, lists or writes objects. An object that is not there is an answer, not an error:"
            " `exists` is then false."
        ),
        keys=(
            Key(name="bucket", kind="text", required=True, doc="Name."),
            Key(
                name="operation",
                kind="text",
                choices=("get", "head", "list", "put", "delete"),
                default="get",
                doc="`head` reads the facts without the body; `list` names the objects under `prefix`.",
            ),
            Key(name="key", kind="text", doc="Key of the object."),
            Key(name="body", kind="any", doc="Object to put: text as it is, anything else as JSON."),
            Key(name="prefix", kind="text", default="", doc="Beginning of the keys to list."),
        ),
        problems=_problems,
        fields=(
            Field(name="body", kind="text", doc="The object as UTF-8 text, the first 1 MiB; `get` only."),
            Field(name="json", kind="any", doc="The object as JSON with exact decimals; absent when it is none."),
            Field(name="size", kind="size", doc="Bytes of the object."),
            Field(name="etag", kind="text", doc="ETag without its quotes."),
            Field(name="metadata", kind="table", doc="User metadata, names in lower case."),
            Field(name="keys", kind="list", doc="Keys under `prefix`, all pages, in order; `list` only."),
            Field(name="exists", kind="boolean", doc="Whether the object is there; `list`: whether any key is."),
            Field(name="latency", kind="duration", doc="Of the call, all pages."),
        ),
        example="""\
[[check]]
name = "last night's export is there"
type = "s3"
bucket = "shop-exports"
operation = "head"
key = "daily/latest.csv"
expect = ["exists == true", "size > 10kB"]
""",
        mutation=_mutation,
        service="s3",
    ),
)
