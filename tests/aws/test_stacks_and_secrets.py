"""Stacks and secrets: read once for all awaiters, clear about missing ones, silent about secret values."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress

import pytest
import pytest_asyncio

from prodwatch.aws.aws_calls import Aws
from prodwatch.aws.interface import AwsError
from prodwatch.aws.secrets import Secrets
from prodwatch.aws.stacks import Stacks
from prodwatch.demo.aws import EmbeddedAws
from prodwatch.demo.aws.faults import Fault
from prodwatch.model.environment import SecretReference, StackReference
from prodwatch.model.status import Reason
from prodwatch.testing.clock import FakeClock

TEMPLATE = {
    "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
    "Outputs": {"ApiUrl": {"Value": "https://api.example/Prod/"}, "Person": {"Value": "https://api.example/{id}"}},
}
SHOP = StackReference(name="shop-outputs")


@pytest_asyncio.fixture
async def shop(world: EmbeddedAws, connect: Callable[..., Aws]) -> Aws:
    aws = connect(clock=FakeClock(auto=True))
    with suppress(AwsError):  # of an earlier test
        await aws.call("cloudformation", "CreateStack", {"StackName": SHOP.name, "TemplateBody": json.dumps(TEMPLATE)})
    world.call_counts.clear()
    return aws


async def test_a_stack_is_described_once_for_all_who_ask(world: EmbeddedAws, shop: Aws) -> None:
    stacks = Stacks(shop)
    results = await asyncio.gather(*(stacks.output(SHOP, "ApiUrl") for _ in range(5)), stacks.output(SHOP, "Person"))
    assert results == ["https://api.example/Prod/"] * 5 + ["https://api.example/{id}"]
    assert world.call_counts["cloudformation:DescribeStacks"] == 1


async def test_a_missing_output_lists_those_there_are(shop: Aws) -> None:
    with pytest.raises(LookupError, match="shop-outputs in eu-west-1 has no output Nope; it has ApiUrl, Person"):
        await Stacks(shop).output(SHOP, "Nope")


async def test_a_missing_stack_is_missing_and_asked_for_again(world: EmbeddedAws, shop: Aws) -> None:
    stacks = Stacks(shop)
    for _ in range(2):
        with pytest.raises(LookupError, match='stack "nope" does not exist in us-east-1'):
            await stacks.outputs(StackReference(name="nope", region="us-east-1"))
    assert world.call_counts["cloudformation:DescribeStacks"] == 2


async def test_a_denied_stack_is_not_missing(world: EmbeddedAws, shop: Aws) -> None:
    world.faults.add(Fault(operation="cloudformation:*", kind="access_denied"))
    with pytest.raises(AwsError, match="permission cloudformation:DescribeStacks is missing") as caught:
        await Stacks(shop).outputs(SHOP)
    assert caught.value.reason is Reason.ACCESS_DENIED


@pytest_asyncio.fixture
async def secrets(world: EmbeddedAws, connect: Callable[..., Aws]) -> Secrets:
    aws = connect(clock=FakeClock(auto=True))
    for name, text in (("plain", "hunter2-long"), ("json", '{"api_key": "k-123456", "port": 543210, "x": [1]}')):
        with suppress(AwsError):  # of an earlier test
            await aws.call("secretsmanager", "CreateSecret", {"Name": f"shop/{name}", "SecretString": text})
    parameter = {"Name": "/shop/db", "Value": "db-password", "Type": "SecureString", "Overwrite": True}
    await aws.call("ssm", "PutParameter", parameter)
    world.call_counts.clear()
    return Secrets(aws, {"SHOP_TOKEN": "token-of-the-shop", "SHORT": "12345"})


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        (SecretReference(env="SHOP_TOKEN"), "token-of-the-shop"),
        (SecretReference(ssm="/shop/db"), "db-password"),
        (SecretReference(secretsmanager="shop/plain"), "hunter2-long"),
        (SecretReference(secretsmanager="shop/json", field="api_key"), "k-123456"),
        (SecretReference(secretsmanager="shop/json", field="port"), "543210"),
    ],
    ids=str,
)
async def test_secrets_are_read_from_where_they_live(secrets: Secrets, reference: SecretReference, value: str) -> None:
    assert await secrets.value(reference) == value


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        (SecretReference(env="NOPE"), "environment variable NOPE is not set"),
        (SecretReference(env="SHORT"), "environment variable SHORT has fewer than 6 characters"),
        (SecretReference(ssm="/nope"), "SSM parameter /nope does not exist in eu-west-1"),
        (SecretReference(secretsmanager="nope"), "Secrets Manager secret nope does not exist in eu-west-1"),
        (SecretReference(secretsmanager="shop/json", field="nope"), "has no field nope; fields: api_key, port, x"),
        (SecretReference(secretsmanager="shop/plain", field="f"), "is not JSON, so it has no field f"),
        (SecretReference(secretsmanager="shop/json", field="x"), "field x of .* is not text"),
    ],
    ids=str,
)
async def test_an_unavailable_secret_is_reported_without_its_value(
    secrets: Secrets, reference: SecretReference, sentence: str
) -> None:
    with pytest.raises(LookupError, match=sentence) as caught:
        await secrets.value(reference)
    for text in ("hunter2", "12345", "k-123456"):
        assert text not in str(caught.value)


async def test_a_secret_is_read_once(world: EmbeddedAws, secrets: Secrets) -> None:
    await asyncio.gather(*(secrets.value(SecretReference(ssm="/shop/db")) for _ in range(4)))
    assert world.call_counts["ssm:GetParameter"] == 1


async def test_a_denied_secret_is_an_error_of_aws(world: EmbeddedAws, secrets: Secrets) -> None:
    world.faults.add(Fault(operation="ssm:*", kind="access_denied"))
    with pytest.raises(AwsError, match="permission ssm:GetParameter is missing"):
        await secrets.value(SecretReference(ssm="/shop/db"))
