"""Logs: the whole window, however it is served, and no clean bill without proof."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from prodwatch.clock import SystemClock
from prodwatch.demo.aws import Fault
from prodwatch.model.status import Reason, Status
from prodwatch.probes.logs import probe as logs_probe
from prodwatch.probes.logs.pattern import keeper

ID = "8f5d9e2a-1111-4222-8333-123456789abc"


def write(bench: Any, *messages: str, stream: str = "2026/11/20/[7]ab", age_s: float = 1.0, group: str = "") -> str:
    name = group or f"/aws/lambda/{bench.name}"
    at_ms = int((SystemClock().now().timestamp() - age_s) * 1000)
    bench.world.logs.put(name, stream, [(at_ms + number, message) for number, message in enumerate(messages)])
    return name


async def test_lines_as_assertions_read_them(bench: Any) -> None:
    report = f"REPORT RequestId: {ID}\tDuration: 12.34 ms\tBilled Duration: 13 ms\tInit Duration: 9.00 ms"
    entry = json.dumps({"level": "ERROR", "message": "no currency", "total": 1.10, "function_request_id": ID})
    group = write(bench, f"START RequestId: {ID} Version: 7", entry, report)
    found = await bench.run("logs", {"group": group})
    assert found.failure is None
    assert found.complete
    document = found.document
    assert (document["count"], document["cold_starts"], document["complete"]) == (3, 1, True)
    line = document["lines"][1]
    assert line["message"] == entry
    assert line["json"]["total"] == Decimal("1.1")
    assert (line["level"], line["version"], line["request_id"]) == ("ERROR", "7", ID)
    assert line["stream"] == "2026/11/20/[7]ab"
    assert line["timestamp"].tzinfo is UTC
    assert "json" not in document["lines"][0]
    assert found.exchange.aws_cli.startswith(f"aws logs filter-log-events --log-group-name {group} --start-time ")


async def test_empty_short_and_throttled_pages_lose_nothing(bench: Any) -> None:
    group = write(bench, *(f"line {number}" for number in range(300)), age_s=10)
    bench.world.faults.add(
        Fault(operation="logs:FilterLogEvents", kind="empty_page", probability=0.4),
        Fault(operation="logs:FilterLogEvents", kind="short_page", probability=0.6),
        Fault(operation="logs:FilterLogEvents", kind="throttle", count=2),
    )
    found = await bench.run("logs", {"group": group}, timeout_s=30)
    assert [line["message"] for line in found.document["lines"]] == [f"line {number}" for number in range(300)]
    assert found.complete


@pytest.mark.parametrize(
    ("since", "until", "count"),
    [
        ("5m", None, 2),
        ("90s", None, 1),
        ("-90s", None, 1),
        ("1h", None, 3),
        ("1h", "2m", 2),
        ("release", None, 2),
        (lambda now: (now - timedelta(seconds=90)).isoformat(), None, 1),
        (lambda now: now - timedelta(seconds=90), None, 1),
    ],
)
async def test_windows(bench: Any, since: Any, until: Any, count: int) -> None:
    now = datetime.now(UTC)
    for age_s in (30, 200, 1800):
        group = write(bench, f"{age_s}", age_s=age_s)
    params = {"group": group, "since": since(now) if callable(since) else since} | ({"until": until} if until else {})
    found = await bench.run("logs", params, release_started_at=now - timedelta(minutes=4))
    assert found.failure is None
    assert found.document["count"] == count


@pytest.mark.parametrize(("since", "complete"), [("1s", False), ("9s", False), ("60s", True), ("release", True)])
async def test_a_window_too_young_to_show_anything_proves_no_absence(bench: Any, since: str, complete: bool) -> None:
    group = write(bench, "old", age_s=100)
    found = await bench.run("logs", {"group": group, "since": since}, release_started_at=datetime.now(UTC))
    assert found.complete is complete
    assert found.document["complete"] is complete


async def test_a_release_that_is_not_known_cannot_be_a_window(bench: Any) -> None:
    found = await bench.run("logs", {"group": "g", "since": "release"})
    assert (found.failure.status, found.failure.reason) == (Status.INCONCLUSIVE, Reason.NO_DATA)
    assert not bench.world.call_counts


async def test_a_window_nobody_understands_is_refused(bench: Any) -> None:
    found = await bench.run("logs", {"group": "g", "since": "yesterday"})
    assert (found.failure.status, found.failure.reason) == (Status.ERROR, Reason.INVALID)


@pytest.mark.parametrize(
    ("params", "messages"),
    [
        ({"version": "7"}, ["a", '{"n": 1, "service": "orders"}']),
        ({"version": "8"}, ["b"]),
        ({"version": 7}, ["a", '{"n": 1, "service": "orders"}']),
        ({"filter": "a"}, ["a"]),
        ({"filter": '{ $.service = "orders" }'}, ['{"n": 1, "service": "orders"}']),
        ({"filter": '{ $.service = "other" }'}, []),
        ({"fields": ["n"]}, ['{"n": 1, "service": "orders"}']),
        ({"fields": {"n": 1, "service": "orders"}}, ['{"n": 1, "service": "orders"}']),
        ({"fields": {"n": 2}}, []),
        ({"fields": {"n": True}}, []),
        ({"fields": "absent"}, []),
    ],
    ids=str,
)
async def test_filters(bench: Any, params: dict[str, Any], messages: list[str]) -> None:
    group = write(bench, "a", '{"n": 1, "service": "orders"}')
    write(bench, "b", stream="2026/11/20/[8]cd")
    found = await bench.run("logs", {"group": group} | params)
    assert [line["message"] for line in found.document["lines"]] == messages


@pytest.mark.parametrize(
    ("fields", "doubt"),
    [
        ({"n": 1}, None),
        ({"n": 2}, None),
        (["typo"], None),
        ({"deep.x": 1}, None),
        (
            {"n": 1, "typo": 1},
            "none of the 3 lines read has the field `typo`, so that none has its value proves nothing",
        ),
    ],
    ids=str,
)
async def test_a_field_that_no_line_has_proves_no_absence(bench: Any, fields: Any, doubt: str | None) -> None:
    group = write(bench, "a", '{"n": 1}', '{"deep": {"x": 2}}')
    assert (await bench.run("logs", {"group": group, "fields": fields})).doubt == doubt


async def test_no_line_at_all_leaves_no_doubt(bench: Any) -> None:
    group = write(bench, "a", '{"n": 1}', age_s=900)
    found = await bench.run("logs", {"group": group, "fields": {"typo": 1}, "since": "1m"})
    assert (found.document["count"], found.doubt) == (0, None)


async def test_a_prefix_reads_every_group(bench: Any) -> None:
    for number in range(3):
        write(bench, f"from {number}", group=f"/{bench.name}/{number}")
    found = await bench.run("logs", {"group": f"/{bench.name}/*"})
    assert sorted(line["message"] for line in found.document["lines"]) == ["from 0", "from 1", "from 2"]


@pytest.mark.parametrize("group", ["/aws/lambda/never-invoked", "/never/*"])
async def test_a_missing_group_is_not_yet_and_proves_nothing(bench: Any, group: str) -> None:
    found = await bench.run("logs", {"group": group})
    assert (found.failure.status, found.failure.reason) == (Status.INCONCLUSIVE, Reason.NO_DATA)
    assert not found.complete or "*" in group
    assert found.document["count"] == 0


async def test_a_denied_group_is_an_error_that_names_the_action(bench: Any) -> None:
    group = write(bench, "x")
    bench.world.faults.add(Fault(operation="logs:FilterLogEvents", kind="access_denied"))
    found = await bench.run("logs", {"group": group})
    assert (found.failure.status, found.failure.reason) == (Status.ERROR, Reason.ACCESS_DENIED)
    assert "permission logs:FilterLogEvents is missing" in found.failure.message
    assert not found.complete


async def test_a_window_that_could_not_be_finished_proves_nothing(bench: Any) -> None:
    group = write(bench, *(f"line {number}" for number in range(50)), age_s=5)
    bench.world.faults.add(
        Fault(operation="logs:FilterLogEvents", kind="empty_page"),
        Fault(operation="logs:FilterLogEvents", kind="delay", delay_s=0.1),
    )
    found = await bench.run("logs", {"group": group}, timeout_s=0.7)
    assert found.failure is None
    assert not found.complete
    assert found.document["complete"] is False
    assert "not read to its end" in found.notices[0]


async def test_more_lines_than_are_kept_prove_nothing(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs_probe, "MAX_LINES", 10)
    group = write(bench, *(f"line {number}" for number in range(50)), age_s=5)
    found = await bench.run("logs", {"group": group})
    assert found.document["count"] == 10
    assert not found.complete


LINE = '{"level": "ERROR", "n": 5, "ok": true, "user": {"name": "ada"}}'


@pytest.mark.parametrize(
    ("pattern", "message", "kept"),
    [
        (None, "anything", True),
        ("", "anything", True),
        ("ERROR", "[ERROR] x", True),
        ("ERROR", "[INFO] x", False),
        ("ERROR timeout", "timeout ERROR", True),
        ("ERROR timeout", "ERROR", False),
        ('"no such"', "there is no such thing", True),
        ('"no such"', "no  such", False),
        ("?ERROR ?WARN", "WARN x", True),
        ("?ERROR ?WARN", "INFO x", False),
        ("ERROR ?WARN", "ERROR x", True),
        ("ERROR -timeout", "ERROR timeout", True),
        ("%ERR[0-9]%", "nothing like it", True),
        ("[a, b, c]", "nothing like it", True),
        ('{ $.level = "ERROR" }', LINE, True),
        ('{ $.level = "ERR*" }', LINE, True),
        ('{ $.level = "*RR*" }', LINE, True),
        ('{ $.level = "E*R*R" }', LINE, True),
        ('{ $.level = "ERR*RROR" }', LINE, False),
        ('{ $.level = "E*X*R" }', LINE, False),
        ('{ $.level != "E*R" }', LINE, False),
        ('{ $.m = "*a*a*a*a*a*a*a*a*a*a*a*a*b" }', '{"m": "' + "a" * 5_000 + '"}', False),
        ('{ $.level = "INFO" }', LINE, False),
        ('{ $.level != "INFO" }', LINE, True),
        ('{ $.level != "ERROR" }', LINE, False),
        ("{ $.n = 5 }", LINE, True),
        ("{ $.n > 4.5 }", LINE, True),
        ("{ $.n >= 6 }", LINE, False),
        ("{ $.n < 6 && $.level = ERROR }", LINE, True),
        ("{ $.n < 5 && $.level = ERROR }", LINE, False),
        ("{ $.n < 5 || $.level = ERROR }", LINE, True),
        ('{ $.user.name = "ada" }', LINE, True),
        ('{ $.user.mail = "x" }', LINE, False),
        ("{ $.ok IS TRUE }", LINE, True),
        ("{ $.ok = true }", LINE, True),
        ("{ ($.n = 1) || ($.n = 2) }", LINE, True),
        ('{ $.level = "ERROR" }', "plain text", False),
        ("{ $.level > 3 }", LINE, False),
        pytest.param(r'"C:\\temp"', r"open C:\temp failed", True, id="escaped backslash"),
        pytest.param(r'"say \"no\""', 'they say "no"', True, id="escaped quote"),
        pytest.param(r'{ $.path = "C:\\temp" }', r'{"path": "C:\\temp"}', True, id="escaped backslash in JSON"),
        pytest.param('{ $.level = "ERROR" }', ' {"level":"ERROR"}', True, id="space before JSON"),
        pytest.param('{ $.level = "ERROR" }', '\n{"level":"ERROR"}', True, id="line break before JSON"),
        pytest.param('{ $.level = "ERROR" }', '\ufeff{"level":"ERROR"}', True, id="mark before JSON"),
        pytest.param('{ $.level = "ERROR" }', 'INFO {"level":"ERROR"}', True, id="prefix before JSON"),
        ("{ $.latency > 1000 }", '{"latency": "2000"}', True),
        ("{ $.n = 2000 }", '{"n": "2000"}', True),
        ("{ $.n = 2000 }", '{"n": "2e3"}', True),
        ("{ $.n = 2000 }", '{"n": "many"}', False),
        ("{ $.n > 2000 }", '{"n": null}', True),
        ("{ $.n > 2000 }", '{"n": true}', True),
    ],
)
def test_W7_only_what_certainly_does_not_match_is_thrown_out(pattern: str | None, message: str, kept: bool) -> None:
    parsed = json.loads(message, parse_float=Decimal) if message.startswith("{") else None
    assert keeper(pattern)(message, parsed) is kept


@pytest.mark.parametrize("type_", ["logs", "traces"])
async def test_nothing_is_absent_since_an_instant_to_come(bench: Any, type_: str) -> None:
    asked = {"logs": {"group": "/aws/lambda/x"}, "traces": {"filter": 'service("shop-api")'}}[type_]
    found = await bench.run(type_, {**asked, "since": "2099-01-01T00:00:00Z"})
    assert (found.failure.status, found.failure.reason) == (Status.INCONCLUSIVE, Reason.NO_DATA)
    assert "is in the future" in found.failure.message
    assert "count" not in found.document


class AtAws:
    """AWS itself: its lines match the pattern, whatever they look like here."""

    def __init__(self, aws: Any, endpoint_url: str) -> None:
        self._aws = aws
        self._endpoint_url = endpoint_url

    def __getattr__(self, name: str) -> Any:
        return getattr(self._aws, name)

    async def client(self, *_: Any, **__: Any) -> Any:
        return SimpleNamespace(meta=SimpleNamespace(endpoint_url=self._endpoint_url))

    async def pages(self, *_: Any, **__: Any) -> AsyncIterator[dict[str, Any]]:
        yield {"events": [{"eventId": "1", "timestamp": 1, "message": "a line that CloudWatch found"}]}


@pytest.mark.parametrize(
    ("endpoint_url", "count"),
    [
        ("https://logs.eu-west-1.amazonaws.com", 1),
        ("https://vpce-1-x.logs.eu-west-1.vpce.amazonaws.com", 1),
        ("https://logs.cn-north-1.amazonaws.com.cn", 1),
        ("http://localhost:4566", 0),
        ("https://amazonaws.com.example.org", 0),
    ],
)
async def test_W7_a_line_that_aws_itself_found_is_kept(bench: Any, endpoint_url: str, count: int) -> None:
    asked = {"group": "/g", "filter": '"another text"'}
    found = await bench.run("logs", asked, aws=AtAws(bench.aws, endpoint_url))
    assert found.document["count"] == count
