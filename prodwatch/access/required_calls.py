"""AWS calls that a project's files require, each with its purpose; derived from the files, without sending any."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec.structs import replace

from prodwatch.aws.iam_actions import TRANSACTED
from prodwatch.model.environment import (
    AlarmTarget,
    Environment,
    FunctionTarget,
    LogTarget,
    MetricTarget,
    SecretReference,
    StackReference,
)
from prodwatch.model.identity import Place
from prodwatch.probes.mutation_rules import aws_mutation
from prodwatch.probes.registry import spec
from prodwatch.probes.required_calls import ProbeCall, calls_of
from prodwatch.runner.step.compiled import CheckCompiler, CompiledStep
from prodwatch.runner.values.template_scope import ReferenceFinder
from prodwatch.runner.values.watched_targets import watched_texts
from prodwatch.settings import Project
from prodwatch.settings.template import Reference, TemplateSyntaxError, UnresolvedError, parse_template, value_of
from prodwatch.settings.template_filters import follow_path
from prodwatch.sources.build_sources import log_targets, spans_target

ANY = "*"
"""Placeholder for a value that is known only at run time."""

_RELEASE_READS = ("ListDeploymentGroups", "ListDeployments", "BatchGetDeployments")
_DEPLOYMENT_READS = (
    *_RELEASE_READS,
    "GetDeploymentConfig",
    "GetDeploymentGroup",
    "ListDeploymentTargets",
    "GetDeploymentTarget",
)
_CONFIGURATION_READS = ("ListApplications", "ListEnvironments", "ListDeployments", "GetDeployment")
_SIGNED = {"execute-api": "Invoke", "lambda": "InvokeFunctionUrl"}
"""Signing name of an HTTP request → the operation that IAM checks."""
_NAMED_BY = {
    "cloudformation": ("StackName",),
    "lambda": ("FunctionName",),
    "logs": ("logGroupName",),
    "secretsmanager": ("SecretId",),
    "sqs": ("QueueUrl", "QueueName"),
    "ssm": ("Name",),
}
"""Parameters of an `aws` check that name the one resource its call is about."""


_Place = StackReference | SecretReference | FunctionTarget | LogTarget | MetricTarget | AlarmTarget | Place | None
"""A part of an environment file that can have its own account and region."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequiredCall:
    """One operation on one resource, for one purpose."""

    service: str
    operation: str
    resource: str
    """Name in the files; `*` for all, or for a part that is known only at run time."""
    purpose: str
    """Feature that needs the call: `check orders/…`, `logs`, `secret db`."""
    account: str | None = None
    region: str | None = None
    optional: bool = False
    mutates: bool = False
    params: Mapping[str, Any] | None = None
    """Parameters of the call, for an `aws` check that only reads and whose parameters are all known; else None."""
    request: Mapping[str, Any] | None = None
    """Parameters of the call of an `aws` check, unknown values as `*`: some decide which IAM actions it needs."""


def required_calls(
    project: Project, environ: Mapping[str, str], *, outputs: Mapping[str, Mapping[str, str]] | None = None
) -> list[RequiredCall]:
    """Return every call made by the checks, live signals, stacks and secrets of `project`.

    `outputs` are the known stack outputs, alias → key → value; they narrow resources.
    """
    environment = project.environment
    filler = _Filler(environ, environment.vars, {}, outputs or {})
    return [
        *_of_environment(_filled(environment, filler)),
        *_of_resources(project),
        *_of_checks(project, environ, outputs or {}),
    ]


def _of_resources(project: Project) -> Iterable[RequiredCall]:
    """Yield the reading of the resources of every stack that a `${resource.…}` names."""
    environment = project.environment
    compiler = CheckCompiler(environment, spec)
    references = set(ReferenceFinder(environment.vars).references_in(watched_texts(environment)))
    for check in (*project.checks, *project.referenced):
        if check.enabled:
            references |= compiler.compile(check).references
    used = {reference.path[0] for reference in references if reference.scope == "resource" and reference.path}
    for alias, stack in environment.stacks.items():
        if alias in used:
            yield _use("cloudformation", "ListStackResources", stack.name, f"stack {alias}", stack)


