"""Logs Insights through an SDK: filters, counts, the states of a query, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from prodwatch.demo.aws import EmbeddedAws
from prodwatch.demo.aws.logs.insights import RUNS_S

GROUP = "/aws/lambda/pay"
LINES = (
    "[ERROR] KeyError: 'tenant'",
    "[ERROR] KeyError: 'tenant'",
    json.dumps({"level": "ERROR", "message": "no stock", "order": {"id": 7}}),
    json.dumps({"level": "INFO", "message": "sold"}),
    "Task timed out after 3.00 seconds",
)


async def run(call: Any, aws: EmbeddedAws, wall: Any, text: str, **params: Any) -> Any:
    aws.logs.put(GROUP, "s", [(wall.now_ms - 60_000 + number, line) for number, line in enumerate(LINES)])
    now_s = int(wall.now_s)
    window = {"logGroupName": GROUP, "startTime": now_s - 3600, "endTime": now_s}
    started = await call("logs", "StartQuery", **{**window, "queryString": text, **params})
    assert (await call("logs", "GetQueryResults", **started))["status"] == "Running"
    wall.now_s += RUNS_S
    return await call("logs", "GetQueryResults", **started)


def rows(result: Any) -> list[dict[str, str]]:
    return [{each["field"]: each["value"] for each in row} for row in result["results"]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "filter @message like /(?i)keyerror|stock/ | stats count(*) as lines by @message | sort lines desc",
            [{"@message": LINES[0], "lines": "2"}, {"@message": LINES[2], "lines": "1"}],
        ),
        ("fields message | filter level = 'ERROR' and not (order.id = '8')", [{"message": "no stock"}]),
        ("fields message | filter level in ['WARN', 'INFO']", [{"message": "sold"}]),
        ("filter level != 'INFO' | stats count(*)", [{"count(*)": "4"}]),
        ('filter @message like "timed out" or level = "INFO" | stats count(*) as n', [{"n": "2"}]),
        ("fields @message | sort @timestamp asc | limit 1", [{"@message": LINES[0]}]),
    ],
)
async def test_a_query_filters_and_counts(
    call: Any, aws: EmbeddedAws, wall: Any, text: str, expected: list[dict[str, str]]
) -> None:
    result = await run(call, aws, wall, text)
    assert (result["status"], rows(result)) == ("Complete", expected)
    assert result["statistics"]["recordsScanned"] == len(LINES)
    assert result["statistics"]["bytesScanned"] == sum(map(len, LINES))


@pytest.mark.parametrize(
    "text",
    [
        "parse @message '*' as x",
        "stats sum(order.id)",
        "filter level ~ 'x'",
        "filter @message like 7",
        "filter @message like /(/",
        "fields 'quoted'",
        "limit 0",
        "fields @message extra",
        "filter",
    ],
)
async def test_a_query_that_it_does_not_understand_is_malformed(
    call: Any, aws: EmbeddedAws, wall: Any, text: str
) -> None:
    with pytest.raises(ClientError, match="MalformedQueryException"):
        await run(call, aws, wall, text)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"logGroupName": "none"}, "ResourceNotFoundException"),
        ({"endTime": 1}, "InvalidParameterException"),
        ({"logGroupName": "", "logGroupNames": [GROUP, "other"]}, "InvalidParameterException"),
    ],
    ids=str,
)
async def test_invalid_parameters_are_refused(
    call: Any, aws: EmbeddedAws, wall: Any, params: dict[str, Any], code: str
) -> None:
    params = {name: value for name, value in params.items() if value}
    if "logGroupNames" in params:
        aws.logs.put(GROUP, "s", [(wall.now_ms, "x")])
        now_s = int(wall.now_s)
        with pytest.raises(ClientError, match=code):
            await call("logs", "StartQuery", startTime=now_s - 1, endTime=now_s, queryString="limit 1", **params)
        return
    with pytest.raises(ClientError, match=code):
        await run(call, aws, wall, "limit 1", **params)


async def test_a_stopped_query_is_cancelled_and_an_ended_one_cannot_be_stopped(
    call: Any, aws: EmbeddedAws, wall: Any
) -> None:
    aws.logs.put(GROUP, "s", [(wall.now_ms, "x")])
    now_s = int(wall.now_s)
    window = {"logGroupName": GROUP, "startTime": now_s - 60, "endTime": now_s, "queryString": "limit 1"}
    first, second = await call("logs", "StartQuery", **window), await call("logs", "StartQuery", **window)
    assert await call("logs", "StopQuery", **first) == {"success": True}
    assert (await call("logs", "GetQueryResults", **first))["status"] == "Cancelled"
    wall.now_s += RUNS_S
    with pytest.raises(ClientError, match="InvalidParameterException"):
        await call("logs", "StopQuery", **second)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        await call("logs", "GetQueryResults", queryId="absent")
