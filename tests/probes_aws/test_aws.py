"""Any operation of any service: the response as it is, errors never green by accident, secrets named."""

from __future__ import annotations

from typing import Any

import pytest

from prodwatch.aws.page_rules import unread_rest
from prodwatch.demo.aws import Fault
from prodwatch.model.quantity import Duration
from prodwatch.model.status import Reason, Status
from prodwatch.probes.aws.probe import merged, refused_part
from prodwatch.text.redact import MASK


@pytest.mark.parametrize("operation", ["GetCallerIdentity", "get-caller-identity", "get_caller_identity"])
async def test_the_response_is_the_document(bench: Any, operation: str) -> None:
    found = await bench.run("aws", {"service": "sts", "operation": operation})
    assert found.failure is None
    assert found.document["Account"] == "123456789012"
    assert "ResponseMetadata" not in found.document
    assert isinstance(found.document["latency"], Duration)
    assert found.exchange.aws_cli.startswith("aws sts get-caller-identity --region eu-west-1 --endpoint-url http://")


async def test_pages_are_joined(bench: Any) -> None:
    for number in range(7):
        bench.world.logs.create_group(f"/{bench.name}/{number}")
    params = {"logGroupNamePrefix": f"/{bench.name}/", "limit": 2}
    asked = {"service": "logs", "operation": "DescribeLogGroups", "params": params}
    one = await bench.run("aws", asked)
    assert len(one.document["logGroups"]) == 2
    found = await bench.run("aws", asked | {"paginate": True})
    assert [each["logGroupName"] for each in found.document["logGroups"]] == [f"/{bench.name}/{n}" for n in range(7)]
    assert "nextToken" not in found.document


async def test_an_error_is_a_failure_that_an_assertion_may_answer(bench: Any) -> None:
    found = await bench.run("aws", {"service": "sqs", "operation": "GetQueueUrl", "params": {"QueueName": "nope"}})
    assert found.failure.status is Status.FAIL
    assert found.failure.answered_by == ("error",)
    assert found.document["error"]["code"] == "AWS.SimpleQueueService.NonExistentQueue"
    assert "does not exist" in found.document["error"]["message"]


async def test_a_denial_may_be_what_a_check_wants(bench: Any) -> None:
    bench.world.faults.add(Fault(operation="ssm:*", kind="access_denied"))
    found = await bench.run("aws", {"service": "ssm", "operation": "GetParameter", "params": {"Name": "/x"}})
    assert (found.failure.status, found.failure.reason) == (Status.ERROR, Reason.ACCESS_DENIED)
    assert found.failure.answered_by == ("error",)


@pytest.mark.parametrize("kind", ["throttle", "error_5xx", "expired_token", "drop"])
async def test_what_was_not_answered_cannot_be_asserted_away(bench: Any, kind: Any) -> None:
    bench.world.faults.add(Fault(operation="logs:*", kind=kind))
    found = await bench.run("aws", {"service": "logs", "operation": "DescribeLogGroups"})
    assert found.failure.status is Status.ERROR
    assert found.failure.answered_by == ()


@pytest.mark.parametrize(
    ("service", "operation", "params"),
    [("sqs", "GetQueuUrl", {}), ("nosuch", "GetX", {}), ("sqs", "GetQueueUrl", {"Wrong": 1})],
)
async def test_what_cannot_be_sent_is_our_error(bench: Any, service: str, operation: str, params: Any) -> None:
    found = await bench.run("aws", {"service": service, "operation": operation, "params": params})
    assert found.failure.status is Status.ERROR
    assert not bench.world.call_counts


async def test_a_write_is_sent_once_and_a_read_again(bench: Any) -> None:
    bench.world.faults.add(Fault(operation="*", kind="throttle", count=1))
    write = {"service": "sqs", "operation": "CreateQueue", "params": {"QueueName": bench.name}}
    assert (await bench.run("aws", write)).failure.reason is Reason.THROTTLED
    bench.world.faults.replace([Fault(operation="*", kind="throttle", count=1)])
    assert (await bench.run("aws", {"service": "logs", "operation": "DescribeLogGroups"})).failure is None


async def test_secrets_are_named_to_the_runner_and_never_shown(bench: Any) -> None:
    secret = {"Name": bench.name, "SecretString": '{"api_key": "k-123456-secret", "n": 5}'}
    await bench.call("secretsmanager", "CreateSecret", secret)
    asked = {"service": "secretsmanager", "operation": "GetSecretValue", "params": {"SecretId": bench.name}}
    found = await bench.run("aws", asked)
    assert "k-123456-secret" in found.document["SecretString"]
    assert "k-123456-secret" in found.secrets
    assert secret["SecretString"] in found.secrets
    assert bench.name not in found.secrets
    assert set(found.exchange.response.values()) == {MASK}
    assert "k-123456-secret" not in repr(found.exchange)


