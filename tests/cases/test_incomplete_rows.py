"""Windows that slide away from what they should see, and readings that are not whole, on a virtual clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from prodwatch.assertions import evaluate, parse
from prodwatch.aws.interface import AwsError
from prodwatch.errors import ConfigurationError
from prodwatch.model.check import Capture, Poll, Repeat
from prodwatch.model.environment import ReleaseTarget
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Failure, Observation
from prodwatch.settings import load_project
from prodwatch.testing.check_runner import Bench
from prodwatch.testing.clock import START
from prodwatch.testing.definitions import environment, flow, plain, step
from tests.support.case_project import CaseProject
from tests.support.forged_aws import World


async def outcome(bench: Bench, checks: str) -> str:
    """Return the status of the only check in `checks`, `refused` when the file is a mistake."""
    for path, text in (("config/t.toml", "protected = false\n"), ("checks/c.toml", checks)):
        target = bench.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    try:
        project = load_project(root=bench.root, env="t", environ={})
    except ConfigurationError:
        return "refused"
    return str((await bench.one(project.checks[0])).status)


LATE_LINE = """
[[check]]
name = "no error"
type = "logs"
group = "/shop/web"
since = "10s"
hold = "{hold}"
expect = ["count == 0"]
"""


@pytest.mark.parametrize("hold", ["30s", "60s"])
async def test_A5_a_line_that_becomes_visible_late_stays_in_the_window_of_a_hold(hold: str, bench: Bench) -> None:
    def lines(request: Mapping[str, Any]) -> dict[str, Any]:
        at_ms = int((START + timedelta(seconds=2)).timestamp() * 1000)
        shown = bench.clock.monotonic_s() >= 15 and request["startTime"] <= at_ms
        event = {"eventId": "1", "timestamp": at_ms, "message": "ERROR no stock", "logStreamName": "s"}
        return {"events": [event] if shown else []}

    bench.aws.answers["logs:FilterLogEvents"] = lines
    assert await outcome(bench, LATE_LINE.format(hold=hold)) == "fail"


LATE_TRACE = """
[[check]]
name = "no fault"
type = "traces"
filter = "fault"
since = "60s"
min = 0
hold = { for = "150s", every = "5s" }
expect = ["count == 0"]
"""


async def test_A5_a_trace_that_becomes_visible_late_stays_in_the_window_of_a_hold(bench: Bench) -> None:
    at = START + timedelta(seconds=2)
    summary = {"Id": "1-5f84c7a5-cd52b1d2e1c4a3b2c1d0e9f8", "StartTime": at, "HasFault": True, "Duration": 0.1}

    def summaries(request: Mapping[str, Any]) -> dict[str, Any]:
        shown = bench.clock.monotonic_s() >= 90 and request["StartTime"] <= at < request["EndTime"]
        return {"TraceSummaries": [summary] if shown else []}

    bench.aws.answers["xray:GetTraceSummaries"] = summaries
    assert await outcome(bench, LATE_TRACE) == "fail"


LATE_POINT = """
[[check]]
name = "no errors"
type = "metric"
namespace = "Shop"
metric = "Errors"
stat = "Sum"
window = "2m"
missing = "zero"
hold = { for = "6m", every = "20s" }
expect = ["value == 0"]
"""


async def test_A5_a_point_that_becomes_visible_late_stays_in_the_window_of_a_hold(bench: Bench) -> None:
    def points(request: Mapping[str, Any]) -> dict[str, Any]:
        shown = bench.clock.monotonic_s() >= 200 and request["StartTime"] <= START < request["EndTime"]
        series = {"Timestamps": [START], "Values": [3.0]} if shown else {"Timestamps": [], "Values": []}
        queries = [query for query in request["MetricDataQueries"] if query.get("ReturnData", True)]
        return {"MetricDataResults": [{"Id": each["Id"], "StatusCode": "Complete", **series} for each in queries]}

    bench.aws.answers["cloudwatch:GetMetricData"] = points
    assert await outcome(bench, LATE_POINT) == "fail"


def test_A5_validate_refuses_a_window_that_cannot_see_its_own_hold(project: CaseProject) -> None:
    # The window ends a minute ago: no look of the hold can see anything that is written during it.
    project.write("checks/c.toml", LATE_LINE.format(hold="30s").replace("hold =", 'until = "1m"\nhold ='))
    ended = project.run("validate")
    assert ended.code == 2, ended.said
    assert "hold" in ended.err


PART: dict[str, Any] = {
    "count": 2,
    "complete": False,
    "lines": [{"level": "INFO", "ts": 1}, {"level": "ERROR", "ts": 2}],
    "annotations": {"order": ["7"]},
    "path": ["api", "orders"],
}
OPERATORS = (
    "== 0",
    "!= 0",
    "> 0",
    ">= 1",
    "< 1",
    "<= 0",
    "between 1 and 5",
    "in [0, 1]",
    "not in [1, 2]",
    "is integer",
    "exists",
    "absent",
    "contains 'x'",
    "not contains 'x'",
    "matches 'x'",
    "starts with 'x'",
    "ends with 'x'",
    "equals unordered [1]",
)


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("function", ["length", "keys", "sum", "max"])
def test_A14_a_function_over_what_is_not_there_yet_is_undecided(function: str, operator: str) -> None:
    source = f"{function}(annotations.price) {operator}"
    assert evaluate(parse(source), PART, complete=False).ok is None


@pytest.mark.parametrize("operator", OPERATORS)
def test_A14_a_path_that_is_not_there_yet_is_undecided(operator: str) -> None:
    assert evaluate(parse(f"annotations.price {operator}"), PART, complete=False).ok is None


@pytest.mark.parametrize(
    "source",
    [
        "lines[-1].level == 'ERROR'",
        "lines[-1].level contains 'ERR'",
        "max_by(lines, &ts).level == 'ERROR'",
        "max_by(lines, &ts).level contains 'ERR'",
        "sort_by(lines, &ts)[0].level contains 'INFO'",
        "sort_by(lines, &ts)[0].level not contains 'INFO'",
        "reverse(lines)[0].level contains 'ERR'",
        "complete == true",
    ],
)
def test_A14_a_claim_that_one_more_line_could_overturn_is_undecided(source: str) -> None:
    assert evaluate(parse(source), PART, complete=False).ok is None


OPERANDS = {
    "there": ("lines[0].level", True),
    "missing": ("annotations.price", None),
    "the last": ("lines[-1].level", None),
    "computed": ("reverse(lines)[0].level", None),
    "about the reading": ("complete", None),
}
DECIDABLE = {"exists", "contains 'x'", "contains 'INFO'", "== 'INFO'", "starts with 'I'", "is string"}
"""Claims on an element that was read which more data cannot overturn when they are true."""


@pytest.mark.parametrize("operator", [*OPERATORS, "contains 'INFO'", "== 'INFO'", "starts with 'I'", "is string"])
@pytest.mark.parametrize("operand", OPERANDS)
def test_A14_what_more_data_could_overturn_is_undecided(operand: str, operator: str) -> None:
    path, settled = OPERANDS[operand]
    whole = evaluate(parse(f"{path} {operator}"), PART, complete=True).ok
    part = evaluate(parse(f"{path} {operator}"), PART, complete=False).ok
    if part is not None:
        assert settled
        assert part is whole
    if settled and whole and operator in DECIDABLE:
        assert part is True


@pytest.mark.parametrize("key", ["expect", "until", "stop_when", "warn"])
async def test_A14_every_key_leaves_an_incomplete_reading_undecided(key: str, bench: Bench) -> None:
    bench.script("scripted", Observation(document={"lines": [], "ok": True}, complete=False))
    claim = ("length(lines) == 0",)
    poll = Poll(within_s=2.0, until=claim) if key == "until" else None
    if key == "stop_when":
        poll = Poll(within_s=2.0, until=("length(lines) > 0",), stop_when=claim)
    keys: dict[str, Any] = {} if key in {"until", "stop_when"} else {key: list(claim)}
    found = await bench.one(plain(poll=poll, **({"expect": ["ok == true"]} | keys)))
    assert found.status in ({Status.DEGRADED} if key == "warn" else {Status.INCONCLUSIVE})


PARTS = {
    "count": (3, Status.INCONCLUSIVE),
    "length(lines)": (2, Status.INCONCLUSIVE),
    "lines": ([{"id": "a"}, {"id": "b"}], Status.INCONCLUSIVE),
    "lines[-1].id": ("b", Status.INCONCLUSIVE),
    "reverse(lines)[0].id": ("b", Status.INCONCLUSIVE),
    "complete": (False, Status.INCONCLUSIVE),
    "body": ("par", Status.INCONCLUSIVE),
    "lines[0].id": ("a", Status.PASS),
    "status": (200, Status.PASS),
    "headers.etag": ("e", Status.PASS),
}
"""Path → the value that it reads from a part, and the status of a step that captures it."""


@pytest.mark.parametrize(("path", "status"), [("count", Status.INCONCLUSIVE), ("status", Status.PASS)])
async def test_A14_a_captured_value_of_a_doubtful_selection_is_undecided(
    path: str, status: Status, bench: Bench
) -> None:
    doubt = "3 lines carry no version, so the filter says nothing about them"
    bench.script("scripted", Observation(document={"status": 200, "count": 0}, doubt=doubt))
    found = await bench.one(flow("f", step("read", "scripted", capture={"seen": Capture(path=path)})))
    assert found.status is status
    if status is Status.INCONCLUSIVE:
        assert found.steps[0].message == f"nothing certain to capture as seen: {doubt}"


@pytest.mark.parametrize("path", PARTS)
async def test_A14_a_captured_value_that_more_data_could_change_is_undecided(path: str, bench: Bench) -> None:
    value, status = PARTS[path]
    document = {
        "status": 200,
        "headers": {"etag": "e"},
        "count": 3,
        "complete": False,
        "body": "par",
        "lines": [{"id": "a"}, {"id": "b"}],
    }
    bench.script("scripted", Observation(document=document, complete=False))
    bench.script("later", Observation(document={"same": value}))
    later = step("later", "later", expect=["same == ${captured.seen}"])
    found = await bench.one(flow("f", step("read", "scripted", capture={"seen": Capture(path=path)}), later))
    assert found.status is status
    assert found.steps[0].status is status
    if status is Status.INCONCLUSIVE:
        assert found.steps[0].reason_code is Reason.NO_DATA
        assert found.steps[0].message == (
            "nothing certain to capture as seen: the source could not be read to its end, "
            "and the unread part could still change the value"
        )
    bench.script("scripted", Observation(document=document))
    whole = await bench.one(flow("g", step("read", "scripted", capture={"seen": Capture(path=path)}), later))
    assert whole.status is Status.PASS


@pytest.mark.parametrize("keys", [{"capture": {"seen": Capture(path="count")}}, {"repeat": True}])
async def test_A14_what_kept_the_rest_unread_is_the_reason(keys: dict[str, Any], bench: Bench) -> None:
    denied = Failure(status=Status.ERROR, reason=Reason.ACCESS_DENIED, message="one log group cannot be read")
    bench.script("first", Observation(document={"ok": True}))
    bench.script("scripted", Observation(document={"count": 0}, complete=False, unread=denied))
    if "repeat" in keys:
        keys = {"repeat": Repeat(when=("count == 0",), after="first")}
    found = await bench.one(flow("f", step("first", "first"), step("read", "scripted", **keys)))
    read = found.steps[1]
    assert (read.status, read.reason_code) == (Status.ERROR, Reason.ACCESS_DENIED)
    assert read.message is not None
    assert read.message.startswith("one log group cannot be read; ")


async def test_A14_a_cleanup_still_has_the_captured_value_that_more_data_could_change(bench: Bench) -> None:
    bench.script("scripted", Observation(document={"id": 7}, complete=False))
    undo = bench.script("undo", Observation(document={}))
    make = step("make", "scripted", id="${uid}", mutates=True, capture={"made": Capture(path="id")})
    found = await bench.one(flow("f", make, cleanup=(step("undo", "undo", id="${captured.made}", mutates=True),)))
    assert found.status is Status.INCONCLUSIVE
    assert [each.params["id"] for each in undo.requests] == [7]


async def test_A14_a_repetition_that_more_data_could_ask_for_is_undecided(bench: Bench) -> None:
    bench.script("first", Observation(document={"ok": True}))
    bench.script("scripted", Observation(document={"lines": [], "ok": True}, complete=False))
    repeat = Repeat(when=("length(lines) == 0",), after="first")
    again = step("read", "scripted", expect=["ok == true"], repeat=repeat)
    found = await bench.one(flow("f", step("first", "first", expect=["ok == true"]), again))
    assert [(each.name, each.status) for each in found.steps] == [
        ("first", Status.PASS),
        ("read", Status.INCONCLUSIVE),
    ]
    assert found.steps[1].reason_code is Reason.NO_DATA
    assert found.steps[1].message == (
        "`repeat.when` is not decidable: the source could not be read to its end: "
        "the unread part could still make this false"
    )


async def test_A14_waiting_for_a_whole_reading_that_never_comes_is_no_failure(bench: Bench) -> None:
    bench.script("scripted", Observation(document={"count": 1, "complete": False}, complete=False))
    poll = Poll(within_s=5.0, until=("complete == true",))
    found = await bench.one(plain(poll=poll, expect=["count == 1"]))
    assert found.status is Status.INCONCLUSIVE


TRACED = """
[[check]]
name = "the trace"
type = "traces"
filter = "annotation.shop = '{name}'"
expect = ["length(segments) == 0"]
"""


def test_A14_transaction_search_is_named_where_a_trace_is_not_there(
    project: CaseProject, name: str, world: World
) -> None:
    world.aws.traces.destination = ("CloudWatchLogs", "ACTIVE")
    try:
        found = project.checked(TRACED.format(name=name))["the trace"]
    finally:
        world.aws.traces.destination = ("XRay", "ACTIVE")
    assert found["status"] == "inconclusive"
    assert "Transaction Search" in found["message"]


QUIET = """
[[check]]
name = "no error"
type = "logs"
group = "/shop/web"
filter = "ERROR"
quiet_for = "30s"
"""


def refused_call(code: str, reason: Reason) -> AwsError:
    transient = reason is Reason.THROTTLED
    return AwsError(code, code=code, reason=reason, service="logs", operation="FilterLogEvents", transient=transient)


def error_line(bench: Bench, *, written_s: float, visible_s: float) -> None:
    """Have the group show one ERROR from `visible_s` on, written `written_s` after the start."""

    def lines(request: Mapping[str, Any]) -> dict[str, Any]:
        at_ms = int((START + timedelta(seconds=written_s)).timestamp() * 1000)
        shown = bench.clock.monotonic_s() >= visible_s and request["startTime"] <= at_ms
        event = {"eventId": "1", "timestamp": at_ms, "message": "ERROR no stock", "logStreamName": "s"}
        return {"events": [event] if shown else []}

    bench.aws.answers["logs:FilterLogEvents"] = lines


@pytest.mark.parametrize(
    ("written_s", "visible_s", "status"),
    [(0, 0, "fail"), (-3, 0, "fail"), (0, 29, "fail"), (12, 20, "fail"), (-60, 0, "pass"), (0, 31, "pass")],
    ids=["at once", "the writer's clock is behind", "late", "during the wait", "before the start", "later than asked"],
)
async def test_D_quiet_for_finds_a_line_since_the_start_that_becomes_visible_within_it(
    bench: Bench, written_s: float, visible_s: float, status: str
) -> None:
    error_line(bench, written_s=written_s, visible_s=visible_s)
    assert await outcome(bench, QUIET) == status


async def test_D_quiet_for_waits_for_its_whole_length(bench: Bench) -> None:
    bench.aws.answers["logs:FilterLogEvents"] = lambda _request: {"events": []}
    began_s = bench.clock.monotonic_s()
    assert await outcome(bench, QUIET) == "pass"
    assert bench.clock.monotonic_s() - began_s >= 30


@pytest.mark.parametrize("cut_s", [0, 12, 30], ids=["every look", "from one between on", "the last look"])
async def test_D_quiet_for_is_never_a_pass_when_the_last_look_was_cut(bench: Bench, cut_s: float) -> None:
    def lines(_request: Mapping[str, Any]) -> dict[str, Any]:
        if bench.clock.monotonic_s() >= cut_s:
            raise refused_call("ThrottlingException", Reason.THROTTLED)
        return {"events": []}

    bench.aws.answers["logs:FilterLogEvents"] = lines
    assert await outcome(bench, QUIET) == "error"


@pytest.mark.parametrize("reason", [Reason.THROTTLED, Reason.API_ERROR], ids=str)
@pytest.mark.parametrize(
    ("from_s", "until_s", "line_s", "status"),
    [
        (0, 1, None, "pass"),
        (12, 18, None, "pass"),
        (0, 29, None, "pass"),
        (0, 31, None, "not"),
        (28, 60, None, "not"),
        (0, 12, 3, "fail"),
        (12, 18, 13, "fail"),
    ],
    ids=["first", "between", "all but the last", "all", "last", "first, then a line", "between, a line meanwhile"],
)
async def test_D_quiet_for_is_judged_by_a_last_look_that_was_read_to_its_end(
    bench: Bench, reason: Reason, from_s: float, until_s: float, line_s: float | None, status: str
) -> None:
    """A group that is throttled, or does not exist yet, for part of the wait; a line that then becomes visible."""
    began_s = bench.clock.monotonic_s()
    code = "ThrottlingException" if reason is Reason.THROTTLED else "ResourceNotFoundException"

    def lines(_request: Mapping[str, Any]) -> dict[str, Any]:
        now_s = bench.clock.monotonic_s() - began_s
        if from_s <= now_s < until_s:
            raise refused_call(code, reason)
        at_ms = int((START + timedelta(seconds=line_s or 0)).timestamp() * 1000)
        event = {"eventId": "1", "timestamp": at_ms, "message": "ERROR no stock", "logStreamName": "s"}
        return {"events": [event] if line_s is not None and now_s >= line_s else []}

    bench.aws.answers["logs:FilterLogEvents"] = lines
    undecided = "error" if reason is Reason.THROTTLED else "inconclusive"
    assert await outcome(bench, QUIET) == (undecided if status == "not" else status)
    waited_s = bench.clock.monotonic_s() - began_s
    assert waited_s >= 30 if status != "fail" else waited_s < 30


async def test_D_quiet_for_without_permission_ends_at_the_first_look(bench: Bench) -> None:
    bench.aws.failing["logs:FilterLogEvents"] = refused_call("AccessDeniedException", Reason.ACCESS_DENIED)
    assert await outcome(bench, QUIET) == "error"
    assert bench.clock.monotonic_s() < 10


async def test_D_quiet_for_of_a_group_that_does_not_exist_proves_nothing(bench: Bench) -> None:
    bench.aws.failing["logs:FilterLogEvents"] = refused_call("ResourceNotFoundException", Reason.API_ERROR)
    assert await outcome(bench, QUIET) == "inconclusive"


@pytest.mark.parametrize(
    ("written", "status"),
    [
        ('quiet_for = "5s"', "refused"),
        ('quiet_for = "${vars.none}"', "refused"),
        ('quiet_for = "${uid}"', "refused"),
        ('quiet_for = "30s"\nhold = "9s"', "refused"),
        ('quiet_for = "30s"\nexpect = ["count == 0"]', "refused"),
        ('quiet_for = "30s"\nuntil = "1m"', "refused"),
        ('quiet_for = "${vars.wait}"\nvars.wait = "20s"', "pass"),
    ],
)
async def test_D_quiet_for_has_no_second_wait_or_claim_beside_it(bench: Bench, written: str, status: str) -> None:
    bench.aws.answers["logs:FilterLogEvents"] = lambda _request: {"events": []}
    assert await outcome(bench, QUIET.replace('quiet_for = "30s"', written)) == status


async def test_D_since_the_start_is_undecided_while_what_was_written_cannot_be_visible(bench: Bench) -> None:
    bench.aws.answers["logs:FilterLogEvents"] = lambda _request: {"events": []}
    now = QUIET.replace('quiet_for = "30s"', 'since = "start"\nexpect = ["count == 0"]')
    assert await outcome(bench, now) == "inconclusive"


DELETE_ALL = """
[[check]]
name = "the partition is removed"
type = "dynamodb"
operation = "delete_all"
mutates = true
table = "orders"
key = { id = "TEST-${uid}" }
expect = ["count >= 0"]
"""


async def test_D_delete_all_of_a_partition_that_was_read_in_part_is_not_clean(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def pages(
        _service: str, _operation: str, request: Mapping[str, Any], **_: Any
    ) -> AsyncIterator[dict[str, Any]]:
        item = {"id": next(iter(request["ExpressionAttributeValues"].values())), "sk": {"N": "1"}}
        yield {"Items": [item], "Count": 1, "LastEvaluatedKey": item}
        raise refused_call("ThrottlingException", Reason.THROTTLED)

    schema = [{"AttributeName": name, "KeyType": kind} for name, kind in (("id", "HASH"), ("sk", "RANGE"))]
    bench.aws.answers["dynamodb:DescribeTable"] = lambda _request: {"Table": {"KeySchema": schema}}
    bench.aws.answers["dynamodb:DeleteItem"] = lambda _request: {}
    monkeypatch.setattr(bench.aws, "pages", pages)
    assert await outcome(bench, DELETE_ALL) == "error"
    assert [name for name, _ in bench.aws.calls].count("dynamodb:DeleteItem") == 1


@pytest.mark.parametrize(("gone", "status"), [("", "pass"), ("prices", "inconclusive"), ("shop", "inconclusive")])
async def test_D_an_application_that_does_not_exist_leaves_a_release_undecided(
    bench: Bench, gone: str, status: str
) -> None:
    def groups(request: Mapping[str, Any]) -> dict[str, Any]:
        if request["applicationName"] == gone:
            raise refused_call("ApplicationDoesNotExistException", Reason.API_ERROR)
        return {"deploymentGroups": []}

    bench.environment = environment(release=ReleaseTarget(codedeploy=("shop", "prices")))
    bench.aws.answers["lambda:GetAlias"] = lambda _request: {"FunctionVersion": "7", "Name": "live"}
    bench.aws.answers["codedeploy:ListDeploymentGroups"] = groups
    check = plain(type="release", function="orders", alias="live", expect=["state == 'stable'"])
    assert str((await bench.one(check)).status) == status


INBOX = """
[[check]]
name = "inbox is consumed"
type = "sqs"
queue = "https://sqs.eu-west-1.amazonaws.com/123456789012/inbox"
diagnose = ["consumer"]
expect = ["depth == 0"]
"""


@pytest.mark.parametrize(
    ("mappings", "status", "words"),
    [
        ([{"State": "Enabled", "LastProcessingResult": "OK"}], "pass", ""),
        ([{"State": "Enabled"}], "pass", ""),
        ([{"State": "Enabled"}, {"State": "Disabled"}], "fail", "Disabled"),
        ([{"State": "Enabled", "LastProcessingResult": "PROBLEM: Function call failed"}], "fail", "PROBLEM"),
        ([], "fail", "`length(EventSourceMappings)` is 0"),
        (Reason.ACCESS_DENIED, "error", "denied"),
    ],
    ids=["healthy", "no batch yet", "disabled", "problem", "no consumer", "denied"],
)
async def test_D_a_dead_consumer_is_said_by_one_word(
    bench: Bench, mappings: list[dict[str, str]] | Reason, status: str, words: str
) -> None:
    def list_mappings(request: Mapping[str, Any]) -> dict[str, Any]:
        assert request["EventSourceArn"].endswith(":inbox")
        if isinstance(mappings, Reason):
            raise refused_call("denied", mappings)
        return {"EventSourceMappings": mappings}

    counts = {f"ApproximateNumberOfMessages{kind}": "3" for kind in ("", "NotVisible", "Delayed")}
    bench.aws.answers["sqs:GetQueueAttributes"] = lambda _request: {"Attributes": counts}
    bench.aws.answers["lambda:ListEventSourceMappings"] = list_mappings
    bench.aws.answers["cloudwatch:GetMetricData"] = lambda _request: {"MetricDataResults": []}
    bench.aws.answers["sts:GetCallerIdentity"] = lambda _request: {"Account": "123456789012"}
    (bench.root / "checks").mkdir(parents=True)
    (bench.root / "config").mkdir()
    (bench.root / "config/t.toml").write_text('protected = false\n[aws]\nregion = "eu-west-1"\n')
    (bench.root / "checks/c.toml").write_text(INBOX)
    project = load_project(root=bench.root, env="t", environ={})
    result = await bench.run(project.checks[0], others=project.checks[1:])
    assert result.checks[0].status == "fail", result.checks[0].message
    (diagnostic,) = result.checks[0].diagnosed_by
    assert diagnostic.status == status
    assert words in (diagnostic.message or "")
    assert str(result.verdict.status) == "fail"
