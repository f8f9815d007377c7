"""The durable-function sample, against a script: one invocation, a result inside a text, a band for its duration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from prodwatch.demo.aws.api_call import Document, ServiceError

PAGE = "durable-functions"
ARN = "arn:aws:lambda:eu-west-1:123456789012:function:order-processor:3/durable-execution"


@dataclass
class Sample:
    """The function and its table, as scripted; the defaults are right."""

    looks: int = 3
    """Number of reads that find it running."""
    seconds: float = 11.0
    fails: bool = False
    accepts_everything: bool = False
    statuses: tuple[str, ...] = ("validated", "paid", "confirmed")
    amount: str = "99.99"
    stored_amount: str = "99.99"
    stores: bool = True
    alias: str = "dev"
    _order: str | None = None
    _started: datetime | None = None

    def invoke(self, params: Document) -> Document:
        if params["Qualifier"] != self.alias:
            name = f"Function not found: {params['FunctionName']}:{params['Qualifier']}"
            raise ServiceError("ResourceNotFoundException", name, status=404)
        self._order = json.loads(params["Payload"]).get("orderId")
        self._started = datetime.now(UTC).replace(microsecond=250_000)
        name = params.get("DurableExecutionName", "8a3c1c1e")
        return {"StatusCode": 202, "Payload": b"", "DurableExecutionArn": f"{ARN}/{name}/0f6c"}

    def get_execution(self, params: Document) -> Document:
        assert self._started is not None
        response: Document = {
            "DurableExecutionArn": params["DurableExecutionArn"],
            "DurableExecutionName": params["DurableExecutionArn"].split("/")[2],
            "FunctionArn": ARN.removesuffix("/durable-execution"),
            "StartTimestamp": self._started,
            "Status": "RUNNING",
        }
        self.looks -= 1
        if self.looks >= 0:
            return response
        response["EndTimestamp"] = self._started + timedelta(seconds=self.seconds)
        if self.fails or (self._order is None and not self.accepts_everything):
            error = {"ErrorType": "KeyError", "ErrorMessage": "'orderId'"}
            return response | {"Status": "FAILED", "Error": error}
        return response | {"Status": "SUCCEEDED", "Result": self._result()}

    def _result(self) -> str:
        steps = ", ".join(self._steps())
        order = json.dumps(self._order)
        stored = f'{{"status": "persisted", "orderId": {order}}}'
        return f'{{"orderId": {order}, "status": "completed", "steps": [{steps}], "persistence": {stored}}}'

    def _steps(self) -> list[str]:
        return [
            f'{{"status": "{status}"{f", {chr(34)}amount{chr(34)}: {self.amount}" if status == "paid" else ""}}}'
            for status in self.statuses
        ]

    def get_item(self, params: Document) -> Document:
        assert params["ConsistentRead"] is True
        if not self.stores or params["Key"] != {"orderId": {"S": self._order}}:
            return {"ConsumedCapacity": {"TableName": "Orders", "CapacityUnits": 0.5}}
        texts = {"status": "completed", "completedAt": "2026-11-20T08:00:11", "createdAt": "2026-11-20T08:00:11"}
        item: dict[str, Mapping[str, Any]] = {name: {"S": text} for name, text in texts.items()}
        item |= {"orderId": {"S": self._order}, "steps": {"S": f"[{', '.join(self._steps())}]"}}
        return {"Item": item | {"amount": {"N": self.stored_amount}, "ttl": {"N": "1800000000"}}}

    def delete_item(self, params: Document) -> Document:
        found = self.stores and params["Key"] == {"orderId": {"S": self._order}}
        self.stores = False
        return {"Attributes": params["Key"]} if found else {}


@pytest.fixture
def sample(double: Any) -> Sample:
    made = Sample()
    double.stack(OrderProcessorFunctionName="order-processor-cloud-test", OrdersTableName="Orders")
    double.answers |= {
        "lambda:Invoke": made.invoke,
        "lambda:GetDurableExecution": made.get_execution,
        "dynamodb:GetItem": made.get_item,
        "dynamodb:DeleteItem": made.delete_item,
    }
    return made


BREAKS: dict[str, dict[str, Any]] = {
    "the execution does not end within 30 s": {"looks": 1000},
    "the execution fails": {"fails": True, "stores": False},
    "the wait is left out": {"seconds": 0.8},
    "the execution takes 20 s": {"seconds": 20.0},
    "the steps run in another order": {"statuses": ("paid", "validated", "confirmed")},
    "a step runs twice": {"statuses": ("validated", "paid", "paid", "confirmed")},
    "the amount is rounded": {"amount": "100"},
    "the order is not stored": {"stores": False},
    "another amount is stored": {"stored_amount": "99.9899999"},
    "the alias does not exist": {"alias": "live", "stores": False},
    "it is accepted": {"accepts_everything": True},
}


def test_an_order_is_processed(sample: Sample, double: Any, prodwatch: Any) -> None:
    outcome = prodwatch.check("is processed")
    assert outcome.code == 0, outcome.document["verdict"]
    assert double.called() == [
        "cloudformation:DescribeStacks",
        "lambda:Invoke",
        "lambda:GetDurableExecution",
        "dynamodb:GetItem",
        "dynamodb:DeleteItem",
    ]
    assert len(double.params("lambda:Invoke")) == 1
    assert not sample.stores


def test_an_order_without_an_id_fails_as_it_should(sample: Sample, double: Any, prodwatch: Any) -> None:
    outcome = prodwatch.check("without an id")
    assert outcome.code == 0, outcome.document["verdict"]
    assert double.params("lambda:Invoke")[0]["Payload"] == b"{}"


def test_what_goes_wrong_is_said(row: Any, sample: Sample, double: Any, prodwatch: Any) -> None:
    for name, value in BREAKS[row.mode].items():
        setattr(sample, name, value)
    nothing_stored = not sample.stores
    outcome = prodwatch.check(row.check)
    row.judge(outcome)
    assert len(double.params("lambda:Invoke")) == 1
    assert bool(outcome.leftovers()) == nothing_stored
