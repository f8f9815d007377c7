"""A trace as GetTraceSummaries lists it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prodwatch.demo.aws.xray.root_causes import flagged_causes, time_causes
from prodwatch.demo.aws.xray.segment_document import ServiceId, duration_s, end_s, flag, http, service_id, walk
from prodwatch.demo.aws.xray.trace import Trace


def summary(trace: Trace, account: str) -> dict[str, Any]:
    """Return the TraceSummary; faults and errors are those of the root, a throttle that of any segment."""
    root = trace.root
    document: dict[str, Any] = {
        "Id": trace.id,
        "StartTime": trace.start_s,
        "Duration": round(trace.duration_s, 3),
        "HasFault": root is not None and flag(root, "fault"),
        "HasError": root is not None and flag(root, "error"),
        "HasThrottle": any(flag(segment, "throttle") for segment in trace.segments),
        "IsPartial": trace.partial,
        "Http": _http(trace),
        "Annotations": _annotations(trace, account),
        "Users": _users(trace, account),
        "ServiceIds": _services((service for service, _ in trace.services()), account),
        "ResourceARNs": [{"ARN": arn} for arn in _unique(segment.get("resource_arn") for segment in trace.segments)],
        "InstanceIds": [{"Id": segment} for segment in _unique(_ec2(trace, "instance_id"))],
        "AvailabilityZones": [{"Name": segment} for segment in _unique(_ec2(trace, "availability_zone"))],
        "FaultRootCauses": flagged_causes(trace, "fault", account),
        "ErrorRootCauses": flagged_causes(trace, "error", account),
        "ResponseTimeRootCauses": time_causes(trace, account),
        "Revision": trace.revision,
    }
    if root is not None:
        document["EntryPoint"] = service_id(root).document(account)
        if end_s(root) is not None:
            document["ResponseTime"] = round(duration_s(root), 3)
    return document


def _unique(values: Iterable[Any]) -> list[str]:
    return list(dict.fromkeys(str(value) for value in values if value))


def _ec2(trace: Trace, key: str) -> list[Any]:
    blocks = [segment.get("aws") for segment in trace.segments]
    machines = [block.get("ec2") for block in blocks if isinstance(block, dict)]
    return [machine.get(key) for machine in machines if isinstance(machine, dict)]


def _http(trace: Trace) -> dict[str, Any]:
    if trace.root is None:
        return {}
    request, response = http(trace.root, "request"), http(trace.root, "response")
    members = {
        "HttpURL": request.get("url"),
        "HttpMethod": request.get("method"),
        "UserAgent": request.get("user_agent"),
        "ClientIp": request.get("client_ip"),
        "HttpStatus": response.get("status"),
    }
    return {key: value for key, value in members.items() if value is not None}


def _services(services: Iterable[ServiceId], account: str) -> list[dict[str, Any]]:
    return [service.document(account) for service in sorted(set(services))]


def _annotation_value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"BooleanValue": value}
    if isinstance(value, int | float):
        return {"NumberValue": float(value)}
    return {"StringValue": str(value)}


def _annotations(trace: Trace, account: str) -> dict[str, Any]:
    annotations: dict[str, dict[str, tuple[Any, set[ServiceId]]]] = {}
    for segment in trace.segments:
        for entity in walk(segment):
            for key, value in (entity.get("annotations") or {}).items():
                entry = annotations.setdefault(str(key), {}).setdefault(repr(value), (value, set()))
                entry[1].add(service_id(segment))
    return {
        key: [
            {"AnnotationValue": _annotation_value(value), "ServiceIds": _services(services, account)}
            for value, services in values.values()
        ]
        for key, values in annotations.items()
    }


def _users(trace: Trace, account: str) -> list[dict[str, Any]]:
    users: dict[str, set[ServiceId]] = {}
    for segment in trace.segments:
        if user := segment.get("user"):
            users.setdefault(str(user), set()).add(service_id(segment))
    return [{"UserName": name, "ServiceIds": _services(services, account)} for name, services in users.items()]
