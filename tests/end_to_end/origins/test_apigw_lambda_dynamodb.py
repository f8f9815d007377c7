"""apigw-lambda-dynamodb: items that a check caused without seeding them are cleaned up."""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from prodwatch.demo.aws import EmbeddedAws
from prodwatch.demo.workload import WebRequest, WebResponse

PAGE = "apigw-lambda-dynamodb"
FOREIGN = {"PK": {"S": "TEST001-of-another-run"}, "SK": {"S": "NAME#"}, "data": {"S": "Theirs"}}


class Sample:
    """One deployment; its attributes select its faults."""

    def __init__(self, clients: Callable[[str], Any], embedded: EmbeddedAws, cleaning: threading.Event) -> None:
        self.name = f"sample-{uuid.uuid4().hex[:8]}"
        self.table = f"{self.name}-table"
        self.reads_another = False
        """The function reads another table."""
        self.name_of_all: str | None = None
        """Name that the function finds for every id."""
        self.raises = False
        self.notes = 1
        """Number of items written per call."""
        self.late = False
        """Items are written only after the check has ended its wait."""
        self._cleaning = cleaning
        self._pending: list[threading.Thread] = []
        self._dynamodb = clients("dynamodb")
        outputs = {
            "HelloPersonApi": f"{embedded.url}/{self.name}/Prod/hello/{{id}}",
            "DynamoDBTableName": self.table,
        }
        body = {
            "Resources": {
                logical: {"Type": "AWS::DynamoDB::Table", "Properties": table(name)}
                for logical, name in (("DynamoDBTable", self.table), ("Another", f"{self.name}-another"))
            },
            "Outputs": {name: {"Value": value} for name, value in outputs.items()},
        }
        clients("cloudformation").create_stack(StackName=self.name, TemplateBody=json.dumps(body))
        embedded.mount(f"/{self.name}/Prod/hello", self._hello)

    def put(self, item: dict[str, Any]) -> None:
        self._dynamodb.put_item(TableName=self.table, Item=item)

    def items(self) -> list[dict[str, Any]]:
        return list(self._dynamodb.scan(TableName=self.table)["Items"])

    def busy(self) -> bool:
        """Return whether an item is still to come."""
        return self._cleaning.is_set() and any(thread.is_alive() for thread in self._pending)

    def close(self) -> None:
        for thread in self._pending:
            thread.join()

    def _put_late(self, item: dict[str, Any]) -> None:
        assert self._cleaning.wait(20)
        self.put(item)

    async def _hello(self, request: WebRequest) -> WebResponse:
        if self.raises:
            return WebResponse(status=502, body=b'{"message": "Internal server error"}')
        return await asyncio.to_thread(self._answer, request.path.strip("/"))

    def _answer(self, id_: str) -> WebResponse:
        """Do what the sample's function does."""
        reads = f"{self.name}-another" if self.reads_another else self.table
        found = self._dynamodb.get_item(TableName=reads, Key={"PK": {"S": id_}, "SK": {"S": "NAME#"}})
        name = self.name_of_all or found.get("Item", {}).get("data", {}).get("S")
        message = f"Hello {name}!" if name else f"NOTFOUND: Name Not Found for ID {id_}"
        for _ in range(self.notes):
            stamp = datetime.now(UTC).strftime("DT#%Y%m%dT%H%M%S.%f")
            item = {"PK": {"S": id_}, "SK": {"S": stamp}, "data": {"S": message}}
            if self.late:
                self._pending.append(threading.Thread(target=self._put_late, args=[item]))
                self._pending[-1].start()
            else:
                self.put(item)
        return WebResponse(status=200 if name else 404, body=message.encode(), headers={"content-type": "text/plain"})


def table(name: str) -> dict[str, Any]:
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key in ("PK", "SK")],
        "KeySchema": [{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
    }


@pytest.fixture
def deployed(
    clients: Callable[[str], Any],
    embedded: EmbeddedAws,
    aim: Callable[[str], None],
    cleaning: threading.Event,
    under_way: list[Callable[[], bool]],
) -> Iterator[Sample]:
    made = Sample(clients, embedded, cleaning)
    under_way.append(made.busy)
    aim(made.name)
    yield made
    made.close()


BREAKS: dict[str, dict[str, Any]] = {
    "the function reads another table": {"reads_another": True},
    "the function greets another person": {"name_of_all": "Another Person"},
    "the function greets every id": {"name_of_all": "Every Id"},
    "the item comes too late": {"late": True},
    "the item never comes": {"notes": 0},
    "the item comes twice": {"notes": 2},
    "the function raises": {"raises": True},
}
NO_ITEM = {"the item never comes", "the function raises"}


def test_all_three_pass_and_leave_nothing_behind(deployed: Sample, prodwatch: Any) -> None:
    deployed.put(FOREIGN)
    outcome = prodwatch.check()
    assert outcome.code == 0, outcome.document["verdict"]
    assert len(outcome.statuses) == 3
    assert deployed.items() == [FOREIGN]
    assert not outcome.leftovers()


def test_what_goes_wrong_is_said(row: Any, deployed: Sample, prodwatch: Any) -> None:
    deployed.__dict__.update(BREAKS[row.mode])
    deployed.put(FOREIGN)
    outcome = prodwatch.check(row.check)
    assert deployed.items() == [FOREIGN]
    assert bool(outcome.leftovers()) == (row.mode in NO_ITEM)
    row.judge(outcome)
