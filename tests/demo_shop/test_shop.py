"""The whole shop through its interfaces: HTTP, boto3, the queues."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from prodwatch.demo.process import DemoServer
from prodwatch.demo.shop.handler_clients import LATENCY_S
from prodwatch.demo.shop.handlers.queues import MALFORMED
from prodwatch.demo.shop.resource_names import ORDERS_TABLE
from prodwatch.demo.shop.stack_resources import Secrets
from tests.support.waiting import Deadline

pytestmark = pytest.mark.slow  # a server of its own process

Aws = Callable[[str], Any]
ORDERS_LOG = "/aws/lambda/shop-orders"


class Answer:
    def __init__(self, response: Any) -> None:
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers
        self.text: str = response.read().decode()

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def ask(
    server: DemoServer, path: str, body: str | Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    data = None if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
    request = urllib.request.Request(f"{server.url}/_shop{path}", data=data, headers=dict(headers or {}))
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return Answer(response)
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error)


def eventually(server: DemoServer, look: Callable[[], Any]) -> Any:
    """Read until a result exists; fail when the demo has ended in the meantime."""
    deadline = Deadline()
    while not (results := look()):
        assert not deadline.over, "it never appeared"
        with contextlib.suppress(subprocess.TimeoutExpired):
            raise AssertionError(f"the demo ended with {server.process.wait(0.05)}")
    return results


def result_of(server: DemoServer, aws: Aws, name: str) -> Any:
    def item() -> Any:
        return aws("dynamodb").get_item(TableName="shop-test-results", Key={"id": {"S": name}}).get("Item")

    return eventually(server, item)


@pytest.fixture
def empty_inbox(during: DemoServer, aws: Aws) -> None:
    """Wait until other tests' messages are handled: a malformed one would fail the batch of both."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    queue = "https://sqs.eu-west-1.amazonaws.com/123456789012/shop-inbox"

    def empty() -> bool:
        attributes = aws("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
        return {attributes[name] for name in names} == {"0"}

    eventually(during, empty)


def unique() -> str:
    return f"TEST-{uuid.uuid4()}"


# The API


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/Prod/health", 200),
        ("/Prod//health", 200),
        ("/Prod/orders/ORD-1001", 200),
        ("/v41/orders/ORD-1001", 200),
        ("/v42/orders/ORD-1001", 200),
        ("/Prod/orders/NONE", 404),
        ("/Prod/products/MUG-1", 200),
        ("/Prod/products/NONE", 404),
        ("/Prod/partner/prices", 403),
        ("/Prod/health/details", 401),
        ("/Prod/nothing", 404),
        ("/Test/health", 404),
        ("/v99/orders/ORD-1001", 500),
        ("/", 404),
    ],
)
def test_routes(during: DemoServer, path: str, status: int) -> None:
    response = ask(during, path)
    assert response.status == status
    assert response.json
    assert response.headers["apigw-requestid"]


@pytest.mark.parametrize("version", ["41", "42"])
def test_the_stage_of_a_version_serves_it(during: DemoServer, version: str) -> None:
    assert ask(during, f"/v{version}/orders/ORD-1001").headers["x-version"] == f"v{version}"


def test_keys_and_tokens_give_access(during: DemoServer) -> None:
    secrets = Secrets.of(42)
    assert ask(during, "/Prod/partner/prices", headers={"X-Api-Key": secrets.partner_key}).status == 200
    bearer = {"Authorization": f"Bearer {secrets.health_token}"}
    assert ask(during, "/Prod/health/details", headers=bearer).json["parts"] == {"products": "active"}


def test_the_secrets_exist_under_the_names_in_the_checks(aws: Aws) -> None:
    secrets = Secrets.of(42)
    token = aws("ssm").get_parameter(Name="/shop/demo/health-token", WithDecryption=True)
    assert token["Parameter"]["Value"] == secrets.health_token
    partner = aws("secretsmanager").get_secret_value(SecretId="shop/demo/partner")
    assert json.loads(partner["SecretString"])["api_key"] == secrets.partner_key