def _filled(environment: Environment, filler: _Filler) -> Environment:
    """Return the environment with its watched tables filled as far as their values are known."""

    def fill(targets: Iterable[Any]) -> tuple[Any, ...]:
        return tuple(msgspec.convert(filled(each), type(each)) for each in targets)

    def filled(target: Any) -> dict[str, Any]:
        table: dict[str, Any] = filler.fill(msgspec.to_builtins(target))
        if not isinstance(table.get("dimensions", {}), Mapping):
            table["dimensions"] = {}  # one reference to a whole table; no permission depends on it
        return table

    return replace(
        environment,
        functions=fill(environment.functions),
        logs=fill(environment.logs),
        metrics=fill(environment.metrics),
        alarms=fill(environment.alarms),
        release=fill((environment.release,))[0],
    )


def _use(
    service: str, operation: str, resource: str, purpose: str, place: _Place = None, *, optional: bool = False
) -> RequiredCall:
    return RequiredCall(
        service=service,
        operation=operation,
        resource=resource,
        purpose=purpose,
        account=(place.account or None) if place else None,
        region=(place.region or None) if place else None,
        optional=optional,
    )


def _of_environment(environment: Environment) -> Iterable[RequiredCall]:
    for alias, stack in environment.stacks.items():
        yield _use("cloudformation", "DescribeStacks", stack.name, f"stack {alias}", stack)
        yield _use("cloudformation", "DescribeStackEvents", stack.name, "release", stack, optional=True)
    for name, secret in environment.secrets.items():
        if secret.ssm:
            yield _use("ssm", "GetParameter", secret.ssm, f"secret {name}", secret)
        if secret.secretsmanager:
            yield _use("secretsmanager", "GetSecretValue", secret.secretsmanager, f"secret {name}", secret)
    yield from _of_release(environment)
    yield from _of_logs(environment)
    yield from _of_signals(environment)


def _of_release(environment: Environment) -> Iterable[RequiredCall]:
    for function in environment.functions:
        if function.alias:
            yield _use("lambda", "GetAlias", function.name, "release", function)
            yield _use("lambda", "ListEventSourceMappings", function.name, "release", function, optional=True)
        # Gives the only version of a function without alias, and the creation time and hashes of a version.
        yield _use("lambda", "GetFunctionConfiguration", function.name, "release", function)
    for application in environment.release.codedeploy:
        for place in environment.deployment_places:
            for operation in _DEPLOYMENT_READS:
                optional = operation not in _RELEASE_READS
                yield _use("codedeploy", operation, application, "release", place, optional=optional)
            if environment.functions:
                yield from _of_rollback_alarms(place)
    if environment.release.appconfig:
        for operation in _CONFIGURATION_READS:
            # The files name applications, and IAM knows them by id.
            yield _use("appconfig", operation, ANY, "release")
        yield from _of_rollback_alarms()


def _of_rollback_alarms(place: _Place = None) -> Iterable[RequiredCall]:
    """Yield the reading of the alarms that roll a release back: they gate, too."""
    yield _use("cloudwatch", "DescribeAlarms", ANY, "alarms", place)
    yield _use("cloudwatch", "DescribeAlarmHistory", ANY, "alarms", place, optional=True)
    yield _use("cloudwatch", "ListAlarmMuteRules", ANY, "alarms", place, optional=True)


def _of_logs(environment: Environment) -> Iterable[RequiredCall]:
    for target in log_targets(environment):
        if target.group.endswith(ANY) or target.live_tail:
            yield _use("logs", "DescribeLogGroups", target.group, "logs", target)
        if target.live_tail:
            yield _use("logs", "StartLiveTail", target.group, "live tail", target, optional=True)
        yield _use("logs", "FilterLogEvents", target.group, "logs", target)
    for function in environment.functions if environment.compare.insights else ():
        for operation in ("StartQuery", "StopQuery", "GetQueryResults"):
            yield _use("logs", operation, function.group_id.name, "insights", function, optional=True)


