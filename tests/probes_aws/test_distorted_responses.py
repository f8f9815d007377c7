"""Every operation of every AWS probe, with each body that is not its document and each member left out.

The oracle: a distorted response never turns a false claim into a pass or a true one into a fail.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import pytest

from prodwatch.aws.credentials import shared_loader
from prodwatch.clock import SystemClock
from prodwatch.demo.aws import CompositeAlarm, Deployment, DeploymentStep, Fault, Function, FunctionVersion, MetricAlarm
from prodwatch.demo.aws.faults import ForeignBody
from prodwatch.demo.workload import Invocation, InvocationResult
from prodwatch.model.environment import ReleaseTarget
from prodwatch.probes.base import Observation
from prodwatch.runner.step.conclusion import conclude_judged
from prodwatch.runner.step.expectations import NOT_JUDGED, JudgingContext, compile_assertions, judge
from tests.probes_aws.test_alarm_stack_release import TEMPLATE
from tests.probes_aws.test_dynamodb import table
from tests.probes_aws.test_logs import write
from tests.probes_aws.test_metric import points
from tests.probes_aws.test_s3 import bucket
from tests.probes_aws.test_sqs import queue
from tests.probes_aws.test_traces import put as put_trace
from tests.support.examples import slow_but

UNDECIDED = frozenset({"error", "inconclusive", "skipped"})
BODIES: tuple[ForeignBody, ...] = ("page", "cut", "empty", "foreign", "error")
SAYS_NOTHING_THERE = frozenset({"dynamodb:GetItem Item", "sqs:ReceiveMessage Messages"})
"""Members by whose absence AWS itself reports that nothing is there: no other member shows that one is missing."""
OPTIONAL_READS = frozenset({"sqs cloudwatch", "release codedeploy"})
"""Reads of a check type beside the one that its claims are about."""
ANY_BYTES = frozenset({"s3:GetObject", "s3:HeadObject", "lambda:Invoke"})
"""Operations whose body is the target's own, or that have none: behind AWS's headers every body is whole."""


class Case(NamedTuple):
    """A check, and claims that its target makes true or false."""

    type: str
    params: dict[str, Any]
    true: tuple[str, ...]
    false: tuple[str, ...]


async def logs(bench: Any) -> Case:
    group = write(bench, "ERROR one", "ERROR two", age_s=30)
    return Case(
        "logs", {"group": group, "filter": "ERROR"}, ("count == 2", "count > 0"), ("count == 0", "lines absent")
    )


async def logs_prefix(bench: Any) -> Case:
    group = write(bench, "ERROR one", age_s=30)
    return Case("logs", {"group": f"{group}*"}, ("count == 1",), ("count == 0", "length(lines) == 0"))


async def dynamodb_get(bench: Any) -> Case:
    name = await table(bench, {"id": "1", "sk": 1, "n": 5})
    return Case("dynamodb", {"table": name, "key": {"id": "1", "sk": 1}}, ("item.n == 5",), ("item absent",))


async def dynamodb_query(bench: Any) -> Case:
    name = await table(bench, {"id": "1", "sk": 1}, {"id": "1", "sk": 2})
    params = {"table": name, "operation": "query", "key": {"id": "1"}}
    return Case("dynamodb", params, ("count == 2", "item exists"), ("count == 0", "item absent"))


async def dynamodb_count(bench: Any) -> Case:
    name = await table(bench, {"id": "1", "sk": 1})
    return Case("dynamodb", {"table": name, "operation": "count"}, ("count == 1",), ("count == 0",))


async def metric(bench: Any) -> Case:
    params = points(bench, "Orders", 1, 2) | {"stat": "Sum", "missing": "zero"}
    return Case("metric", params, ("value == 3", "points > 0"), ("value == 0", "points == 0"))


async def alarm(bench: Any) -> Case:
    for name in "ab":
        bench.world.alarms.put(MetricAlarm(name=f"{bench.name}-{name}", namespace="S", metric="M", missing="ignore"))
    bench.world.alarms.put(CompositeAlarm(name=f"{bench.name}-c", rule=f'ALARM("{bench.name}-b")'))
    bench.world.alarms.set_state(f"{bench.name}-a", "OK", "fine")
    bench.world.alarms.set_state(f"{bench.name}-b", "ALARM", "too many errors")
    params = {"prefix": f"{bench.name}-"}
    return Case("alarm", params, ("length(alarms) == 3",), ("length(firing) == 0", "all alarms[].state == 'OK'"))


async def alarm_names(bench: Any) -> Case:
    case = await alarm(bench)
    return case._replace(params={"names": [f"{bench.name}-a", f"{bench.name}-b"]}, true=("length(alarms) == 2",))


async def stack(bench: Any) -> Case:
    await bench.call("cloudformation", "CreateStack", {"StackName": bench.name, "TemplateBody": TEMPLATE})
    return Case("stack", {"name": bench.name}, ("status == 'CREATE_COMPLETE'",), ("status != 'CREATE_COMPLETE'",))


async def depth(bench: Any) -> Case:
    url = await queue(bench, "a", "b")
    return Case("sqs", {"queue": url, "operation": "depth"}, ("depth == 2",), ("depth == 0",))


async def s3_get(bench: Any) -> Case:
    name = await bucket(bench, doc=b'{"total": 1.10}')
    return Case("s3", {"bucket": name, "key": "doc"}, ("exists == true", "size == 15"), ("exists == false",))


async def s3_head(bench: Any) -> Case:
    return (await s3_get(bench))._replace(params={"bucket": bench.name, "key": "doc", "operation": "head"})


async def s3_list(bench: Any) -> Case:
    name = await bucket(bench, doc=b"x")
    return Case("s3", {"bucket": name, "operation": "list"}, ("exists == true",), ("exists == false", "keys == []"))


async def function(bench: Any) -> Case:
    bench.world.functions.put(Function(name=bench.name, versions=[FunctionVersion(version="7", published_s=0)]))

    async def invoke(_: Invocation) -> InvocationResult:
        return InvocationResult(payload=b'{"ok": true}', executed_version="7", request_id="r")

    bench.world.on_invoke = invoke
    return Case("lambda", {"function": bench.name}, ("payload.ok == true",), ("payload.ok == false", "payload absent"))


async def release(bench: Any) -> Case:
    bench.world.functions.put(
        Function(name=bench.name, versions=[FunctionVersion(version=each, published_s=0) for each in ("7", "8")])
    )
    bench.world.functions.put_alias(bench.name, "live", "7", {})
    bench.environment = msgspec.structs.replace(bench.environment, release=ReleaseTarget(codedeploy=(bench.name,)))
    steps = (DeploymentStep(after_s=1, status="InProgress"), DeploymentStep(after_s=60, status="Failed"))
    bench.world.deployments.put(
        Deployment(
            id=f"d-{bench.name.upper()[:9]}",
            application=bench.name,
            group="orders",
            function=bench.name,
            alias="live",
            current="7",
            target="8",
            created_s=SystemClock().now().timestamp() - 600,
            events=steps,
        )
    )
    params = {"function": bench.name, "alias": "live"}
    return Case("release", params, ("version == '7'", "state == 'failed'"), ("state == 'stable'", "deployment absent"))


async def traces(bench: Any) -> Case:
    put_trace(bench, age_s=60)
    params = {"filter": f'service("{bench.name}")', "min": 0}
    return Case("traces", params, ("count == 1",), ("count == 0", "length(segments) == 0"))


async def trace(bench: Any) -> Case:
    id_ = put_trace(bench, age_s=60)
    return Case("traces", {"id": id_}, ("count == 1", "slowest.name == 'DynamoDB'"), ("count == 0",))


async def any_call(bench: Any) -> Case:
    await alarm(bench)
    params = {"service": "cloudwatch", "operation": "DescribeAlarms", "params": {"AlarmNamePrefix": bench.name}}
    firing = "length(MetricAlarms[?StateValue == 'ALARM'])"
    return Case("aws", params, (f"{firing} == 1",), (f"{firing} == 0",))


async def any_pages(bench: Any) -> Case:
    name = await table(bench, {"id": "1", "sk": 1})
    params = {"service": "dynamodb", "operation": "Scan", "paginate": True, "params": {"TableName": name}}
    return Case("aws", params, ("length(Items) == 1",), ("length(Items) == 0", "Items absent"))


CASES = (
    logs, logs_prefix, dynamodb_get, dynamodb_query, dynamodb_count, metric, alarm, alarm_names, stack, depth, s3_get,
    s3_head, s3_list, function, release, traces, trace, any_call, any_pages,
)  # fmt: skip
FAST = (logs, dynamodb_query, metric, alarm, depth, s3_get, function, trace)
"""One case per service, with the fewest responses."""


def status(found: Observation, claim: str) -> str:
    """Return the status of a check whose only claim this is."""
    expectations = compile_assertions((claim,), "expect")
    failure = found.failure
    if failure is not None and not (found.document and expectations[0].fields & set(failure.answered_by)):
        return failure.status
    context = JudgingContext(
        values={},
        now=datetime.now(UTC),
        complete=found.complete,
        doubt=found.doubt,
        load_schema=lambda _path: {},
        redact=str,
    )
    concluded = conclude_judged(judge(expectations, found.document, context), NOT_JUDGED).status
    return found.unread.status if concluded == "inconclusive" and found.unread is not None else concluded


def members(service: str, operation: str) -> Iterator[str]:
    """Yield the path of each member of an operation's response, through lists, three levels deep."""
    from botocore.model import ServiceModel

    model = ServiceModel(shared_loader().load_service_model(service, "service-2"), service)
    shape = model.operation_model(operation).output_shape
    if shape is not None:
        yield from _below(shape, "", 3)


