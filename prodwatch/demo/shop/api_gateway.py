"""Emulates the HTTP API in front of the functions, including an inbox that always responds with 200."""

from __future__ import annotations

import asyncio
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import parse_qs, urlencode

from prodwatch.demo.shop.functions import ORDERS
from prodwatch.demo.shop.handlers import Clients
from prodwatch.demo.shop.lambda_runtime import Runtime
from prodwatch.demo.shop.live_telemetry import ServedRequest, Telemetry
from prodwatch.demo.shop.stack_resources import Secrets
from prodwatch.demo.shop.trace_header import TraceHeader, fresh, read
from prodwatch.demo.workload import WebRequest, WebResponse

JSON: Final = {"content-type": "application/json"}
_VERSION_STAGE = re.compile(r"v(\d+)")


@dataclass(frozen=True, slots=True)
class Target:
    """Target of a route."""

    route: str
    function: str
    """Empty for the inbox, which is a queue."""
    guard: Literal["open", "key", "token"] = "open"
    """`key` requires the partner's key in `x-api-key`, `token` the operators' bearer token."""

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """Return the path's parameters, None when the route does not match."""
        route_method, _, pattern = self.route.partition(" ")
        match = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern), path)
        return match.groupdict() if match and route_method == method else None


INBOX = Target("POST /inbox", "")
UNKNOWN = Target("$default", "")
TARGETS = (
    Target("GET /health", "shop-catalog"),
    Target("GET /products/{sku}", "shop-catalog"),
    Target("GET /health/details", "shop-catalog", guard="token"),
    Target("GET /partner/prices", "shop-catalog", guard="key"),
    Target("POST /orders", ORDERS),
    Target("GET /orders", ORDERS),
    Target("GET /orders/{id}", ORDERS),
    INBOX,
)


@dataclass(frozen=True, slots=True)
class _RoutedRequest:
    """A request with its stage, route and parameters."""

    request: WebRequest
    headers: Mapping[str, str]
    """Names in lower case."""
    stage: str
    path: str
    target: Target
    parameters: Mapping[str, str]


def _find(method: str, path: str) -> tuple[Target, Mapping[str, str]]:
    for target in TARGETS:
        if (parameters := target.match(method, path)) is not None:
            return target, parameters
    return UNKNOWN, {}


