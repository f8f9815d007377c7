"""A red check shows the things behind a number, the same in every format and on the dashboard's screen of the check."""

from __future__ import annotations

import json
import time
from typing import Literal

import pytest

from prodwatch.demo.aws import MetricAlarm
from prodwatch.model.check import Poll
from prodwatch.testing.check_runner import Bench
from prodwatch.testing.definitions import plain
from tests.support.case_project import CaseProject
from tests.support.forged_aws import World, replaced
from tests.support.raw_web import RawWeb, response

PAGE = b"<html>\n<title>503</title>\n<p>upstream orders-7 is \x1b[31mgone</p>\n</html>"
CHECKS = """
[[check]]
name = "page"
type = "http"
url = "${vars.url}/page"
retry = 0
expect = ["status == 200"]

[[check]]
name = "list"
type = "http"
url = "${vars.url}/list"
expect = ["all json.items[*].state == 'open'"]

[[check]]
name = "none"
type = "http"
url = "${vars.url}/list"
expect = ["none json.items[*].state == 'broken'"]

[[check]]
name = "filtered"
type = "http"
url = "${vars.url}/list"
expect = ["length(json.items[?state == 'broken']) == 0"]
"""
ITEMS = {"items": [{"state": "open", "id": "a-1"}, {"state": "broken", "id": "b-2", "time": "2026-11-30T09:12:03Z"}]}