def _below(shape: Any, prefix: str, depth_left: int) -> Iterator[str]:
    if shape.type_name == "list":
        yield from _below(shape.member, prefix, depth_left)
    elif shape.type_name == "structure" and depth_left:
        for name, member in shape.members.items():
            path = prefix + member.serialization.get("name", name)
            yield path
            yield from _below(member, f"{path}.", depth_left - 1)


async def operations(bench: Any, case: Case) -> list[tuple[str, str]]:
    """Return the operations that the check calls, and prove its claims on undistorted responses."""
    bench.world.calls.clear()
    found = await bench.run(case.type, case.params)
    assert {claim: status(found, claim) for claim in case.true} == dict.fromkeys(case.true, "pass")
    assert {claim: status(found, claim) for claim in case.false} == dict.fromkeys(case.false, "fail")
    return list(dict.fromkeys(bench.world.calls))


async def distorted(bench: Any, case: Case, fault: Fault) -> Mapping[str, str]:
    bench.world.faults.replace([fault])
    bench.aws.limiter.reset()
    found = await bench.run(case.type, case.params)
    bench.world.faults.clear()
    return {claim: status(found, claim) for claim in (*case.true, *case.false)}


@pytest.mark.parametrize("make", slow_but(FAST, CASES), ids=lambda make: make.__name__)
async def test_a_body_that_is_not_the_operations_document_decides_nothing(make: Any, bench: Any) -> None:
    case = await make(bench)
    for service, operation in await operations(bench, case):
        for body in BODIES:
            if f"{service}:{operation}" in ANY_BYTES:
                continue
            found = await distorted(
                bench, case, Fault(operation=f"{service}:{operation}", kind="foreign_body", body=body)
            )
            if f"{case.type} {service}" in OPTIONAL_READS:
                allowed = {claim: UNDECIDED | {"pass" if claim in case.true else "fail"} for claim in found}
            else:
                allowed = dict.fromkeys(found, UNDECIDED)
            assert all(found[claim] in allowed[claim] for claim in found), (operation, body, found)