def test_the_old_version_sells_a_book_and_the_new_one_does_not(during: DemoServer) -> None:
    wish = {"sku": "BOOK-3", "quantity": 2, "id": unique()}
    sold = ask(during, "/v41/orders", wish)
    assert (sold.status, sold.json["currency"], sold.json["total"]) == (201, "EUR", 39.8)
    broken = ask(during, "/v42/orders", wish)
    assert (broken.status, broken.headers["x-version"]) == (500, "v42")
    assert broken.json == {"message": "Internal Server Error"}


def test_the_new_version_scans_the_table_that_the_old_one_queries(during: DemoServer, aws: Aws) -> None:
    def reads(version: str) -> set[str]:
        root = f"1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]}"
        path = f"/v{version}/orders?customer=C-1001"
        assert len(ask(during, path, headers={"X-Amzn-Trace-Id": f"Root={root};Sampled=1"}).json["orders"]) == 3

        def operations() -> set[str]:
            traces = aws("xray").batch_get_traces(TraceIds=[root])["Traces"]
            documents = [json.loads(segment["Document"]) for trace in traces for segment in trace["Segments"]]
            names = {document.get("aws", {}).get("operation") for document in documents}
            return {"Scan", "Query"} & names

        seen: set[str] = eventually(during, operations)
        return seen

    assert (reads("41"), reads("42")) == ({"Query"}, {"Scan"})
    assert LATENCY_S[f"Scan {ORDERS_TABLE}"] >= 1.5 > 10 * LATENCY_S["Query"]


def test_a_request_is_found_by_its_own_trace_and_request_id(during: DemoServer, aws: Aws) -> None:
    root = f"1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]}"
    response = ask(during, "/v42/orders", {"sku": "BOOK-3"}, {"X-Amzn-Trace-Id": f"Root={root};Sampled=1"})
    assert f"Root={root}" in response.headers["x-amzn-trace-id"]

    def whole() -> Any:
        traces = aws("xray").batch_get_traces(TraceIds=[root])["Traces"]
        documents = [json.loads(item["Document"]) for trace in traces for item in trace["Segments"]]
        return documents if len(documents) >= 3 else None

    segments = eventually(during, whole)
    function = next(item for item in segments if item.get("origin") == "AWS::Lambda::Function")
    assert function["annotations"]["release"] == "42"
    assert function["cause"]["exceptions"][0]["type"] == "KeyError"
    request_id = response.headers["x-amzn-requestid"]

    def attributes() -> Any:
        result = aws("logs").filter_log_events(
            logGroupName=ORDERS_LOG, startTime=int((time.time() - 60) * 1000), filterPattern=f'"{request_id}"'
        )
        return result["events"]

    lines = eventually(during, attributes)
    assert any("KeyError: 'currency'" in line["message"] and root in str(lines) for line in lines)
    assert all("[42]" in line["logStreamName"] for line in lines)


# Invoking


def test_invoke_by_version_and_alias(aws: Aws) -> None:
    invoke = aws("lambda").invoke
    pinned = invoke(FunctionName="shop-orders", Qualifier="42", Payload=b'{"path": "/health"}', LogType="Tail")
    assert pinned["ExecutedVersion"] == "42"
    assert json.loads(pinned["Payload"].read())["statusCode"] == 200
    assert pinned["LogResult"]
    assert invoke(FunctionName="shop-orders", Qualifier="live", Payload=b"{}")["ExecutedVersion"] in {"41", "42"}


def test_invoke_reports_the_handlers_exception(aws: Aws) -> None:
    event = {"routeKey": "POST /orders", "body": json.dumps({"sku": "BOOK-3"})}
    response = aws("lambda").invoke(FunctionName="shop-orders", Qualifier="42", Payload=json.dumps(event))
    assert response["FunctionError"] == "Unhandled"
    assert json.loads(response["Payload"].read())["errorType"] == "KeyError"


# The queues


@pytest.mark.usefixtures("empty_inbox")
def test_a_message_travels_from_inbox_to_table(during: DemoServer, aws: Aws) -> None:
    name = unique()
    assert ask(during, "/Prod/inbox", {"id": name, "message": "hello", "type": "TEST"}).status == 200
    item = result_of(during, aws, name)
    assert (item["Message"]["S"], item["Queue_Name"]["S"]) == ("hello", "shop-outbox")


