"""async-lambda-dynamodb: growing wait times with jitter, and an absence that has to last."""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from prodwatch.demo.aws import EmbeddedAws, Fault
from tests.support.waiting import scaled_sleep

PAGE = "async-lambda-dynamodb"
FOREIGN = "TEST-of-another-run.txt"


class Sample:
    """One deployment; its attributes select its faults."""

    def __init__(self, clients: Callable[[str], Any], cleaning: threading.Event, pace: float) -> None:
        self._cleaning = cleaning
        self.name = f"sample-{uuid.uuid4().hex[:8]}"
        self.runs = True
        self.transform: Callable[[str], str] = str.upper
        self.takes_all = False
        """The event of the source bucket has no suffix."""
        self.delay_s = 0.0
        """Duration of the listener."""
        self.late = False
        """The listener writes only after the check has ended its wait."""
        self.id_of: Callable[[str], str] = str
        """Key of the object → id of the result."""
        self.second: Callable[[str], str] | None = None
        """The event comes once more, 2 s later, and finds this transformation."""
        self._pace = pace
        self._seen: set[tuple[str, str]] = set()
        """Bucket and key of each object whose function was called."""
        self._running = 0
        """Number of functions that do anything but wait for the check to end."""
        self._s3, self._dynamodb = clients("s3"), clients("dynamodb")
        self._cloudformation = clients("cloudformation")

    def deploy(self, *, test_resources: bool = True) -> None:
        resources: dict[str, Any] = {
            name: {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": f"{self.name}-{name.lower()}"}}
            for name in ("SourceBucket", "DestinationBucket")
        }
        outputs = {f"{name}Name": {"Ref": name} for name in resources}
        if test_resources:
            key = {"AttributeName": "id"}
            resources["Results"] = {
                "Type": "AWS::DynamoDB::Table",
                "Properties": {
                    "TableName": f"{self.name}-results",
                    "BillingMode": "PAY_PER_REQUEST",
                    "AttributeDefinitions": [key | {"AttributeType": "S"}],
                    "KeySchema": [key | {"KeyType": "HASH"}],
                },
            }
            outputs["AsyncTransformTestResultsTable"] = {"Ref": "Results"}
        body = {"Resources": resources, "Outputs": {name: {"Value": value} for name, value in outputs.items()}}
        self._cloudformation.create_stack(StackName=self.name, TemplateBody=json.dumps(body))

    async def work(self) -> None:
        """Play S3's events until cancelled: each new object, once."""
        functions = {"source": self._transformer, "destination": self._listener}
        async with asyncio.TaskGroup() as tasks:
            while True:
                for bucket, key in self._new():
                    self._running += 1
                    self._seen.add((bucket, key))
                    tasks.create_task(self._counted(functions[bucket](key)))
                await self._sleep(0.2)

    def busy(self) -> bool:
        """Return whether a function runs, or is about to."""
        return bool(self._running or self._new())

    def _new(self) -> list[tuple[str, str]]:
        there = [(bucket, key) for bucket in ("source", "destination") for key in self.keys(bucket)]
        return [one for one in there if one not in self._seen and (one[1].endswith(".txt") or self.takes_all)]

    async def _counted(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        finally:
            self._running -= 1

    async def _transformer(self, key: str) -> None:
        if not self.runs:
            return
        text = await asyncio.to_thread(self._read, "source", key)
        await asyncio.to_thread(self.put, "destination", key, self.transform(text))
        if self.second is not None:
            await self._sleep(2)
            await asyncio.to_thread(self.put, "destination", key, self.second(text))
            await self._listener(key)

    async def _listener(self, key: str) -> None:
        await self._sleep(self.delay_s)
        if self.late:
            self._running -= 1
            await asyncio.to_thread(self._cleaning.wait, 20)
            self._running += 1
        text = await asyncio.to_thread(self._read, "destination", key)
        await asyncio.to_thread(self.store, self.id_of(key), text)

    async def _sleep(self, seconds: float) -> None:
        await scaled_sleep(seconds, pace=self._pace)

    def _read(self, bucket: str, key: str) -> str:
        return str(self._s3.get_object(Bucket=f"{self.name}-{bucket}bucket", Key=key)["Body"].read().decode())

    def put(self, bucket: str, key: str, text: str) -> None:
        self._s3.put_object(Bucket=f"{self.name}-{bucket}bucket", Key=key, Body=text.encode())

    def store(self, id_: str, text: str) -> None:
        self._dynamodb.put_item(TableName=f"{self.name}-results", Item={"id": {"S": id_}, "message": {"S": text}})

    def keys(self, bucket: str) -> list[str]:
        """Return a bucket's keys, asked of moto's own object, which costs nothing."""
        from moto.s3.models import s3_backends

        return list(s3_backends["123456789012"]["aws"].buckets[f"{self.name}-{bucket}bucket"].keys)

    def left(self) -> list[str]:
        """Return every key and id."""
        items = self._dynamodb.scan(TableName=f"{self.name}-results")["Items"]
        return sorted([*self.keys("source"), *self.keys("destination"), *(item["id"]["S"] for item in items)])


@pytest.fixture
def sample(clients: Callable[[str], Any], aim: Callable[[str], None], cleaning: threading.Event, pace: float) -> Sample:
    made = Sample(clients, cleaning, pace)
    aim(made.name)
    return made


@pytest.fixture
def deployed(sample: Sample, loop: Any, under_way: list[Callable[[], bool]]) -> Iterator[Sample]:
    sample.deploy()
    under_way.append(sample.busy)
    end = loop.start(sample.work())
    yield sample
    end()


BREAKS: dict[str, dict[str, Any]] = {
    "the result comes too late": {"late": True},
    "the function does not run": {"runs": False},
    "the text is not transformed": {"transform": str},
    "the result is stored under another id": {"id_of": lambda key: f"results/{key}"},
    "the event comes twice, to a newer function": {"second": str.title},
    "the function takes every object": {"takes_all": True, "delay_s": 3.0},
}
ABSENT = {"the function does not run", "the result is stored under another id"}


def test_both_pass_and_leave_nothing_behind(deployed: Sample, prodwatch: Any) -> None:
    deployed.store(FOREIGN, "theirs")
    outcome = prodwatch.check()
    assert outcome.code == 0, outcome.document["verdict"]
    assert outcome.statuses == {"a text arrives in capitals": "pass", "other files are left alone": "pass"}
    assert deployed.left() == [FOREIGN]
    assert not outcome.leftovers()


def test_what_goes_wrong_is_said(row: Any, request: Any, prodwatch: Any, embedded: EmbeddedAws) -> None:
    if row.mode == "deployed with DeployTestResources=False":
        request.getfixturevalue("sample").deploy(test_resources=False)
        row.judge(prodwatch.check(row.check))
        return
    deployed = request.getfixturevalue("deployed")
    deployed.store(FOREIGN, "theirs")
    if row.mode == "prodwatch may not read the table":
        embedded.faults.add(Fault(kind="access_denied", operation="dynamodb:GetItem"))
    else:
        deployed.__dict__.update(BREAKS[row.mode])
    outcome = prodwatch.check(row.check)
    embedded.faults.clear()
    row.judge(outcome)
    # A result under an id that no check expects is not the check's to delete.
    assert [key for key in deployed.left() if not key.startswith("results/")] == [FOREIGN]
    assert bool(outcome.leftovers()) == (row.mode in ABSENT)
