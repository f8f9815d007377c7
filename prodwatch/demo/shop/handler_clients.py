"""boto3 clients for the shop's handlers: bound to the embedded AWS, traced, and with the latency of real services."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import cached_property
from threading import Lock
from typing import Any

from prodwatch.demo.shop.functions import REGION
from prodwatch.demo.shop.resource_names import ORDERS_TABLE
from prodwatch.demo.shop.trace_header import TraceHeader
from prodwatch.demo.shop.trace_segments import Step

NAMES = {"dynamodb": "DynamoDB", "sqs": "SQS"}
LATENCY_S: Mapping[str, float] = {
    "GetItem": 0.030,
    "PutItem": 0.040,
    "Query": 0.060,
    f"Scan {ORDERS_TABLE}": 1.700,
    "SendMessage": 0.015,
}
"""Latency of calls in a real shop, by operation and resource; an index avoids the scan of the orders table."""


class CallRecorder:
    """Records the calls of one invocation, like X-Ray's SDK."""

    def __init__(self, header: TraceHeader, new_id: Callable[[], str], wall: Callable[[], float]) -> None:
        self.header = header
        self.steps: list[Step] = []
        self._new_id = new_id
        self._wall = wall

    def began(self) -> float:
        """Return the start of a call, epoch seconds."""
        return self._wall()

    def ended(self, began_s: float, service: str, operation: str, params: Mapping[str, Any], status: int) -> None:
        """Record a call that has ended."""
        resource = {"table_name": params["TableName"]} if "TableName" in params else {}
        if "QueueUrl" in params:
            resource = {"queue_url": params["QueueUrl"]}
        self.steps.append(
            Step(
                id=self._new_id(),
                name=NAMES[service],
                start_s=round(began_s, 6),
                end_s=round(self._wall(), 6),
                operation=operation,
                resource=resource,
                status=status,
            )
        )


CURRENT: ContextVar[CallRecorder | None] = ContextVar("CURRENT", default=None)
"""Recorder of the invocation that runs in this thread."""


class HandlerClients:
    """The clients, created on first use and shared by all handlers; boto3 clients are thread-safe."""

    def __init__(
        self,
        endpoint_url: str,
        *,
        latency_s: Mapping[str, float] = LATENCY_S,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._endpoint_url = endpoint_url
        self._latency_s = latency_s
        self._pause = pause
        self._lock = Lock()
        self._session: Any = None

    def warm(self) -> None:
        """Create the clients now."""
        _ = self.dynamodb, self.sqs

    @cached_property
    def dynamodb(self) -> Any:
        """The DynamoDB client."""
        return self._client("dynamodb")

    @cached_property
    def sqs(self) -> Any:
        """The SQS client."""
        return self._client("sqs")

    def _client(self, service: str) -> Any:
        from botocore.config import Config

        with self._lock:
            if self._session is None:
                self._session = isolated_session()
            client = self._session.client(
                service,
                region_name=REGION,
                endpoint_url=self._endpoint_url,
                aws_access_key_id="shop",
                aws_secret_access_key="shop",  # noqa: S106 -- the embedded AWS checks no secret
                config=Config(
                    proxies={}, connect_timeout=2, read_timeout=10, max_pool_connections=16, retries={"max_attempts": 2}
                ),
            )
        events = client.meta.events
        events.register(f"provide-client-params.{service}.*", self._with_trace)
        events.register(f"before-call.{service}.*", self._before)
        events.register(f"after-call.{service}.*", self._after)
        return client

    @staticmethod
    def _with_trace(params: dict[str, Any], model: Any, **_: Any) -> dict[str, Any]:
        recorder = CURRENT.get()
        if recorder is None or model.name != "SendMessage":
            return params
        attribute = {"DataType": "String", "StringValue": str(recorder.header)}
        return {**params, "MessageSystemAttributes": {"AWSTraceHeader": attribute}}

    def _before(self, model: Any, params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        recorder = CURRENT.get()
        if recorder is None:
            return
        body = _body(params)
        context["shop_call"] = (recorder.began(), body)
        exact = f"{model.name} {body.get('TableName', '')}"
        self._pause(self._latency_s.get(exact, self._latency_s.get(model.name, 0.0)))

    @staticmethod
    def _after(http_response: Any, model: Any, context: dict[str, Any], **_: Any) -> None:
        recorder = CURRENT.get()
        if recorder is None or "shop_call" not in context:
            return
        began_s, params = context["shop_call"]
        recorder.ended(began_s, model.service_model.service_name, model.name, params, http_response.status_code)


def isolated_session() -> Any:
    """Return a boto3 session isolated from the user's configuration: no profile, no files."""
    import boto3
    import botocore.session

    unset = {
        "profile": (None, None, None, None),
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
    }
    return boto3.session.Session(botocore_session=botocore.session.Session(session_vars=unset))


def _body(params: Mapping[str, Any]) -> Mapping[str, Any]:
    body = params.get("body") or b"{}"
    document: Mapping[str, Any] = json.loads(body)
    return document