class Gateway:
    """Serves `/<stage>/<path>`: stage `Prod` calls the alias, stage `v42` calls that version itself."""

    def __init__(
        self,
        runtime: Runtime,
        *,
        clients: Clients,
        telemetry: Telemetry,
        alias: str,
        inbox_url: str,
        secrets: Secrets,
        public_url: str,
        wall: Callable[[], float],
        traced: Callable[[], bool],
    ) -> None:
        self._runtime = runtime
        self._clients = clients
        self._telemetry = telemetry
        self._alias = alias
        self._inbox_url = inbox_url
        self._secrets = secrets
        self._public_url = public_url
        self._wall = wall
        self._traced = traced

    async def __call__(self, request: WebRequest) -> WebResponse:
        """Respond to one request; any failure behind the API is a 500."""
        start_s = self._wall()
        headers = {name.lower(): value for name, value in request.headers.items()}
        header = read(headers.get("x-amzn-trace-id")) or fresh(start_s, self._runtime.new_id, sampled=self._traced())
        stage, _, path = request.path.strip("/").partition("/")
        routed = _RoutedRequest(
            request, headers, stage, f"/{path.strip('/')}", *_find(request.method, f"/{path.strip('/')}")
        )
        call = self._runtime.new_id()
        response, integration = await self._respond(routed, header.child(call))
        request_id = f"{self._runtime.new_id()[:15]}="
        self._telemetry.record_request(
            ServedRequest(
                request_id=request_id,
                route=routed.target.route,
                method=request.method,
                path=routed.path,
                url=f"{self._public_url}/{stage}{routed.path}",
                status=response.status,
                start_s=round(start_s, 6),
                end_s=round(max(self._wall(), start_s + 0.002), 6),
                trace_id=header.root,
                parent_id=header.parent,
                segment_id=self._runtime.new_id(),
                call_id=call,
                sampled=header.sampled,
                target=("Lambda", routed.target.function) if routed.target.function else ("SQS", self._inbox_url),
                integration_id=integration,
            )
        )
        trace = TraceHeader(root=header.root, sampled=header.sampled)
        ids = {"apigw-requestid": request_id, "x-amzn-trace-id": str(trace)}
        ids["x-amzn-requestid"] = integration or request_id
        return WebResponse(status=response.status, body=response.body, headers={**response.headers, **ids})

    async def _respond(self, routed: _RoutedRequest, header: TraceHeader) -> tuple[WebResponse, str]:
        """Return the response, and the request id of the function that sent it."""
        version = _VERSION_STAGE.fullmatch(routed.stage)
        qualifier = version[1] if version else self._alias if routed.stage == "Prod" else ""
        target = routed.target
        if not qualifier or target is UNKNOWN:
            return _message(404, "Not Found"), ""
        if target.guard == "key" and not _same(routed.headers.get("x-api-key", ""), self._secrets.partner_key):
            return _message(403, "Forbidden"), ""
        bearer = routed.headers.get("authorization", "").removeprefix("Bearer ")
        if target.guard == "token" and not _same(bearer, self._secrets.health_token):
            return _message(401, "Unauthorized"), ""
        if target is INBOX:
            return await self._enqueue(routed.request.body, header), ""
        return await self._invoke(target.function, qualifier, self._event(routed), header)

    async def _invoke(
        self, function: str, qualifier: str, event: Mapping[str, Any], header: TraceHeader
    ) -> tuple[WebResponse, str]:
        """Return the function's response and its request id."""
        try:
            outcome = await self._runtime.run(function, qualifier if function == ORDERS else None, event, header)
        except KeyError:
            return _message(500, "Internal Server Error"), ""  # the stage names a version that does not exist
        if outcome.exception is not None or "statusCode" not in outcome.result:
            failed = _message(500, "Internal Server Error")
            # The stage of a version names it in a stage variable even then; the alias's stage cannot.
            version_header = (
                {} if qualifier == self._alias or function != ORDERS else {"x-version": f"v{outcome.version}"}
            )
            return WebResponse(status=500, body=failed.body, headers={**JSON, **version_header}), outcome.request_id
        result = outcome.result
        body = result.get("body", "").encode()
        return WebResponse(status=result["statusCode"], body=body, headers=result["headers"]), outcome.request_id

    async def _enqueue(self, body: bytes, header: TraceHeader) -> WebResponse:
        """Put the body into the inbox like the API's mapping template, and always return 200.

        The template inserts the raw body into a form without encoding it: `&` cuts the message, `+` becomes a space.
        """
        form = 'Action=SendMessage&MessageBody={"data": ' + body.decode("utf-8", "replace") + "}"
        text = parse_qs(form, keep_blank_values=True)["MessageBody"][0]
        trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": str(header)}}
        await asyncio.to_thread(
            _send_ignoring_errors,
            self._clients.sqs.send_message,
            QueueUrl=self._inbox_url,
            MessageBody=text,
            MessageSystemAttributes=trace,
        )
        return WebResponse(status=200, body=b"{}", headers=JSON)

    def _event(self, routed: _RoutedRequest) -> dict[str, Any]:
        """Return the event of API Gateway's payload format 2.0."""
        request = routed.request
        return {
            "version": "2.0",
            "routeKey": routed.target.route,
            "rawPath": routed.path,
            "rawQueryString": urlencode(request.query),
            "headers": dict(routed.headers),
            "queryStringParameters": dict(request.query),
            "pathParameters": dict(routed.parameters),
            "body": request.body.decode("utf-8", "replace"),
            "isBase64Encoded": False,
            "requestContext": {
                "http": {"method": request.method, "path": routed.path},
                "timeEpoch": int(self._wall() * 1000),
            },
        }


def _same(value: str, secret: str) -> bool:
    return hmac.compare_digest(value.encode(), secret.encode())


def _send_ignoring_errors(send: Callable[..., Any], **params: Any) -> None:
    """Send and ignore an error response: the API maps every response of the queue to 200."""
    from botocore.exceptions import ClientError

    try:
        send(**params)
    except ClientError:
        return


def _message(status: int, text: str) -> WebResponse:
    return WebResponse(status=status, body=json.dumps({"message": text}).encode(), headers=JSON)
