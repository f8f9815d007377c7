"""Red that is our own doing: it is no failure of the target, and its sentence says what came."""

from __future__ import annotations

import json
import re
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

from prodwatch.demo.aws import Fault
from prodwatch.demo.workload import Invocation, InvocationResult
from prodwatch.model.check import Poll
from prodwatch.testing.check_runner import Bench
from prodwatch.testing.clock import START
from prodwatch.testing.definitions import flow, plain, step
from prodwatch.text.units import parse_duration
from tests.support.case_project import CaseProject
from tests.support.forged_aws import World, replaced
from tests.support.raw_web import RawWeb, response


def http(name: str, path: str, expect: str) -> str:
    head = f'[[check]]\nname = "{name}"\ntype = "http"\nurl = "${{vars.url}}{path}"\nretry = 0\n'
    return f"{head}expect = [{json.dumps(expect)}]\n"


def test_B6_the_sentence_says_what_came_in_place_of_json(project: CaseProject, web: RawWeb) -> None:
    web.routes["/page"] = response(b"<html><body>Sign in</body></html>", Content_Type="text/html")
    found = project.checked(http("a", "/page", "json.status == 'ok'"))["a"]
    assert found["status"] == "fail"
    assert "text/html" in found["message"]
    assert "<html>" in found["message"]


def test_B6_the_sentence_says_where_json_breaks(project: CaseProject, web: RawWeb) -> None:
    web.routes["/broken"] = response(b'{"status": "ok", "items": [1, 2')
    found = project.checked(http("a", "/broken", "json.status == 'ok'"))["a"]
    assert "byte" in found["message"]


LAMBDA = """
[[check]]
name = "a"
type = "lambda"
mutates = true
function = "{name}"
{copies}
expect = ["{claim}"]
"""


@pytest.mark.parametrize(
    ("claim", "copies"),
    [
        ("function_error == 'Unhandled'", ""),
        ("results[0].function_error == 'Unhandled'", "copies = 2"),
    ],
)
def test_B9_a_mention_of_the_error_replaces_the_implicit_claim(
    claim: str, copies: str, project: CaseProject, name: str, world: World
) -> None:
    async def invoke(_: Invocation) -> InvocationResult:
        return InvocationResult(payload=b"{}", executed_version="1", request_id="r", function_error="Unhandled")

    world.aws.on_invoke = invoke
    assert project.checked(LAMBDA.format(name=name, claim=claim, copies=copies)).statuses == {"a": "pass"}


PAGES = Path(__file__).parents[2] / "docs/guide"


def pattern(page: str, name: str, *, check: str) -> dict[str, Any]:
    """Return how a step of a guide's page waits and what it expects; a `${…}` in it is `x`."""
    text = re.sub(r"\$\{[^}]*\}", "x", (PAGES / page).read_text("utf-8"))
    blocks = [tomllib.loads(block) for block in re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)]
    checks = [each for block in blocks for each in block.get("check", []) if each["name"] == check]
    (found,) = [each for each in checks[0]["step"] if each.get("name") == name]
    poll = found["poll"]
    return {
        "poll": Poll(
            within_s=parse_duration(poll.get("within", "75s")).s,
            every_s=parse_duration(poll.get("every", "1s")).s,
            until=tuple(poll.get("until", ())),
        ),
        "hold_s": parse_duration(found["hold"]).s if "hold" in found else None,
        "expect": found["expect"],
    }


def points(*values: int) -> dict[str, Any]:
    return {"points": len(values), **({"value": sum(values)} if values else {})}


def spans(*names: str) -> dict[str, Any]:
    metadata = {"x": {f"{name.removeprefix('## ')} response": [1] for name in names}}
    return {"complete": True, "subsegments": [{"name": name} for name in names], "metadata": metadata}


TODOS, COMMENTS = "## same_function_name.Todos.get_all", "## same_function_name.Comments.get_all"
USERS = "## async_capture.async_get_users"
LINE: dict[str, Any] = dict.fromkeys(
    ("function_name", "function_memory_size", "function_arn", "function_request_id"), "x"
) | {"xray_trace_id": "x", "message": "logs should be visible with default settings"}
COLD, WARM = LINE | {"cold_start": True}, LINE | {"cold_start": False}


def lines(*documents: dict[str, Any]) -> dict[str, Any]:
    return {"count": len(documents), "lines": [{"json": each} for each in documents]}


