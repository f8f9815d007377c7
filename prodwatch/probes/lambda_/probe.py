"""Invokes a function exactly once per copy, and returns Lambda's and the function's responses."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from prodwatch.assertions import MISSING
from prodwatch.assertions.value_equality_and_order import one_for_all
from prodwatch.aws.interface import AwsError
from prodwatch.aws.request_hooks import traced
from prodwatch.formats.lambda_record import LineParser, parse_report
from prodwatch.model.quantity import Duration
from prodwatch.model.signal import LambdaReport
from prodwatch.model.status import Reason, Status
from prodwatch.probes.aws_support import AwsCalls, ask, failure_of, project_file, refuse, seconds, to_json, wire_time
from prodwatch.probes.base import Failure, Observation, ProbeContext
from prodwatch.probes.decode import read_json

_KINDS = {"sync": "RequestResponse", "async": "Event", "dry-run": "DryRun"}
_TOLD = {
    "function_error": "FunctionError",
    "executed_version": "ExecutedVersion",
    "durable_execution_arn": "DurableExecutionArn",
}
_NEVER_SENT = frozenset(("EndpointConnectionError", "ConnectTimeoutError", "ProxyConnectionError"))
"""Failures after which the function certainly did not run."""
_CONCURRENCY, _RATE = "is at its concurrency limit", "is at its limit of invocations per second"
OWN_LIMITS = {
    "ConcurrentInvocationLimitExceeded": _CONCURRENCY,
    "ReservedFunctionConcurrentInvocationLimitExceeded": _CONCURRENCY,
    "FunctionInvocationRateLimitExceeded": _RATE,
    "ReservedFunctionInvocationRateLimitExceeded": _RATE,
    "ConcurrentSnapshotCreateLimitExceeded": "cannot start, because too many snapshots are being created,",
}
"""Reason of a 429 about the function's own capacity → its meaning; the other reasons are about our call rate."""


async def probe(params: Mapping[str, Any], context: ProbeContext) -> Observation:
    """Invoke `params["function"]`; `results` has one document per copy."""
    return await ask(params, context, "lambda", _invoke)


async def _invoke(calls: AwsCalls) -> Observation:
    params = calls.params
    request = _request(params, calls.context)
    copies, stagger_s = int(params.get("copies") or 1), seconds(params.get("stagger"), 0)
    clock = calls.context.clock
    if copies > 1:
        # The client is created once, before the first copy: the intervals are between requests.
        await calls.aws.client("lambda")
    sent = [asyncio.Event() for _ in range(copies)]
    refused: list[AwsError] = []

    async def one(number: int) -> dict[str, Any]:
        if number and stagger_s:
            await sent[number - 1].wait()
            await clock.sleep(stagger_s)
        started_at = clock.now()
        sent[number].set()
        try:
            result = await _once(calls, request)
        except AwsError as error:
            calls.met(error)
            refused.append(error)
            result = {"error": {"code": error.code, "message": error.message}}
        return {"started_at": started_at, **result}

    calls.traced = True
    results = await asyncio.gather(*(one(number) for number in range(copies)))
    document = _document(results)
    version = version_of(results, str(params.get("qualifier")))
    failures = [_failure(each, calls, alone=copies == 1) for each in refused]
    # One copy that the function itself refused proves more than another that AWS did not deliver.
    failure = next((each for each in failures if each.status is Status.FAIL), next(iter(failures), None))
    if failure is not None and failure.answered_by and copies > 1:
        failure = replace(failure, answered_by=(*failure.answered_by, "results.error"))
    return calls.answer(document, failure=failure, version=version, complete=not refused)


