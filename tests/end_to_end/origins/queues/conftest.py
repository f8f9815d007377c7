"""apigw-sqs-lambda-sqs in both its generations: API, queues and functions as deployed, and their faults.

The functions do what the sample's do, word for word where it matters: the API pastes a body into a form without
encoding it and always responds with 200, one malformed message fails its whole batch, the last writer of a result
wins, and reading the outbox removes the message.
"""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs

import pytest

from prodwatch.demo.aws import EmbeddedAws
from prodwatch.demo.shop.event_sources import EventSources, QueueMapping
from prodwatch.demo.shop.lambda_runtime import Outcome, exception_of
from prodwatch.demo.workload import WebRequest, WebResponse
from tests.support.waiting import scaled_sleep

MALFORMED = "MALFORMED_MASSAGE"
VISIBILITY_S = 3.0
"""The sample's is 5 s: so a slow machine is in time all the same."""
JSON = {"content-type": "application/json"}


def template(name: str, url: str, *, generation: str, env_type: str) -> dict[str, Any]:
    """Return what SAM makes of the sample's template; a failed batch waits in the stage, not in the queue."""
    resources: dict[str, Any] = {
        "InputQueueDLQ": queue(f"{name}-InputQueueDLQ"),
        "OutputQueueDLQ": queue(f"{name}-OutputQueueDLQ"),
        "InputQueue": queue(f"{name}-InputQueue", "InputQueueDLQ"),
        "OutputQueue": queue(f"{name}-OutputQueue", "OutputQueueDLQ"),
    }
    outputs: dict[str, Any] = {"APIGatewayURL": f"{url}/Prod/"} | {f"SQS{one}": {"Ref": one} for one in resources}
    if generation == "results" and env_type == "test":
        resources["TestResultsTable"] = {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "TableName": f"{name}-results",
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            },
        }
        outputs["DynamoDBTableName"] = {"Ref": "TestResultsTable"}
    return {"Resources": resources, "Outputs": {one: {"Value": value} for one, value in outputs.items()}}


def queue(name: str, dead_letters: str | None = None) -> dict[str, Any]:
    properties: dict[str, Any] = {"QueueName": name, "VisibilityTimeout": 0}
    if dead_letters:
        target = {"Fn::GetAtt": [dead_letters, "Arn"]}
        properties["RedrivePolicy"] = {"deadLetterTargetArn": target, "maxReceiveCount": 1}
    return {"Type": "AWS::SQS::Queue", "Properties": properties}