@pytest.mark.parametrize(
    ("check", "name", "looks", "status"),
    [
        ("three values of one metric add up", "sum", [points(), points(1), points(1, 1), points(1, 1, 1)], "pass"),
        ("three values of one metric add up", "sum", [points(2), points(2, 1)], "pass"),
        ("three values of one metric add up", "sum", [points(3)], "pass"),
        ("three values of one metric add up", "sum", [points(), points(2)], "fail"),
        ("three values of one metric add up", "sum", [points(2), points(2, 2)], "fail"),
        ("three values of one metric add up", "sum", [points(3), points(3), points(3, 1)], "fail"),
        ("a cold start is counted once", "cold starts", [points(), points(), points(1)], "pass"),
        ("a cold start is counted once", "cold starts", [points(1), points(1, 1)], "fail"),
        ("two invocations write two lines", "lines", [lines(), lines(WARM), lines(WARM, COLD)], "pass"),
        ("two invocations write two lines", "lines", [lines(COLD)], "fail"),
        ("two invocations write two lines", "lines", [lines(COLD, WARM), lines(COLD, WARM, WARM)], "fail"),
        ("methods of one name are kept apart", "trace", [spans(), spans("a", "b"), spans(TODOS, COMMENTS)], "pass"),
        ("methods of one name are kept apart", "trace", [spans(TODOS), spans(TODOS, COMMENTS, "c")], "pass"),
        ("methods of one name are kept apart", "trace", [spans(TODOS, "a")], "fail"),
        ("an async function is captured", "trace", [spans(), spans("a"), spans("a", USERS)], "pass"),
        ("an async function is captured", "trace", [spans("a", "b")], "fail"),
    ],
)
async def test_B9_the_guides_patterns_hold_under_late_and_split_data(
    check: str, name: str, looks: list[dict[str, Any]], status: str, bench: Bench
) -> None:
    bench.script("scripted", *looks)
    found = await bench.one(plain(**pattern("origins/powertools.md", name, check=check)))
    assert found.status == status, found.message


def test_B17_a_refusal_that_is_asked_for_is_green(project: CaseProject, name: str, world: World) -> None:
    body = json.dumps({"__type": "ResourceNotFoundException", "Message": "not found"}).encode()
    world.aws.forgeries["lambda:Invoke"] = replaced(body, status=404)
    claim = "error.code == 'ResourceNotFoundException'"
    assert project.checked(LAMBDA.format(name=name, claim=claim, copies="")).statuses == {"a": "pass"}


METRIC = """
[[check]]
name = "a"
type = "metric"
namespace = "Shop"
metric = "Errors"
stat = "Sum"
missing = "zero"
expect = ["value == 0"]
"""


@pytest.mark.parametrize("kind", ["access_denied", "throttle", "error_5xx"])
def test_B16_a_side_read_that_is_refused_is_no_failure(
    kind: Any, project: CaseProject, name: str, world: World
) -> None:
    world.aws.metrics.put(name, "Errors", {}, time.time() // 60 * 60 - 120, [0.0])
    world.aws.faults.add(Fault(operation="cloudwatch:GetMetricStatistics", kind=kind))
    found = project.checked(METRIC.replace("Shop", name))
    assert found["a"]["status"] in {"pass", "inconclusive"}


READ = """
[[check]]
name = "a"
type = "dynamodb"
table = "orders"
key = { id = "7" }
expect = ["item exists"]
"""


@pytest.mark.parametrize("status", [400, 403, 404])
@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"<html><body>Blocked by the proxy</body></html>", "text/html"), (b'{"detail": "nope"}', "application/json")],
    ids=["page", "foreign JSON"],
)
def test_B18_a_4xx_that_is_not_of_aws_is_an_error_with_what_came(
    body: bytes, kind: str, status: int, project: CaseProject, world: World
) -> None:
    world.aws.forgeries["dynamodb:GetItem"] = replaced(body, status=status, content_type=kind)
    found = project.checked(READ)["a"]
    assert found["status"] == "error"
    assert found["reason_code"] != "access_denied"
    assert kind in found["message"] or "Blocked" in found["message"] or "nope" in found["message"]


async def test_B14_a_polled_check_starts_with_its_first_attempt(bench: Bench) -> None:
    bench.script("scripted", {"ok": False}, {"ok": False}, {"ok": True})
    found = await bench.one(plain(poll=Poll(within_s=10.0), expect=["ok == true"]))
    assert found.status == "pass"
    assert found.started_at == START
    assert found.attempts[-1].status == "pass"