def test_merging_joins_lists_and_adds_counts() -> None:
    pages = [
        {"Items": [1], "Count": 1, "Deep": {"Items": ["a"], "More": True}, "NextToken": "x", "Last": 1},
        {"Items": [], "Count": 0, "Deep": {"Items": [], "More": True}, "NextToken": "y"},
        {"Items": [2], "Count": 1, "Deep": {"Items": ["b"], "More": False}, "Other": 3},
    ]
    assert merged(pages) == {"Items": [1, 2], "Count": 2, "Deep": {"Items": ["a", "b"], "More": False}, "Other": 3}
    assert merged([{"Items": [1]}, {}]) == {"Items": [1]}


async def test_an_operation_that_is_none_is_our_mistake_and_no_answer(bench: Any) -> None:
    found = await bench.run("aws", {"service": "sqs", "operation": "GetNopes"})
    assert (found.failure.status, found.failure.reason) == (Status.ERROR, Reason.INVALID)
    assert found.failure.answered_by == ()


async def test_A3_a_response_without_its_list_is_no_empty_list(bench: Any) -> None:
    """Lists of an operation without a table of members: botocore's pagination model names them."""
    params = {"service": "cloudwatch", "operation": "ListDashboards"}
    whole: dict[str, Any] = {"DashboardEntries": []}
    assert unread_rest("cloudwatch", "ListDashboards", whole, {}, paginated=False) is None
    assert "DashboardEntries" in str(unread_rest("cloudwatch", "ListDashboards", {}, {}, paginated=False))
    assert "DashboardEntries" in str(unread_rest("cloudwatch", "ListDashboards", {}, {}, paginated=True))
    assert unread_rest("sqs", "ListQueues", {}, {}, paginated=False) is None
    bench.world.faults.add(
        Fault(operation="cloudwatch:ListDashboards", kind="missing_member", member="DashboardEntries")
    )
    found = await bench.run("aws", params)
    assert not found.complete or found.failure is not None


async def test_E_a_text_for_a_blob_is_its_bytes_and_a_blob_of_the_response_is_text(bench: Any) -> None:
    made = {"service": "kinesis", "operation": "CreateStream", "params": {"StreamName": bench.name, "ShardCount": 1}}
    await bench.run("aws", made, mutates=True)
    put = {"StreamName": bench.name, "PartitionKey": "a", "Data": "aMOp"}
    found = await bench.run("aws", {"service": "kinesis", "operation": "PutRecord", "params": put}, mutates=True)
    assert found.failure is None
    where = {"StreamName": bench.name, "ShardId": found.document["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
    iterator = await bench.run("aws", {"service": "kinesis", "operation": "GetShardIterator", "params": where})
    read = {"ShardIterator": iterator.document["ShardIterator"]}
    records = await bench.run("aws", {"service": "kinesis", "operation": "GetRecords", "params": read})
    assert [each["Data"] for each in records.document["Records"]] == ["aMOp"]


@pytest.mark.parametrize(
    ("service", "operation", "document", "member"),
    [
        ("events", "PutEvents", {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "X"}]}, "FailedEntryCount"),
        ("kinesis", "PutRecords", {"FailedRecordCount": 2}, "FailedRecordCount"),
        ("firehose", "PutRecordBatch", {"FailedPutCount": 2}, "FailedPutCount"),
        ("sqs", "SendMessageBatch", {"Successful": [], "Failed": [{"Id": "1"}]}, "Failed"),
        ("s3", "DeleteObjects", {"Errors": [{"Key": "a"}]}, "Errors"),
        ("dynamodb", "BatchWriteItem", {"UnprocessedItems": {"orders": [{}]}}, "UnprocessedItems"),
        ("ecs", "DescribeServices", {"services": [], "failures": [{"reason": "MISSING"}]}, "failures"),
        ("ecr", "BatchGetImage", {"images": [], "failures": [{}]}, "failures"),
        ("codebuild", "BatchGetBuilds", {"builds": [], "errors": [{}]}, "errors"),
        ("events", "PutEvents", {"FailedEntryCount": 0, "Entries": []}, None),
        ("sqs", "SendMessageBatch", {"Successful": [{"Id": "1"}], "Failed": []}, None),
        ("cloudtrail", "ListImportFailures", {"Failures": [{}]}, None),
        ("appsync", "GetX", {"errors": [{}]}, None),
        ("x", "GetX", {"failed": True, "FailureReason": "a"}, None),
    ],
)
def test_a_success_that_reports_refused_parts_is_no_pass(
    service: str, operation: str, document: dict[str, Any], member: str | None
) -> None:
    failure = refused_part(service, operation, document)
    assert (failure and (failure.status, failure.reason, failure.answered_by)) == (
        member and (Status.FAIL, Reason.API_ERROR, (member,))
    )


async def test_a_response_with_a_refused_part_is_a_failure(bench: Any) -> None:
    queue = await bench.call("sqs", "CreateQueue", {"QueueName": bench.name})
    entries = [{"Id": "1", "ReceiptHandle": "not-one"}]
    asked = {"QueueUrl": queue["QueueUrl"], "Entries": entries}
    found = await bench.run("aws", {"service": "sqs", "operation": "DeleteMessageBatch", "params": asked})
    assert found.document["Failed"]
    assert found.failure.message == "sqs DeleteMessageBatch succeeded but reports 1 refused in `Failed`"
