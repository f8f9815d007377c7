"""What CloudFormation stacks give out: each described once per run, however many ask, failures asked anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prodwatch.aws.api import AwsApi, AwsError
from prodwatch.aws.single_flight import Once
from prodwatch.model.environment import StackReference


class Stacks:
    """Outputs of stacks, cached for the life of the object."""

    def __init__(self, aws: AwsApi) -> None:
        self._aws = aws
        self._found: dict[StackReference, Once[Mapping[str, str]]] = {}

    async def outputs(self, stack: StackReference) -> Mapping[str, str]:
        """Return output key → value; LookupError when there is no such stack, AwsError when nobody could say."""
        if stack not in self._found:
            self._found[stack] = Once(lambda: self._read(stack))
        return await self._found[stack].get()

    async def output(self, stack: StackReference, key: str) -> str:
        """Return one output; LookupError, with what there is instead, when the stack or the key is missing."""
        outputs = await self.outputs(stack)
        if key not in outputs:
            known = ", ".join(sorted(outputs)) or "none"
            raise LookupError(
                f"stack {stack.name} in {region_of(self._aws, stack)} has no output {key}; it has {known}"
            )
        return outputs[key]

    async def _read(self, stack: StackReference) -> Mapping[str, str]:
        return outputs_of(await describe(self._aws, stack))


async def describe(aws: AwsApi, stack: StackReference, *, timeout_s: float | None = None) -> dict[str, Any]:
    """Return one stack as DescribeStacks tells it, asked afresh; LookupError when there is no such stack."""
    missing = LookupError(f'there is no stack "{stack.name}" in {region_of(aws, stack)}')
    try:
        answer = await aws.call(
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
    found = answer.get("Stacks") or ()
    if not found:
        raise missing
    stack_found: dict[str, Any] = found[0]
    return stack_found


def outputs_of(stack: Mapping[str, Any]) -> dict[str, str]:
    """Return the outputs of a described stack, key → value."""
    return {each["OutputKey"]: each.get("OutputValue", "") for each in stack.get("Outputs") or ()}


def region_of(aws: AwsApi, stack: StackReference) -> str:
    """Return where a stack is looked for, as people say it."""
    return stack.region or aws.region_name(stack.account) or "no region"
