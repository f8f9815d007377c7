"""X-Ray segments of any window, computed from the sampled requests of that window."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Literal

from prodwatch.demo.shop.functions import API_NAME, ORDERS, Service
from prodwatch.demo.shop.log_history import raised_exception
from prodwatch.demo.shop.request_ids import RequestIds, ids_of
from prodwatch.demo.shop.trace_segments import Document, Invocation, Step, api_segment, function_segments
from prodwatch.demo.shop.traffic import Request, Traffic
from prodwatch.demo.shop.version_behaviour import ServingVersion
from prodwatch.demo.workload import TracedCall

Flag = Literal["", "fault", "error", "throttle"]
_TYPES = {"DynamoDB": "AWS::DynamoDB::Table", "SQS": "AWS::SQS::Queue"}


class TraceHistory:
    """Segments by time; caches the seconds read last."""

    def __init__(self, traffic: Traffic, public_url: str) -> None:
        self._traffic = traffic
        self._url = public_url
        self.second = lru_cache(maxsize=128)(self._second)
        """`second(second)`: the documents of all traces whose requests were invoked in an epoch second."""

    def _second(self, second: int) -> tuple[Document, ...]:
        return tuple(
            document
            for service in self._traffic.services.values()
            for request in self._traffic.requests(service.name, second)
            if request.traced
            for document in self._documents(service, request)
        )

    def _documents(self, service: Service, request: Request) -> Iterator[Document]:
        serving = self._traffic.serving(service.name, request.version)
        ids = ids_of(service, serving, request)
        parent = None
        if service.api:
            parent = f"{int(ids.api_segment, 16) ^ 1:016x}"
            yield api_segment(
                trace_id=ids.trace_id,
                segment_id=ids.api_segment,
                integration_id=parent,
                method=service.operations[request.operation].route.partition(" ")[0],
                url=self._url + ids.path,
                status=request.status,
                start_s=ids.received_ms / 1000,
                end_s=ids.responded_ms / 1000,
                target=("Lambda", service.name),
            )
        yield from function_segments(self._invocation(service, serving, request, ids, parent))

    def calls(self, second: int) -> Iterator[tuple[float, list[TracedCall]]]:
        """Yield, for each trace whose request was invoked in an epoch second, its start and its calls."""
        for service in self._traffic.services.values():
            for request in self._traffic.requests(service.name, second):
                if request.traced:
                    yield self._calls(service, request)

    def _calls(self, service: Service, request: Request) -> tuple[float, list[TracedCall]]:
        serving = self._traffic.serving(service.name, request.version)
        ids = ids_of(service, serving, request)
        invocation = self._invocation(service, serving, request, ids, None)
        at_lambda, function = (service.name, "AWS::Lambda"), (service.name, "AWS::Lambda::Function")
        flag: Flag = "fault" if request.failed else ""
        calls: list[TracedCall] = []
        caller = (service.name, "client")
        if service.api:
            gateway = (API_NAME, "AWS::ApiGateway::Stage")
            received_s, responded_s = ids.received_ms / 1000, ids.responded_ms / 1000
            calls.append(TracedCall((API_NAME, "client"), gateway, received_s, responded_s, _flag(request.status)))
            caller = gateway
        calls.append(TracedCall(caller, at_lambda, invocation.called_s, round(invocation.end_s + 0.001, 6), flag))
        calls.append(TracedCall(at_lambda, function, invocation.begin_s, invocation.end_s, flag))
        for step in invocation.steps:
            resource = step.resource or {}
            target = (resource.get("table_name") or resource.get("queue_url", "")).rpartition("/")[2]
            calls.append(TracedCall(function, (target, _TYPES[step.name]), step.start_s, step.end_s))
        return calls[0].start_s, calls

    def _invocation(
        self, service: Service, serving: ServingVersion, request: Request, ids: RequestIds, parent: str | None
    ) -> Invocation:
        begin_s = round((request.start_ms + request.init_ms) / 1000, 6)
        end_s = round(begin_s + request.duration_ms / 1000, 6)
        return Invocation(
            trace_id=ids.trace_id,
            service_segment=ids.service_segment,
            function_segment=ids.function_segment,
            parent_id=parent,
            function=service.name,
            qualifier=self._traffic.timeline.scenario.release.alias if service.name == ORDERS else "",
            version=request.version,
            request_id=ids.request_id,
            called_s=(request.start_ms - (1 if service.api else 0)) / 1000,
            begin_s=begin_s,
            end_s=end_s,
            cold=request.init_ms > 0,
            steps=tuple(_steps(service, serving, request, ids, begin_s)),
            exception=raised_exception(serving.behaviour) if request.failed else None,
        )


def _flag(status: int) -> Flag:
    if status >= 500:
        return "fault"
    return "throttle" if status == 429 else "error" if status >= 400 else ""


def _steps(
    service: Service, serving: ServingVersion, request: Request, ids: RequestIds, begin_s: float
) -> Iterator[Step]:
    calls = service.operations[request.operation].calls
    if request.failed:
        calls = (("DynamoDB", "GetItem", "shop-products"),)
    base = int(ids.function_segment, 16)
    at_s, share = begin_s + request.duration_ms * 0.00008, 0.00082 / max(1, len(calls))
    for place, (name, operation, resource) in enumerate(calls):
        scans = operation == "Query" and serving.behaviour.table_scan
        lasts_s = request.duration_ms * share * (0.2 if request.failed else 1)
        yield Step(
            id=f"{base ^ (16 + place):016x}",
            name=name,
            start_s=round(at_s, 6),
            end_s=round(at_s + lasts_s, 6),
            operation="Scan" if scans else operation,
            resource={"table_name": resource} if name == "DynamoDB" else {"queue_url": resource},
        )
        at_s += lasts_s