@pytest.mark.parametrize("make", slow_but(FAST, CASES), ids=lambda make: make.__name__)
async def test_a_member_left_out_never_turns_a_claim(make: Any, bench: Any) -> None:
    case = await make(bench)
    for service, operation in await operations(bench, case):
        for member in members(service, operation):
            if f"{service}:{operation} {member}" in SAYS_NOTHING_THERE:
                continue
            fault = Fault(operation=f"{service}:{operation}", kind="missing_member", member=member)
            found = await distorted(bench, case, fault)
            turned = {
                claim: status
                for claim, status in found.items()
                if status not in UNDECIDED | {"pass" if claim in case.true else "fail"}
            }
            assert turned == {}, f"{operation} without {member}"


async def put_item(bench: Any) -> Case:
    name = await table(bench)
    params = {"table": name, "operation": "put", "item": {"id": "1", "sk": 1}}
    return Case("dynamodb", params, ("count == 1",), ())


async def delete_item(bench: Any) -> Case:
    name = await table(bench)
    params = {"table": name, "operation": "delete", "key": {"id": "1", "sk": 1}}
    return Case("dynamodb", params, ("deleted == false",), ())


async def update_item(bench: Any) -> Case:
    name = await table(bench)
    params = {"table": name, "operation": "update", "key": {"id": "1", "sk": 1}, "item": {"n": 5}}
    return Case("dynamodb", params, ("item.n == 5",), ())


async def send(bench: Any) -> Case:
    url = await queue(bench)
    return Case("sqs", {"queue": url, "operation": "send", "body": "x"}, ("message exists",), ())


async def peek(bench: Any) -> Case:
    url = await queue(bench, "theirs")
    return Case("sqs", {"queue": url, "operation": "peek"}, ("foreign == 1",), ())


@pytest.mark.parametrize("make", [put_item, delete_item, update_item, send, peek], ids=lambda make: make.__name__)
async def test_what_aws_did_not_confirm_never_passes(make: Any, bench: Any) -> None:
    case = await make(bench)
    for service, operation in await operations(bench, case):
        for body in BODIES:
            if operation == "ChangeMessageVisibilityBatch":
                continue  # handing back is not what the check claims
            fault = Fault(operation=f"{service}:{operation}", kind="foreign_body", body=body)
            found = await distorted(bench, case, fault)
            assert set(found.values()) <= UNDECIDED, (operation, body, found)