class Sample:
    """One deployment; its attributes select its faults."""

    def __init__(
        self, clients: Callable[[str], Any], embedded: EmbeddedAws, cleaning: threading.Event, pace: float
    ) -> None:
        self._cleaning = cleaning
        self.name = f"sample-{uuid.uuid4().hex[:8]}"
        self.url = f"{embedded.url}/{self.name}"
        self.sqs, self.dynamodb = clients("sqs"), clients("dynamodb")
        self._cloudformation = clients("cloudformation")
        self._embedded = embedded
        self._pace = pace
        self._paused = self._has_results = False
        self._held_up = False
        """A function waits for the check to end."""
        self._mapped: list[str] = []
        """The queues that feed a function."""
        self.late = False
        """The last function writes only after the check has ended its wait."""
        self.mangles = False
        """The first function changes the text."""
        self.tolerates = False
        """The first function accepts a malformed message."""
        self.forwards = True
        """The first function forwards messages."""
        self.twice = False
        """The first function forwards twice."""
        self.stores = True
        """The second function receives messages."""
        self.batch: list[str] = []
        """Malformed messages of other senders, by place in the batch of the next message: `before` or `after` it."""

        self.intruders: list[str] = []
        """Queues into which another sender puts a message at the same time."""

    def deploy(self, *, generation: str = "results", env_type: str = "test") -> None:
        body = template(self.name, self.url, generation=generation, env_type=env_type)
        self._has_results = "DynamoDBTableName" in body["Outputs"]
        self._cloudformation.create_stack(StackName=self.name, TemplateBody=json.dumps(body))
        self._embedded.mount(f"/{self.name}", self._api)

    def queue_url(self, logical: str) -> str:
        return str(self.sqs.get_queue_url(QueueName=f"{self.name}-{logical}")["QueueUrl"])

    async def work(self) -> None:
        """Feed the functions until cancelled."""
        mappings = [QueueMapping(queue=f"{self.name}-InputQueue", url=self._url("InputQueue"), function="process")]
        if self._has_results:
            mappings += [
                QueueMapping(queue=f"{self.name}-{one}", url=self._url(one), function="write", filter_type="TEST")
                for one in ("OutputQueue", "InputQueueDLQ")
            ]
        self._mapped = [mapping.queue for mapping in mappings]
        stage: Any = self  # it plays the runtime and holds the clients
        await EventSources(
            tuple(mappings), runtime=stage, clients=stage, waiting=self._waiting, sleep=self._sleep
        ).run()

    def busy(self) -> bool:
        """Return whether a function runs, or is about to."""
        fed = [name for name in self._mapped if not self._is_deaf(name)]
        return not self._held_up and (self._paused or any(held(name, hidden=True) for name in fed))

    async def run(self, function: str, _qualifier: str | None, event: Any, _header: Any) -> Outcome:
        """Play Lambda: a batch that failed is left alone for the visibility time."""
        exception = None
        try:
            await asyncio.to_thread(
                {"process": self.process_input_queue, "write": self.write_test_result}[function], event
            )
        except ValueError as error:
            exception = exception_of(error)
            await self._sleep(VISIBILITY_S)
        return Outcome(result=None, exception=exception, request_id="", version="$LATEST", log="")

    def process_input_queue(self, event: Mapping[str, Any]) -> None:
        if self.late and not self._has_results:
            self._await_giving_up()
        for record in event["Records"]:
            if MALFORMED in record["body"] and not self.tolerates:
                raise ValueError("malformed message")
            body = record["body"].replace("a first", "the first") if self.mangles else record["body"]
            for _ in range(2 if self.twice else 1 if self.forwards else 0):
                self.sqs.send_message(QueueUrl=self._url("OutputQueue"), MessageBody=body)

    def write_test_result(self, event: Mapping[str, Any]) -> None:
        if self.late:
            self._await_giving_up()
        for record in event["Records"]:
            data = json.loads(record["body"])["data"]
            name = record["eventSourceARN"].rpartition(":")[2]
            self.put(data["id"], data["message"], name)

    def put(self, id_: str, message: str, queue_name: str) -> None:
        item = {"id": {"S": id_}, "Message": {"S": message}, "Queue_Name": {"S": queue_name}}
        self.dynamodb.put_item(TableName=f"{self.name}-results", Item=item)

    def results(self) -> list[str]:
        """Return the ids in the results table."""
        items = self.dynamodb.scan(TableName=f"{self.name}-results")["Items"]
        return sorted(item["id"]["S"] for item in items)

    def send(self, logical: str, **data: str) -> None:
        """Put a message of another sender into a queue."""
        self.sqs.send_message(QueueUrl=self._url(logical), MessageBody=json.dumps({"data": data}))

    def bodies(self, logical: str) -> list[str]:
        """Return the ids of the messages a queue holds, without receiving them."""
        return [json.loads(message.body)["data"]["id"] for message in held(f"{self.name}-{logical}")]

    def _url(self, logical: str) -> str:
        return f"https://sqs.eu-west-1.amazonaws.com/123456789012/{self.name}-{logical}"

    def _await_giving_up(self) -> None:
        self._held_up = True
        assert self._cleaning.wait(20)
        self._held_up = False

    def _waiting(self, name: str) -> int:
        return 0 if self._paused or self._is_deaf(name) else len(held(name))

    def _is_deaf(self, name: str) -> bool:
        return not self.stores and not name.endswith("-InputQueue")

    async def _sleep(self, seconds: float) -> None:
        await scaled_sleep(seconds, pace=self._pace)

    async def _api(self, request: WebRequest) -> WebResponse:
        match request.method, request.path:
            case "POST", "/Prod/inbox":
                await asyncio.to_thread(self._inbox, request.body.decode())
                return WebResponse(status=200, body=b"{}", headers=JSON)
            case "GET", "/Prod/outbox":
                return await asyncio.to_thread(self._outbox)
            case _:
                return WebResponse(status=403, body=b'{"message":"Missing Authentication Token"}', headers=JSON)

    def _inbox(self, body: str) -> None:
        text = parse_qs('Action=SendMessage&MessageBody={"data":' + body + "}")["MessageBody"][0]
        foreign = json.dumps({"data": {"id": "OTHER", "message": MALFORMED, "type": "ORDER"}})
        bodies = [*(foreign for one in self.batch if one == "before"), text]
        bodies += [foreign for one in self.batch if one == "after"]
        self._paused = True
        for each in bodies:
            self.sqs.send_message(QueueUrl=self._url("InputQueue"), MessageBody=each)
        for queue_name in self.intruders:
            self.send(queue_name, id="OTHER")
        self._paused = False

    def _outbox(self) -> WebResponse:
        answer = self.sqs.receive_message(QueueUrl=self._url("OutputQueue"), MaxNumberOfMessages=1)
        answer.pop("ResponseMetadata")
        if not answer.get("Messages"):
            return WebResponse(status=404, body=b'"No messages in the output queue"', headers=JSON)
        handle = answer["Messages"][0]["ReceiptHandle"]
        self.sqs.delete_message(QueueUrl=self._url("OutputQueue"), ReceiptHandle=handle)
        return WebResponse(status=200, body=json.dumps(answer).encode(), headers=JSON)


def held(name: str, *, hidden: bool = False) -> list[Any]:
    """Return the messages of a queue that can be received, or all; read from moto's own object, which is cheap."""
    from moto.sqs.models import sqs_backends

    queue = sqs_backends["123456789012"]["eu-west-1"].queues[name]
    return list(queue._messages if hidden else queue.messages)


@pytest.fixture
def sample(
    clients: Callable[[str], Any],
    embedded: EmbeddedAws,
    aim: Callable[[str], None],
    cleaning: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
    pace: float,
) -> Sample:
    """A sample that is not deployed yet."""
    made = Sample(clients, embedded, cleaning, pace)
    # A long poll waits in the machine's time, not in the run's.
    monkeypatch.setattr("prodwatch.probes.sqs.probe.LONGEST_WAIT_S", 0)
    aim(made.name)
    return made


@pytest.fixture
def deployed(
    sample: Sample, loop: Any, under_way: list[Callable[[], bool]], request: pytest.FixtureRequest
) -> Iterator[Sample]:
    """The sample of the module's generation, at work."""
    sample.deploy(generation=request.module.GENERATION)
    under_way.append(sample.busy)
    end = loop.start(sample.work())
    yield sample
    end()