def outputs(project: CaseProject, checks: str) -> dict[str, str]:
    """Run the checks and return every format's text."""
    project.write("checks/c.toml", checks)
    files = {"json": "o.json", "junit": "o.xml", "ctrf": "o.ctrf"}
    options = [part for name, file in files.items() for part in (f"--{name}", file)]
    summary = project.project / "summary.md"
    environ = {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_ACTIONS": "true"}
    console = project.run("check", *options, "--github-summary", environ=environ)
    tap = project.run("check", "--tap")
    texts = {name: (project.project / file).read_text() for name, file in files.items()}
    return {**texts, "console": console.out, "tap": tap.out, "github": summary.read_text()}


def test_D_the_facts_are_the_same_in_every_format(project: CaseProject, web: RawWeb) -> None:
    web.routes["/page"] = response(PAGE, status="503 Service Unavailable", Content_Type="text/html")
    web.routes["/list"] = response(json.dumps(ITEMS).encode())
    found = outputs(project, CHECKS)
    for name, text in found.items():
        assert "upstream orders-7 is" in text, name
        assert "[1] time 2026-11-30T09:12:03Z, id b-2, state broken" in text, name
        assert "\x1b[31m" not in text, name
    facts = {each["name"]: each["assertions"][0]["facts"] for each in json.loads(found["json"])["checks"]}
    assert facts["page"][:2] == ["<html>", "<title>503</title>"]
    assert facts["list"] == facts["none"] == ["[1] time 2026-11-30T09:12:03Z, id b-2, state broken"]
    assert facts["filtered"] == ["time 2026-11-30T09:12:03Z, id b-2, state broken"]


LOGS = """
[[check]]
name = "logs"
type = "logs"
group = "{name}"
filter = "ERROR"
expect = ["count == 0"]
"""


def test_D_a_red_logs_check_shows_its_lines(name: str, project: CaseProject, world: World) -> None:
    at_ms = round(time.time() * 1000) - 60_000
    world.aws.logs.put(name, "s", [(at_ms + n, f"ERROR order {n} lost token=hunter2hunter2") for n in range(12)])
    project.configure('[secrets]\ntoken = { env = "T" }')
    found = project.checked(LOGS.format(name=name), environ={"T": "hunter2hunter2"})["logs"]
    facts = found["assertions"][0]["facts"]
    assert "ERROR order 0 lost token=" in facts[0]
    assert facts[0].startswith("20"), "the line's time comes first"
    assert facts[5:] == ["… and 7 more"]
    assert "hunter2" not in json.dumps(found)


def test_D_a_wait_that_was_stopped_shows_the_lines_that_stopped_it(
    name: str, project: CaseProject, world: World
) -> None:
    world.aws.logs.put(name, "s", [(round(time.time() * 1000) - 60_000, "ERROR order 7 lost")])
    waits = 'poll = { within = "5s", until = ["count > 5"], stop_when = ["count > 0"] }'
    found = project.checked(
        LOGS.format(name=name).replace('expect = ["count == 0"]', f'{waits}\nexpect = ["count > 5"]')
    )
    stopped = found["logs"]["assertions"][0]
    assert (found["logs"]["status"], stopped["expression"], stopped["ok"]) == ("fail", "count > 0", True)
    assert "ERROR order 7 lost" in stopped["facts"][0]
    assert "| 20" in project.run("check").out, "in the console, too"


ALARMS = """
[[check]]
name = "alarms"
type = "alarm"
prefix = "{name}"
expect = ["length(firing) == 0"]

[[check]]
name = "each"
type = "alarm"
prefix = "{name}"
expect = ["all alarms[].state == 'OK'"]
"""


def test_D_a_red_alarm_check_shows_its_alarms(name: str, project: CaseProject, world: World) -> None:
    states: dict[str, Literal["OK", "ALARM"]] = {"a": "OK", "b": "ALARM"}
    for letter, state in states.items():
        world.aws.alarms.put(MetricAlarm(name=f"{name}-{letter}", namespace="S", metric="M", missing="ignore"))
        world.aws.alarms.set_state(f"{name}-{letter}", state, "12 errors in 1 minute")
    found = project.checked(ALARMS.format(name=name))
    for check, place in (("alarms", ""), ("each", "[1] ")):
        (fact,) = found[check]["assertions"][0]["facts"]
        assert fact.startswith(f"{place}{name}-b ALARM since 20"), check
        assert fact.endswith("Z: 12 errors in 1 minute")


@pytest.mark.parametrize(
    ("claim", "facts"),
    [
        pytest.param("json.items[0].n == 7", ['{"items"'], id="the beginning of the body"),
        pytest.param("json.missing exists", ['{"items"'], id="a missing field"),
        pytest.param("latency > 1h", ["ttfb "], id="the phases of a duration"),
        pytest.param("url == 'x'", [], id="a field that has nothing behind it"),
        pytest.param("any json.items[*].n == 99", ["[0] name é", "[1] name é", "[2] name é"], id="any"),
        pytest.param("all json.items[*].n >= 2", ["[0] name é", "[1] name é"], id="only those that break the claim"),
        pytest.param("all json.tags[*] == 'x'", ["[1] y"], id="plain values"),
        pytest.param("json.items[?n > `0`].n absent", ["name é", "name é"], id="a filter's elements"),
    ],
)
def test_D_what_is_behind_a_claim(claim: str, facts: list[str], project: CaseProject, web: RawWeb) -> None:
    items = [{"n": n, "name": "é" * 400} for n in range(8)]
    web.routes["/list"] = response(json.dumps({"items": items, "tags": ["x", "y"]}).encode())
    check = f'[[check]]\nname = "a"\ntype = "http"\nurl = "${{vars.url}}/list"\nexpect = [{json.dumps(claim)}]\n'
    shown = project.checked(check)["a"]["assertions"][0]["facts"]
    assert len(shown) <= 6
    for fact, beginning in zip(shown, facts, strict=False):
        assert beginning in fact
        assert len(fact) < 350, "bounded"
        if "] name" in fact:
            assert ", n " in fact, "a long value hides no other"
    assert bool(shown) is bool(facts)


async def test_D_right_then_wrong_says_since_when_it_was_right(bench: Bench) -> None:
    bench.script("scripted", *({"ok": True},) * 4, {"ok": False})
    check = await bench.one(plain(expect=["ok == true"], hold_s=8))
    first, last = (check.attempts[n].started_at for n in (0, 3))
    assert first is not None
    assert last is not None
    assert f"right from {first:%H:%M:%S} to {last:%H:%M:%S} UTC" in (check.message or "")


async def test_D_wrong_at_the_second_look_says_when_it_was_right(bench: Bench) -> None:
    bench.script("scripted", {"ok": True}, {"ok": False})
    check = await bench.one(plain(expect=["ok == true"], hold_s=8))
    assert f"right at {check.started_at:%H:%M:%S} UTC" in (check.message or "")


EXPIRED = b"""<ErrorResponse><Error><Code>ExpiredToken</Code><Message>expired</Message></Error>
<RequestId>r</RequestId></ErrorResponse>"""
NEEDS_AWS = """
[[check]]
name = "queue"
type = "sqs"
queue = "q"
expect = ["depth == 0"]

[[check]]
name = "object"
type = "dynamodb"
operation = "get"
table = "t"
key = { id = "1" }
expect = ["item exists"]

[[check]]
name = "flow"
type = "flow"
[[check.step]]
name = "read"
type = "sqs"
queue = "q"
poll = { within = "2s", until = ["depth == 0"] }

[[check]]
name = "blocked"
type = "http"
url = "${vars.url}/a"
needs = ["queue"]
expect = ["status == 200"]

[[check]]
name = "filled"
type = "http"
url = "${stack.shop.Url}/a"
expect = ["status == 200"]
"""


def test_D_expired_credentials_are_said_once_per_run(project: CaseProject, world: World) -> None:
    expired = replaced(json.dumps({"__type": "ExpiredTokenException", "Message": "expired"}).encode(), status=400)
    for operation in ("sqs:GetQueueUrl", "dynamodb:GetItem"):
        world.aws.forgeries[operation] = expired
    for operation in ("sts:GetCallerIdentity", "cloudformation:DescribeStacks"):
        world.aws.forgeries[operation] = replaced(EXPIRED, status=403, content_type="text/xml")
    project.configure('[stacks]\nshop = "shop"')
    found = outputs(project, NEEDS_AWS)
    document = json.loads(found["json"])
    by_name = {each["name"]: each for each in document["checks"]}
    for name in ("queue", "object", "flow", "filled"):
        assert (by_name[name]["status"], by_name[name]["reason_code"]) == ("error", "expired_credentials"), name
        assert "have expired" in by_name[name]["message"], name
    advice = "export new ones"
    for name, text in found.items():
        assert text.count(advice) == 1, name
    (notice,) = [each for each in document["notices"] if each["code"] == "expired_credentials"]
    assert advice in notice["message"]


SEEN = {"ok": True, "foreign": 0}


@pytest.mark.parametrize("at", range(4))
async def test_D_a_warning_of_any_answer_of_a_hold_counts(at: int, bench: Bench) -> None:
    looks = [SEEN] * 4
    looks[at] = SEEN | {"foreign": 2}
    bench.script("scripted", *looks)
    check = await bench.one(plain(expect=["ok == true"], warn=["foreign == 0"], hold_s=3.0))
    assert (check.status, check.reason_code) == ("degraded", "warning")
    assert "`foreign` is 2, not 0" in (check.message or "")
    moment = check.attempts[at].started_at
    assert at == 3 or f"at {moment:%H:%M:%S} UTC" in (check.message or "")
    assert [each.ok for each in check.assertions] == [True, False]


async def test_D_a_warning_before_the_awaited_state_does_not_count(bench: Bench) -> None:
    bench.script("scripted", {"ok": False}, {"ok": False, "foreign": 3}, SEEN)
    check = await bench.one(plain(expect=["ok == true"], warn=["foreign == 0"], poll=Poll(within_s=5.0)))
    assert check.status == "pass"