def _document(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return each field's value that all copies share, else one that decides nothing."""
    fields: dict[str, Any] = {"results": results}
    for name in dict.fromkeys(name for each in results for name in each):
        what = f"that of one of {len(results)} copies"
        fields[name] = one_for_all([each.get(name, MISSING) for each in results], name, what, f"results[].{name}")
    return fields


def version_of(results: Sequence[Mapping[str, Any]], qualifier: str) -> str | None:
    """Return the version that ran: that of all copies, or of one that did not run the version asked for."""
    versions: set[str | None] = {each.get("executed_version") for each in results}
    if len(versions) == 1:
        return versions.pop()
    others = sorted(each for each in versions if each not in {qualifier, None})
    return others[0] if qualifier in versions and others else None


def _request(params: Mapping[str, Any], context: ProbeContext) -> dict[str, Any]:
    kind = _KINDS[params.get("invocation") or "sync"]
    request: dict[str, Any] = {"FunctionName": params["function"], "InvocationType": kind}
    if params.get("qualifier"):
        request["Qualifier"] = str(params["qualifier"])
    if params.get("tenant_id"):
        request["TenantId"] = str(params["tenant_id"])
    if kind == "RequestResponse":
        request["LogType"] = "Tail"
    if params.get("payload_file"):
        request["Payload"] = project_file(context, params["payload_file"], "payload_file")
    elif "payload" in params:
        request["Payload"] = to_json(params["payload"], "payload")
    return request


async def _once(calls: AwsCalls, request: Mapping[str, Any]) -> dict[str, Any]:
    with traced(calls.context.trace_id):
        # Never retried: a second invocation could be a second order.
        answer = await calls.call("Invoke", request, retries=False)
    document: dict[str, Any] = {
        "status_code": answer["StatusCode"],
        "latency": wire_time(answer) or calls.latency(),
    }
    request_id = answer.get("ResponseMetadata", {}).get("RequestId")
    if request_id:
        document["request_id"] = request_id
    if request["InvocationType"] == "RequestResponse":
        document["payload"] = _payload(answer.get("Payload") or b"")
    for key, name in _TOLD.items():
        if answer.get(name):
            document[key] = answer[name]
    if answer.get("LogResult"):
        document |= _log(base64.b64decode(answer["LogResult"]).decode(errors="replace"))
    return document


def _payload(body: bytes) -> Any:
    if not body:
        return None
    payload = read_json(body)
    if payload.beyond_limits:
        raise refuse(Status.ERROR, Reason.LIMIT, f"the function's payload {payload.problem}")
    return payload.fields["json"] if payload.problem is None else body.decode(errors="replace")


def _log(tail: str) -> dict[str, Any]:
    document: dict[str, Any] = {"log_tail": tail}
    report = parse_report(tail) or _json_report(tail)
    if report is not None:
        document["duration"] = Duration.from_ms(report.duration_ms)
        document["billed"] = Duration.from_ms(report.billed_ms)
        if report.init_ms is not None:
            document["init"] = Duration.from_ms(report.init_ms)
    return document


def _json_report(tail: str) -> LambdaReport | None:
    """Return the report of a function that logs in JSON; the tail may begin in the middle of a line."""
    for line in reversed(tail.splitlines()):
        if line.startswith("{") and '"platform.report"' in line:
            return LineParser().parse(line, group="", timestamp_ms=0).report
    return None


def _failure(error: AwsError, calls: AwsCalls, *, alone: bool) -> Failure:
    function = calls.params["function"]
    cause = getattr(error.__cause__, "response", None) or {}
    reason = str(cause.get("Reason") or error.message)
    limit = next((meaning for name, meaning in OWN_LIMITS.items() if name in reason), None)
    if error.reason is Reason.THROTTLED and limit is not None:
        # The function has no capacity left, so users of production are refused, too.
        return Failure(
            status=Status.FAIL,
            reason=Reason.THROTTLED,
            message=f'function "{function}" {limit} and refused the invocation ({error.code})',
            transient=alone,
            answered_by=("error",),
        )
    if error.reason is Reason.TIMEOUT and error.code not in _NEVER_SENT:
        return Failure(
            status=Status.FAIL,
            reason=Reason.TIMEOUT,
            message=f'function "{function}" did not answer within {calls.context.timeout_s:g} s; it may still run',
        )
    failure = failure_of(error)
    if failure.transient and not (alone and (error.reason is Reason.THROTTLED or error.code in _NEVER_SENT)):
        return Failure(
            status=failure.status, reason=failure.reason, message=failure.message, answered_by=failure.answered_by
        )
    return failure