async def test_B14_a_polled_step_starts_with_its_first_attempt(bench: Bench) -> None:
    bench.script("scripted", {"ok": False}, {"ok": False}, {"ok": True})
    asked = step("ask", poll=Poll(within_s=10.0), expect=["ok == true"])
    (found,) = (await bench.one(flow("f", asked))).steps
    assert found.status == "pass"
    assert found.started_at == START


@pytest.mark.parametrize(
    ("poll", "timeout_s", "reason", "bound"),
    [
        (Poll(within_s=10.0, every_s=1.0, until=("item exists",)), 3.0, "timeout", "the flow's timeout of 3 s"),
        (Poll(within_s=3.0, every_s=1.0, until=("item exists",)), 3.0, "timeout", "the flow's timeout of 3 s"),
        (Poll(within_s=10.0, every_s=5.0, until=("item exists",)), 3.0, "timeout", "the flow's timeout of 3 s"),
        (Poll(within_s=2.0, every_s=1.0, until=("item exists",)), 3.0, "assertion", "never appeared"),
    ],
)
async def test_B14_the_bound_that_ended_a_wait_is_named(
    poll: Poll, timeout_s: float, reason: str, bound: str, bench: Bench
) -> None:
    bench.script("scripted", {"n": 0})
    found = await bench.one(flow("f", step("ask", poll=poll), timeout_s=timeout_s))
    (asked,) = found.steps
    assert (asked.status, asked.reason_code, found.reason_code) == ("fail", reason, reason)
    assert bound in (asked.message or "")
    assert "`item` is missing" in (asked.message or "")
    assert asked.started_at == START
    assert {each.status for each in asked.attempts} == {"fail"}


@pytest.mark.parametrize("document", [{"item": 0}, {"item": {"x": 1}}, {}])
async def test_B14_no_attempt_of_a_failed_wait_ends_in_pass(document: dict[str, object], bench: Bench) -> None:
    bench.script("scripted", document)
    poll = Poll(within_s=3.0, until=("n absent",))
    check = await bench.one(plain(poll=poll, expect=["item == 1"]))
    assert check.status == "fail"
    assert check.attempts[-1].status == "fail"


async def test_B14_a_held_step_starts_with_its_first_attempt(bench: Bench) -> None:
    bench.script("scripted", {"ok": True})
    (held,) = (await bench.one(flow("f", step("ask", hold_s=4.0, expect=["ok == true"])))).steps
    assert (held.status, held.started_at) == ("pass", START)
    assert len(held.attempts) > 1


@pytest.mark.parametrize(("claim", "expected"), [("item exists", "a value"), ("n absent", "no value")])
async def test_B14_a_claim_of_presence_says_that_it_expected_a_value(claim: str, expected: str, bench: Bench) -> None:
    bench.script("scripted", {"n": 1})
    (judged,) = (await bench.one(plain(expect=[claim]))).assertions
    assert (judged.ok, judged.expected) == (False, expected)


@pytest.mark.parametrize(("claim", "document"), [("item exists", {}), ("item absent", {"item": 1})])
async def test_B14_a_claim_of_presence_expects_no_null(claim: str, document: dict[str, object], bench: Bench) -> None:
    bench.script("scripted", document)
    (judged,) = (await bench.one(plain(expect=[claim]))).assertions
    assert judged.ok is False
    assert "null" not in (judged.message or "")


@pytest.mark.parametrize("number", [30, pytest.param(45, marks=pytest.mark.slow)])
def test_B2_many_healthy_log_checks_are_neither_flaky_nor_cut_off(
    number: int, project: CaseProject, name: str, world: World
) -> None:
    now_ms = int(time.time() * 1000)
    world.aws.logs.put(name, "s", [(now_ms - 20_000 - each, f"INFO order {each} done") for each in range(5)])
    checks = "".join(
        f'[[check]]\nname = "n{each}"\ntype = "logs"\ngroup = "{name}"\n'
        f'filter = "ERROR -n{each}"\nexpect = ["count == 0"]\n'
        for each in range(number)
    )
    found = project.checked(checks)
    assert found.code == 0, found.err
    assert set(found.statuses.values()) == {"pass"}
    assert not [each["name"] for each in found.document["checks"] if "flaky" in each["flags"]]
    assert "not read to its end" not in json.dumps(found.document)