@pytest.mark.usefixtures("empty_inbox")
def test_one_trace_goes_through_the_queues(during: DemoServer, aws: Aws) -> None:
    root = f"1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]}"
    body = {"id": unique(), "message": "hello", "type": "TEST"}
    ask(during, "/Prod/inbox", body, {"X-Amzn-Trace-Id": f"Root={root};Sampled=1"})

    def functions() -> Any:
        traces = aws("xray").batch_get_traces(TraceIds=[root])["Traces"]
        documents = [json.loads(item["Document"]) for trace in traces for item in trace["Segments"]]
        results = [item["name"] for item in documents if item.get("origin") == "AWS::Lambda::Function"]
        return results if len(results) == 2 else None

    assert sorted(eventually(during, functions)) == ["shop-inbox", "shop-outbox"]


@pytest.mark.usefixtures("empty_inbox")
def test_a_malformed_message_fails_its_batch_and_ends_in_the_dead_letters(during: DemoServer, aws: Aws) -> None:
    good, bad, alone = unique(), unique(), unique()
    bodies = [json.dumps({"data": {"id": good, "message": "fine", "type": "TEST"}})]
    bodies += [json.dumps({"data": {"id": bad, "message": MALFORMED, "type": "TEST"}})]
    queue = "https://sqs.eu-west-1.amazonaws.com/123456789012/shop-inbox"
    entries = [{"Id": str(number), "MessageBody": text} for number, text in enumerate(bodies)]
    aws("sqs").send_message_batch(QueueUrl=queue, Entries=entries)
    assert ask(during, "/Prod/inbox", {"id": alone, "message": MALFORMED, "type": "TEST"}).status == 200
    for name in (bad, alone):
        assert result_of(during, aws, name)["Queue_Name"]["S"] == "shop-inbox-dlq"

    def died() -> Any:
        result = result_of(during, aws, good)
        return result if result["Queue_Name"]["S"] == "shop-inbox-dlq" else None

    # The good one was forwarded before its batch failed, and failed with it: the last delivery wins.
    assert eventually(during, died)["Message"]["S"] == "fine"


@pytest.mark.usefixtures("empty_inbox")
def test_the_api_inserts_bodies_unencoded(during: DemoServer, aws: Aws) -> None:
    name = unique()
    ask(during, "/Prod/inbox", json.dumps({"id": name, "message": "a+b", "type": "TEST"}))
    assert result_of(during, aws, name)["Message"]["S"] == "a b"


@pytest.mark.parametrize("body", ["not json", '{"id": "x"}&cut', ""])
def test_the_inbox_always_responds_with_200(during: DemoServer, body: str) -> None:
    assert ask(during, "/Prod/inbox", body).status == 200


def test_messages_that_the_filter_excludes_are_deleted(during: DemoServer, aws: Aws) -> None:
    name = unique()
    queue = "https://sqs.eu-west-1.amazonaws.com/123456789012/shop-outbox"
    body = json.dumps({"data": {"id": name, "message": "x", "type": "ORDER"}})
    aws("sqs").send_message(QueueUrl=queue, MessageBody=body)
    attribute = "ApproximateNumberOfMessages"
    eventually(
        during,
        lambda: (
            aws("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=[attribute])["Attributes"][attribute] == "0"
        ),
    )
    assert "Item" not in aws("dynamodb").get_item(TableName="shop-test-results", Key={"id": {"S": name}})


# The stack


def test_the_stack_outputs_name_every_resource(during: DemoServer, aws: Aws) -> None:
    stack = aws("cloudformation").describe_stacks(StackName="shop-demo")["Stacks"][0]
    outputs = {item["OutputKey"]: item["OutputValue"] for item in stack["Outputs"]}
    assert outputs["ApiUrl"] == f"{during.url}/_shop/Prod/"
    assert outputs["OrderUrl"].endswith("/orders/{id}")
    assert outputs["OutputQueue"].endswith("/shop-outbox")
    assert {"InputQueue", "InputQueueDLQ", "OutputQueueDLQ", "OrdersTable", "TestTable"} <= outputs.keys()
