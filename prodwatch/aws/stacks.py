"""Reads outputs of CloudFormation stacks, each stack once per run; failed reads are repeated on next use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.aws.single_flight import SingleFlight
from prodwatch.model.environment import StackReference
from prodwatch.settings.suggestions import did_you_mean, listing


class MissingStackError(LookupError):
    """The stack does not exist; the text is one sentence."""


class Stacks:
    """Stack outputs, cached for the lifetime of the object."""

    def __init__(self, aws: AwsApi) -> None:
        self._aws = aws
        self._resources: dict[StackReference, SingleFlight[Mapping[str, str]]] = {}
        self._outputs: dict[StackReference, SingleFlight[Mapping[str, str]]] = {}

    async def outputs(self, stack: StackReference) -> Mapping[str, str]:
        """Return output key → value; LookupError when the stack does not exist, AwsError when it could not be read."""
        if stack not in self._outputs:
            self._outputs[stack] = SingleFlight(lambda: self._read(stack))
        return await self._outputs[stack].get()

    async def resources(self, stack: StackReference) -> Mapping[str, str]:
        """Return logical id → physical id of every resource; raises as `outputs` does."""
        if stack not in self._resources:
            self._resources[stack] = SingleFlight(lambda: self._read_resources(stack))
        return await self._resources[stack].get()

    async def output(self, stack: StackReference, key: str) -> str:
        """Return one output; LookupError, listing the outputs there are, when the stack or the key does not exist."""
        outputs = await self.outputs(stack)
        if key not in outputs:
            raise LookupError(missing_output(self._aws, stack, key, outputs))
        return outputs[key]

    async def _read(self, stack: StackReference) -> Mapping[str, str]:
        return outputs_of(await describe(self._aws, stack))

    async def _read_resources(self, stack: StackReference) -> Mapping[str, str]:
        outputs: dict[str, str] = {}
        params = {"StackName": stack.name}
        pages = self._aws.pages(
            "cloudformation", "ListStackResources", params, account=stack.account, region=stack.region
        )
        try:
            async for page in pages:
                for resource in page["StackResourceSummaries"]:
                    # A resource that is being created has no physical id yet.
                    if resource.get("PhysicalResourceId"):
                        outputs[resource["LogicalResourceId"]] = resource["PhysicalResourceId"]
        except AwsError as error:
            if error.code == "ValidationError" and "does not exist" in error.message:
                raise _missing_stack(self._aws, stack) from error
            raise
        return outputs


def _missing_stack(aws: AwsApi, stack: StackReference) -> MissingStackError:
    return MissingStackError(f'stack "{stack.name}" does not exist in {region_of(aws, stack)}')


async def describe(aws: AwsApi, stack: StackReference, *, timeout_s: float | None = None) -> dict[str, Any]:
    """Return one stack as DescribeStacks reports it, uncached; MissingStackError when it does not exist."""
    missing = _missing_stack(aws, stack)
    try:
        response = await aws.call(
            "cloudformation",
            "DescribeStacks",
            {"StackName": stack.name},
            account=stack.account,
            region=stack.region,
            timeout_s=timeout_s,
        )
    except AwsError as error:
        if error.code == "ValidationError" and "does not exist" in error.message:
            raise missing from error
        raise
    stacks = response.get("Stacks") or ()
    if not stacks:
        raise missing
    description: dict[str, Any] = stacks[0]
    return description


def missing_output(
    aws: AwsApi, stack: StackReference, key: str, outputs: Mapping[str, str], noun: str = "output"
) -> str:
    """Return the sentence for an output or resource that a stack does not have, with a similar one or all."""
    hint = did_you_mean(key, outputs)
    return f"stack {stack.name} in {region_of(aws, stack)} has no {noun} {key}{hint}; it has {listing(sorted(outputs))}"


def outputs_of(stack: Mapping[str, Any]) -> dict[str, str]:
    """Return the outputs of a stack description, key → value."""
    return {output["OutputKey"]: output.get("OutputValue", "") for output in stack.get("Outputs") or ()}


def region_of(aws: AwsApi, stack: StackReference) -> str:
    """Return the region of a stack, for messages."""
    return stack.region or aws.region_name(stack.account) or "no region"
