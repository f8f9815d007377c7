"""X-Ray segment documents as API Gateway and Lambda send them; times are epoch seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prodwatch.demo.shop.functions import ACCOUNT, API_ID, API_NAME, API_STAGE, REGION
from prodwatch.demo.shop.log_formats import HandlerException

Document = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A call made by an invocation, as in its subsegment."""

    id: str
    name: str
    start_s: float
    end_s: float
    operation: str = ""
    resource: Mapping[str, str] | None = None
    """`{"table_name": …}` or `{"queue_url": …}`."""
    status: int = 200
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One invocation by any caller."""

    trace_id: str
    service_segment: str
    function_segment: str
    parent_id: str | None
    function: str
    qualifier: str
    """Alias or version of the call; empty for neither."""
    version: str
    request_id: str
    called_s: float
    begin_s: float
    """After a cold start's initialisation."""
    end_s: float
    cold: bool
    steps: Sequence[Step] = ()
    exception: HandlerException | None = None


def function_arn(function: str, qualifier: str = "") -> str:
    """Return the ARN of a function, alias or version."""
    suffix = f":{qualifier}" if qualifier else ""
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}{suffix}"


def api_segment(
    *,
    trace_id: str,
    segment_id: str,
    integration_id: str,
    method: str,
    url: str,
    status: int,
    start_s: float,
    end_s: float,
    target: tuple[str, str],
    around_s: tuple[float, float] = (0.003, 0.001),
) -> Document:
    """Return the HTTP API's segment; `target` is (`Lambda` or `SQS`, function or queue).

    `around_s` is the time that the API itself takes before and after its call of the target.
    """
    service, resource = target
    flags = _flags(status)
    call: Document = {
        "id": integration_id,
        "name": service,
        "namespace": "aws",
        "start_time": round(start_s + around_s[0], 6),
        "end_time": round(end_s - around_s[1], 6),
        "aws": {"operation": "Invoke", "function_name": resource}
        if service == "Lambda"
        else {"operation": "SendMessage", "queue_url": resource},
        "http": {"response": {"status": status}},
        **flags,
    }
    return {
        "trace_id": trace_id,
        "id": segment_id,
        "name": API_NAME,
        "origin": "AWS::ApiGateway::Stage",
        "resource_arn": f"arn:aws:apigateway:{REGION}::/apis/{API_ID}/stages/{API_STAGE}",
        "start_time": start_s,
        "end_time": end_s,
        "http": {"request": {"method": method, "url": url}, "response": {"status": status}},
        "aws": {"account_id": ACCOUNT, "api_gateway": {"api_id": API_ID, "stage": API_STAGE}},
        "annotations": {"aws:api_id": API_ID, "aws:api_stage": API_STAGE},
        "subsegments": [call],
        **flags,
    }


def function_segments(invocation: Invocation) -> tuple[Document, Document]:
    """Return the two segments of an invocation: Lambda the service, and the function itself."""
    fault: Document = {"fault": True} if invocation.exception else {}
    called = {
        "trace_id": invocation.trace_id,
        "id": invocation.service_segment,
        **({"parent_id": invocation.parent_id} if invocation.parent_id else {}),
        "name": invocation.function,
        "origin": "AWS::Lambda",
        "resource_arn": function_arn(invocation.function, invocation.qualifier),
        "start_time": invocation.called_s,
        "end_time": round(invocation.end_s + 0.001, 6),
        "http": {"response": {"status": 200}},
        "aws": {"request_id": invocation.request_id},
        **fault,
    }
    executed: Document = {
        "trace_id": invocation.trace_id,
        "id": invocation.function_segment,
        "parent_id": invocation.service_segment,
        "name": invocation.function,
        "origin": "AWS::Lambda::Function",
        "resource_arn": function_arn(invocation.function, invocation.version),
        "service": {"version": invocation.version},
        "start_time": invocation.begin_s,
        "end_time": invocation.end_s,
        "aws": {"account_id": ACCOUNT, "function_arn": function_arn(invocation.function, invocation.version)},
        "annotations": {"release": invocation.version, "cold_start": invocation.cold},
        "subsegments": _phases(invocation),
        **fault,
        **_cause(invocation),
    }
    return called, executed


def _phases(invocation: Invocation) -> list[Document]:
    base = int(invocation.function_segment, 16)
    phases: list[Document] = []
    if invocation.cold:
        phases.append(
            {
                "id": f"{base ^ 1:016x}",
                "name": "Initialization",
                "start_time": invocation.called_s,
                "end_time": invocation.begin_s,
            }
        )
    work: Document = {
        "id": f"{base ^ 2:016x}",
        "name": "Invocation",
        "start_time": invocation.begin_s,
        "end_time": round(invocation.end_s - 0.0005, 6),
        **({"fault": True} if invocation.exception else {}),
        **_cause(invocation),
    }
    if invocation.steps:
        work["subsegments"] = [_call(step) for step in invocation.steps]
    overhead = {
        "id": f"{base ^ 3:016x}",
        "name": "Overhead",
        "start_time": round(invocation.end_s - 0.0005, 6),
        "end_time": invocation.end_s,
    }
    return [*phases, work, overhead]


def _call(step: Step) -> Document:
    return {
        "id": step.id,
        "name": step.name,
        "namespace": "aws",
        "start_time": step.start_s,
        "end_time": step.end_s,
        "aws": {
            "operation": step.operation,
            "region": REGION,
            **({"request_id": step.request_id} if step.request_id else {}),
            **(step.resource or {}),
        },
        "http": {"response": {"status": step.status}},
        **_flags(step.status),
    }


def _cause(invocation: Invocation) -> Document:
    exception = invocation.exception
    if exception is None:
        return {}
    return {
        "cause": {
            "working_directory": "/var/task",
            "exceptions": [
                {
                    "id": invocation.function_segment,
                    "type": exception.type,
                    "message": exception.message,
                    "stack": [
                        {"path": file, "line": line, "label": label}
                        for file, line, label, _ in reversed(exception.frames)
                    ],
                }
            ],
        }
    }


def _flags(status: int) -> Document:
    if status >= 500:
        return {"fault": True}
    if status == 429:
        return {"error": True, "throttle": True}
    return {"error": True} if status >= 400 else {}
