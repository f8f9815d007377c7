"""S3 objects: bodies capped and said so, what is missing never green."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from prodwatch.aws.interface import AwsError
from prodwatch.demo.aws.faults import Fault
from prodwatch.model.status import Reason, Status


async def bucket(bench: Any, **objects: bytes) -> str:
    where = {"LocationConstraint": "eu-west-1"}
    await bench.call("s3", "CreateBucket", {"Bucket": bench.name, "CreateBucketConfiguration": where})
    for key, body in objects.items():
        request = {"Bucket": bench.name, "Key": key, "Body": body, "Metadata": {"Owner": "shop"}}
        await bench.call("s3", "PutObject", request)
    return str(bench.name)


async def test_an_object_is_read_with_its_facts(bench: Any) -> None:
    name = await bucket(bench, doc=b'{"total": 1.10}')
    found = await bench.run("s3", {"bucket": name, "key": "doc"})
    assert found.failure is None
    assert found.document["body"] == '{"total": 1.10}'
    assert found.document["json"] == {"total": Decimal("1.10")}
    assert found.document["size"] == 15
    assert found.document["exists"] is True
    assert found.document["metadata"] == {"owner": "shop"}
    assert '"' not in found.document["etag"]
    assert found.complete
    assert found.exchange.aws_cli.startswith(f"aws s3api get-object --bucket {name} --key doc")


async def test_a_long_object_is_cut_and_says_so(bench: Any) -> None:
    name = await bucket(bench, long=b"x" * (1024 * 1024 + 10))
    found = await bench.run("s3", {"bucket": name, "key": "long"})
    assert len(found.document["body"]) == 1024 * 1024
    assert found.document["size"] == 1024 * 1024 + 10
    assert "json" not in found.document
    assert not found.complete
    assert "only the first 1024 KiB" in found.notices[0]


async def test_an_empty_object_is_there(bench: Any) -> None:
    name = await bucket(bench, empty=b"")
    found = await bench.run("s3", {"bucket": name, "key": "empty"})
    assert found.failure is None
    assert (found.document["exists"], found.document["size"], found.document["body"]) == (True, 0, "")


class Absent:
    """A door behind which no object is, with the code AWS gives for each way of asking."""

    async def call(self, _service: str, operation: str, _params: Any, **_: Any) -> Any:
        if operation == "HeadBucket":
            return {}
        code = "404" if operation == "HeadObject" else "NoSuchKey"
        raise AwsError("no", code=code, reason=Reason.API_ERROR, service="s3", operation=operation)

    def region_name(self, _account: str | None = None) -> str:
        return "eu-west-1"


@pytest.mark.parametrize(("operation", "real"), [("get", True), ("get", False), ("head", True), ("head", False)])
async def test_a_missing_object_is_never_green_unless_asked_about(bench: Any, operation: str, real: bool) -> None:
    name = await bucket(bench) if real else "b"
    other = {} if real else {"aws": Absent()}
    found = await bench.run("s3", {"bucket": name, "key": "nope", "operation": operation}, **other)
    assert found.document["exists"] is False
    assert found.failure.status is Status.FAIL
    assert set(found.failure.answered_by) == {"exists", "error"}
    assert found.failure.message == f'there is no object "nope" in bucket "{name}"'


async def test_head_reads_no_body(bench: Any) -> None:
    name = await bucket(bench, doc=b"hello")
    found = await bench.run("s3", {"bucket": name, "key": "doc", "operation": "head"})
    assert found.document["size"] == 5
    assert "body" not in found.document


async def test_a_list_names_every_key_under_the_prefix(bench: Any) -> None:
    name = await bucket(bench, **{f"a/{number:03}": b"" for number in range(5)}, b=b"")
    found = await bench.run("s3", {"bucket": name, "operation": "list", "prefix": "a/"})
    assert found.document["keys"] == [f"a/{number:03}" for number in range(5)]
    empty = await bench.run("s3", {"bucket": name, "operation": "list", "prefix": "zzz"})
    assert (empty.document["keys"], empty.document["exists"]) == ([], False)


@pytest.mark.parametrize(("body", "written"), [("text", "text"), ({"a": Decimal("1.10")}, '{"a":1.10}'), ([1], "[1]")])
async def test_put_writes_text_as_it_is_and_the_rest_as_json(bench: Any, body: Any, written: str) -> None:
    name = await bucket(bench)
    put = await bench.run("s3", {"bucket": name, "key": "k", "operation": "put", "body": body})
    assert put.failure is None
    found = await bench.run("s3", {"bucket": name, "key": "k"})
    assert found.document["body"] == written
    assert put.document["etag"] == found.document["etag"]


async def test_delete_leaves_nothing(bench: Any) -> None:
    name = await bucket(bench, doc=b"x")
    assert (await bench.run("s3", {"bucket": name, "key": "doc", "operation": "delete"})).document["exists"] is False
    assert (await bench.run("s3", {"bucket": name, "key": "doc"})).document["exists"] is False


async def test_an_object_is_not_absent_from_a_bucket_that_is_none(bench: Any) -> None:
    for operation in ("get", "head"):
        found = await bench.run("s3", {"bucket": "no-such-bucket-here", "key": "k", "operation": operation})
        assert found.failure.status is Status.FAIL
        assert "exists" not in found.document


async def test_a_missing_bucket_is_told(bench: Any) -> None:
    found = await bench.run("s3", {"bucket": "no-such-bucket-here", "operation": "list"})
    assert found.failure.status is Status.FAIL
    assert found.document["error"]["code"] == "NoSuchBucket"


async def test_denied_is_no_answer(bench: Any) -> None:
    bench.world.faults.add(Fault(operation="s3:*", kind="access_denied"))
    found = await bench.run("s3", {"bucket": "b", "key": "k", "operation": "head"})
    assert (found.failure.status, found.failure.reason) == (Status.ERROR, Reason.ACCESS_DENIED)
    assert found.failure.answered_by == ()
    assert "permission s3:GetObject and s3:ListBucket is missing" in found.failure.message
    assert "exists" not in found.document
