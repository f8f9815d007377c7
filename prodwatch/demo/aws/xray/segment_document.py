"""X-Ray segment documents: flags, times, children and services."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

Segment = Mapping[str, Any]
FLAGS = ("fault", "error", "throttle")


class ServiceId(NamedTuple):
    """A node of the service map: its name and its type (`AWS::Lambda::Function`, `client` …)."""

    name: str
    type: str

    def document(self, account: str) -> dict[str, Any]:
        """Return it as the API's ServiceId."""
        return {"Name": self.name, "Names": [self.name], "AccountId": account, "Type": self.type}


def start_s(entity: Segment) -> float:
    """Return the start, epoch seconds."""
    return float(entity.get("start_time") or 0.0)


def end_s(entity: Segment) -> float | None:
    """Return the end, None while it is in progress."""
    end = entity.get("end_time")
    return None if end is None or entity.get("in_progress") else float(end)


def duration_s(entity: Segment) -> float:
    """Return the duration, 0 while it is in progress."""
    end = end_s(entity)
    return 0.0 if end is None else max(0.0, end - start_s(entity))


def flag(entity: Segment, name: str) -> bool:
    """Return whether a flag is set; a throttle is an error too."""
    if name == "error":
        return bool(entity.get("error") or entity.get("throttle"))
    return bool(entity.get(name))


def children(entity: Segment) -> list[Segment]:
    """Return the embedded subsegments."""
    subsegments = entity.get("subsegments")
    return (
        [subsegment for subsegment in subsegments if isinstance(subsegment, Mapping)]
        if isinstance(subsegments, list)
        else []
    )


def walk(entity: Segment) -> Iterator[Segment]:
    """Yield an entity and everything embedded below it, in order."""
    waiting = [entity]
    while waiting:
        current = waiting.pop()
        yield current
        if "subsegments" in current:
            waiting.extend(reversed(children(current)))


def service_id(segment: Segment) -> ServiceId:
    """Return the service that sent a segment."""
    return ServiceId(str(segment.get("name", "")), str(segment.get("origin") or "client"))


def http(entity: Segment, side: str) -> Mapping[str, Any]:
    """Return the `request` or `response` part of an entity's HTTP data."""
    block = entity.get("http")
    part = block.get(side) if isinstance(block, Mapping) else None
    return part if isinstance(part, Mapping) else {}


def exceptions(entity: Segment) -> list[tuple[str, str]]:
    """Return (type, message) of the exceptions recorded on an entity itself."""
    cause = entity.get("cause")
    if not isinstance(cause, Mapping):
        return []
    return [
        (str(exception.get("type", "")), str(exception.get("message", "")))
        for exception in cause.get("exceptions") or ()
        if isinstance(exception, Mapping)
    ]


_AWS_TYPES = {
    "DynamoDB": "AWS::DynamoDB::Table",
    "SQS": "AWS::SQS::Queue",
    "S3": "AWS::S3::Bucket",
    "SNS": "AWS::SNS",
    "Lambda": "AWS::Lambda",
}


def called_service(subsegment: Segment) -> ServiceId | None:
    """Return the service a subsegment called, as X-Ray names one that sends no segments; None for local work."""
    namespace = subsegment.get("namespace")
    if namespace not in {"aws", "remote"}:
        return None
    name = str(subsegment.get("name", ""))
    aws = subsegment.get("aws")
    resource = (aws.get("table_name") or aws.get("queue_url")) if isinstance(aws, Mapping) else None
    return ServiceId(
        str(resource).rpartition("/")[2] if resource else name,
        _AWS_TYPES.get(name, f"AWS::{name}") if namespace == "aws" else "remote",
    )


def inferred(subsegment: Segment, trace_id: str) -> dict[str, Any] | None:
    """Return the segment that X-Ray infers for a called service without segments, None for local work."""
    service = called_service(subsegment)
    if service is None:
        return None
    segment = {
        "id": str(subsegment.get("id", "0"))[::-1],
        "name": service.name,
        "trace_id": trace_id,
        "parent_id": subsegment.get("id"),
        "origin": service.type,
        "inferred": True,
    }
    for key in ("start_time", "end_time", "in_progress", "http", "aws", *FLAGS):
        if key in subsegment:
            segment[key] = subsegment[key]
    return segment