def _of_signals(environment: Environment) -> Iterable[RequiredCall]:
    if environment.traces_enabled and (environment.functions or environment.traces_filter):
        for place in environment.trace_places:
            yield _use("xray", "GetTraceSummaries", ANY, "traces", place)
            yield _use("xray", "BatchGetTraces", ANY, "traces", place)
            yield _use("xray", "GetTraceSegmentDestination", ANY, "traces", place, optional=True)
            yield _use("xray", "GetIndexingRules", ANY, "traces", place, optional=True)
            yield _use("xray", "GetServiceGraph", ANY, "service map", place, optional=True)
            yield _use("xray", "GetTraceGraph", ANY, "service map without own requests", place, optional=True)
            spans = spans_target(environment, place)
            if spans is not None:
                # Read only in accounts with Transaction Search, which keeps most spans there.
                yield _use("logs", "FilterLogEvents", spans.group, "spans", spans, optional=True)
    for function in environment.functions:
        yield _use("cloudwatch", "GetMetricData", ANY, "metrics", function)
    for metric in environment.metrics:
        yield _use("cloudwatch", "GetMetricData", ANY, "metrics", metric)
    for alarm in environment.alarms:
        yield _use("cloudwatch", "DescribeAlarms", ANY, "alarms", alarm)
        yield _use("cloudwatch", "DescribeAlarmHistory", ANY, "alarms", alarm, optional=True)
        yield _use("cloudwatch", "ListAlarmMuteRules", ANY, "alarms", alarm, optional=True)


def _of_checks(
    project: Project, environ: Mapping[str, str], outputs: Mapping[str, Mapping[str, str]]
) -> Iterable[RequiredCall]:
    environment = project.environment
    compiler = CheckCompiler(environment, spec)
    for check in (*project.checks, *project.referenced):
        if not check.enabled:
            continue
        compiled = compiler.compile(check)
        filler = _Filler(environ, {**environment.vars, **check.vars}, check.matrix, outputs)
        for step in (*compiled.steps, *compiled.cleanup):
            params = filler.fill(step.definition.params)
            for call in _calls_of_step(step, params, environment):
                yield RequiredCall(
                    service=call.service,
                    operation=call.operation,
                    resource=_stack_name(call, environment),
                    purpose=f"check {check.id}",
                    account=step.definition.account,
                    region=step.definition.region,
                    optional=call.optional,
                    # Reads of a mutating flow are useless without its writes.
                    mutates=step.mutates or check.mutates,
                    params=_known_params(step, params),
                    request=_request(params) if step.type == "aws" else None,
                )


def _calls_of_step(step: CompiledStep, params: dict[str, Any], environment: Environment) -> Iterable[ProbeCall]:
    if step.type == "http":
        auth = params.get("auth")
        signed = auth.get("sigv4") if isinstance(auth, dict) else None
        name = signed.get("service") if isinstance(signed, dict) else None
        return (ProbeCall(name, _SIGNED.get(name, "signed request")),) if isinstance(name, str) and name else ()
    calls: list[ProbeCall] = []
    for each in _operations(step, params):
        calls += calls_of(step.type, each, codedeploy=environment.release.codedeploy)
    if step.type == "aws":
        calls = [ProbeCall(each.service, each.operation, name) for each in calls for name in _named(each, params)]
    return calls


def _operations(step: CompiledStep, params: dict[str, Any]) -> Sequence[dict[str, Any]]:
    """Return the parameters, once for each possible operation when it is known only at run time."""
    operation = params.get("operation")
    key = next((each for each in (step.spec.keys if step.spec else ()) if each.name == "operation"), None)
    if key is None or not key.choices or operation is None or operation in key.choices:
        return (params,)
    return [{**params, "operation": each} for each in key.choices]


