"""Reads one CloudFormation stack, without a cache."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prodwatch.aws.default_account_and_region import ScopedAws
from prodwatch.aws.interface import AwsError
from prodwatch.aws.stacks import outputs_of
from prodwatch.model.environment import StackReference
from prodwatch.model.status import Reason, Status
from prodwatch.probes.aws_support import AwsCalls, ask, refuse
from prodwatch.probes.base import Observation, ProbeContext


async def probe(params: Mapping[str, Any], context: ProbeContext) -> Observation:
    """Describe the stack with this alias in `[stacks]`, else with this name."""
    return await ask(params, context, "cloudformation", _describe)


async def _describe(calls: AwsCalls) -> Observation:
    name = str(calls.params.get("stack") or calls.params["name"])
    known = calls.context.environment.stacks.get(name, StackReference(name=name))
    calls.aws = ScopedAws(calls.aws, known.account, known.region)
    try:
        answer = await calls.call("DescribeStacks", {"StackName": known.name})
        stack = (answer.get("Stacks") or [{}])[0]
    except AwsError as error:
        if error.code != "ValidationError" or "does not exist" not in error.message:
            raise
        calls.met(error)
        stack = {}
    if not stack:
        where = known.region or calls.aws.region_name() or "no region"
        raise refuse(Status.FAIL, Reason.API_ERROR, f'there is no stack "{known.name}" in {where}')
    document = {"status": stack["StackStatus"], "outputs": outputs_of(stack)}
    updated = stack.get("LastUpdatedTime") or stack.get("CreationTime")
    if updated is not None:
        document["updated"] = updated
    return calls.answer(document)
