"""One scripted event of a CloudFormation stack."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StackEvent:
    """An event that DescribeStackEvents lists from wall time `at_s` on.

    An event of type `AWS::CloudFormation::Stack` whose logical id is the stack's name also sets the status in
    DescribeStacks.
    """

    at_s: float
    logical_id: str
    type: str
    status: str
    """`UPDATE_IN_PROGRESS`, `UPDATE_COMPLETE`, `UPDATE_ROLLBACK_IN_PROGRESS` …"""
    physical_id: str = ""
    reason: str | None = None