def _named(call: ProbeCall, params: Mapping[str, Any]) -> Sequence[str]:
    """Return the resources that the parameters of an `aws` check name; `*` alone where they name none."""
    request = _request(params)
    if call.service == "s3" and isinstance(request.get("Bucket"), str):
        key = request.get("Key")
        return (f"{request['Bucket']}/{key}" if isinstance(key, str) and key else request["Bucket"],)
    if call.service == "dynamodb":
        return sorted(_tables(request)) or (ANY,)
    listed = request.get("SecretIdList") if call.service == "secretsmanager" else None
    if isinstance(listed, list) and all(isinstance(each, str) for each in listed):
        return listed or (ANY,)
    for name in _NAMED_BY.get(call.service, ()):
        if isinstance(request.get(name), str):
            return (request[name],)
    return (call.resource,)


def _tables(value: Any) -> set[str]:
    """Return the tables that a request to DynamoDB names, in batches and transactions too."""
    if isinstance(value, list | tuple):
        return {name for each in value for name in _tables(each)}
    if not isinstance(value, Mapping):
        return set()
    found = {value["TableName"]} if isinstance(value.get("TableName"), str) else set()
    if isinstance(value.get("TableName"), str) and isinstance(value.get("IndexName"), str):
        found = {f"{value['TableName']}/index/{value['IndexName']}"}
    batch = value.get("RequestItems")
    found |= set(batch) if isinstance(batch, Mapping) else set()
    nested = [each for key, each in value.items() if key in {"TransactItems", "Get", *TRANSACTED}]
    return found | _tables(nested)


def _request(params: Mapping[str, Any]) -> Mapping[str, Any]:
    request = params.get("params")
    return request if isinstance(request, Mapping) else {}


def _stack_name(call: ProbeCall, environment: Environment) -> str:
    known = environment.stacks.get(call.resource) if call.service == "cloudformation" else None
    return known.name if known else call.resource


def _known_params(step: CompiledStep, params: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if step.type != "aws" or ANY in _texts(params):
        return None
    # Regardless of the check's `mutates`: only operations that are reads by name are tried.
    if aws_mutation(str(params.get("service", "")), str(params.get("operation", ""))) is not None:
        return None
    return _request(params)


def _texts(value: Any) -> str:
    if isinstance(value, Mapping):
        return "".join(map(_texts, value.values()))
    if isinstance(value, list | tuple):
        return "".join(map(_texts, value))
    return value if isinstance(value, str) else ""


class _Filler:
    """Fills templates with values known before the run, and with `*` otherwise."""

    def __init__(
        self,
        environ: Mapping[str, str],
        variables: Mapping[str, Any],
        matrix: Mapping[str, Any],
        outputs: Mapping[str, Mapping[str, str]],
    ) -> None:
        self._environ = environ
        self._tables: dict[str, Mapping[str, Any]] = {"vars": variables, "matrix": matrix, "stack": outputs}

    def fill(self, value: Any) -> Any:
        """Return `value` with each reference replaced by its value, or by `*`."""
        if isinstance(value, Mapping):
            return {str(self.fill(key)): self.fill(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.fill(each) for each in value]
        if not isinstance(value, str) or "${" not in value:
            return value
        try:
            template = parse_template(value)
        except TemplateSyntaxError:
            return ANY
        if template.is_whole:
            return self._value(template.references[0])
        return "".join(part if isinstance(part, str) else str(self._value(part)) for part in template.parts)

    def _value(self, reference: Reference) -> Any:
        try:
            return value_of(reference, self._look_up)
        except (UnresolvedError, RecursionError, TypeError, ValueError):
            return ANY

    def _look_up(self, reference: Reference) -> Any:
        if reference.scope == "env" and ".".join(reference.path) in self._environ:
            return self._environ[".".join(reference.path)]
        table = self._tables.get(reference.scope, {})
        name = reference.path[0] if reference.path else ""
        if name not in table:
            raise UnresolvedError(reference, "known only at run time")
        try:
            return follow_path(self.fill(table[name]), reference.path[1:])
        except LookupError as error:
            raise UnresolvedError(reference, "known only at run time") from error
