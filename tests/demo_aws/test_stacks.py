"""CloudFormation through both SDKs: moto's stacks with scripted events and status."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from prodwatch.demo.aws import EmbeddedAws, Fault, StackEvent

TEMPLATE = json.dumps(
    {
        "Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "inbox"}}},
        "Outputs": {"QueueUrl": {"Value": {"Ref": "Queue"}}},
    }
)
STACK = "AWS::CloudFormation::Stack"


async def status(call: Any) -> Any:
    (stack,) = (await call("cloudformation", "DescribeStacks", StackName="shop"))["Stacks"]
    return stack["StackStatus"]


async def test_a_stack_follows_its_script(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    made = await call("cloudformation", "CreateStack", StackName="shop", TemplateBody=TEMPLATE)
    (stack,) = (await call("cloudformation", "DescribeStacks", StackName="shop"))["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert stack["Outputs"][0]["OutputKey"] == "QueueUrl"
    assert stack["Outputs"][0]["OutputValue"].endswith("/123456789012/inbox")
    aws.stack_events.put(
        "shop",
        [
            StackEvent(at_s=wall.now_s + 30, logical_id="shop", type=STACK, status="UPDATE_COMPLETE"),
            StackEvent(
                at_s=wall.now_s + 1, logical_id="shop", type=STACK, status="UPDATE_IN_PROGRESS", reason="User Initiated"
            ),
            StackEvent(
                at_s=wall.now_s + 5,
                logical_id="Alias",
                type="AWS::Lambda::Alias",
                status="UPDATE_IN_PROGRESS",
                physical_id="arn:alias",
            ),
        ],
    )
    wall.now_s += 10
    assert await status(call) == "UPDATE_IN_PROGRESS"
    events = (await call("cloudformation", "DescribeStackEvents", StackName="shop"))["StackEvents"]
    assert [(item["LogicalResourceId"], item["ResourceStatus"]) for item in events] == [
        ("Alias", "UPDATE_IN_PROGRESS"),
        ("shop", "UPDATE_IN_PROGRESS"),
    ]
    assert events[0]["PhysicalResourceId"] == "arn:alias"
    assert events[1]["PhysicalResourceId"] == events[1]["StackId"] == made["StackId"]
    assert events[1]["ResourceStatusReason"] == "User Initiated"
    assert events[1]["Timestamp"].timestamp() == wall.now_s - 9
    again = (await call("cloudformation", "DescribeStackEvents", StackName=made["StackId"]))["StackEvents"]
    assert [item["EventId"] for item in again] == [item["EventId"] for item in events]
    wall.now_s += 30
    assert await status(call) == "UPDATE_COMPLETE"


async def test_many_events_are_paged(call: Any, aws: EmbeddedAws, wall: Any) -> None:
    await call("cloudformation", "CreateStack", StackName="shop", TemplateBody=TEMPLATE)
    aws.stack_events.put(
        "shop",
        [StackEvent(at_s=wall.now_s - n, logical_id=f"r{n}", type="AWS::S3::Bucket", status="X") for n in range(150)],
    )
    first = await call("cloudformation", "DescribeStackEvents", StackName="shop")
    rest = await call("cloudformation", "DescribeStackEvents", StackName="shop", NextToken=first["NextToken"])
    names = [item["LogicalResourceId"] for item in first["StackEvents"] + rest["StackEvents"]]
    assert names == [f"r{n}" for n in range(150)]
    aws.faults.add(Fault(operation="cloudformation:DescribeStackEvents", kind="empty_page", count=1))
    empty = await call("cloudformation", "DescribeStackEvents", StackName="shop")
    assert empty["StackEvents"] == []
    assert empty["NextToken"]


async def test_a_stack_without_a_script_and_one_that_is_not(call: Any) -> None:
    await call("cloudformation", "CreateStack", StackName="shop", TemplateBody=TEMPLATE)
    assert (await call("cloudformation", "DescribeStackEvents", StackName="shop"))["StackEvents"]
    with pytest.raises(ClientError) as caught:
        await call("cloudformation", "DescribeStacks", StackName="none")
    assert caught.value.response["Error"]["Code"] == "ValidationError"
