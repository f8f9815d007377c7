"""Keys and document of an `s3` check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prodwatch.model.spec import Field, Key, ProbeSpec
from prodwatch.probes.mutation_rules import is_delete, is_open, operation_mutation

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
    problems = []
    if operation in {"get", "head", "put", "delete"} and "key" not in params:
        problems.append(f'operation "{operation}" needs `key`')
    if operation == "put" and "body" not in params:
        problems.append('operation "put" needs `body`')
    return tuple(problems)


SPECS = (
    ProbeSpec(
        type="s3",
        title="S3 object",
        doc=(
            "Reads, lists or writes objects. An object that does not exist is a result, not an error: `exists` is"
            " false."
        ),
        keys=(
            Key(name="bucket", kind="text", required=True, doc="Name of the bucket."),
            Key(
                name="operation",
                kind="text",
                choices=("get", "head", "list", "put", "delete"),
                default="get",
                doc="Operation. `head` reads size and metadata; `list` returns the keys that begin with `prefix`.",
            ),
            Key(name="key", kind="text", doc="Key of the object."),
            Key(name="body", kind="any", doc="Content of the object to put: text unchanged, any other value as JSON."),
            Key(name="prefix", kind="text", default="", doc="Prefix of the keys to list."),
        ),
        problems=_problems,
        fields=(
            Field(name="body", kind="text", doc="Content as UTF-8 text, the first 1 MiB; only for `get`."),
            Field(name="json", kind="any", doc="Content as JSON with exact decimals; absent when it is not JSON."),
            Field(name="size", kind="size", doc="Size of the object."),
            Field(name="etag", kind="text", doc="ETag without its quotes."),
            Field(name="metadata", kind="table", doc="User metadata, names in lower case."),
            Field(
                name="keys",
                kind="list",
                doc="Keys that begin with `prefix`, from all pages, in order; only for `list`.",
            ),
            Field(name="exists", kind="boolean", doc="Whether the object exists; for `list`, whether there is a key."),
            Field(name="latency", kind="duration", doc="Duration of the call, including all pages."),
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
        deletes=is_delete,
        service="s3",
    ),
)
