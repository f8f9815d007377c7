"""Faults of the engine found by reading: values that were never fetched, parts taken for the whole, ways out."""

from __future__ import annotations

import hashlib
import hmac
import json
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import pytest
from aiohttp import web as aiohttp_web

from prodwatch.assertions import evaluate, parse
from prodwatch.demo.aws.protocols.identify import HttpRequest
from prodwatch.probes.base import Observation
from prodwatch.testing.check_runner import Bench
from prodwatch.testing.definitions import flow, step
from tests.support.case_project import CaseProject
from tests.support.command_line import PATIENCE_S, finished
from tests.support.forged_aws import World, replaced
from tests.support.raw_web import RawWeb, response
from tests.support.warm_command_line import Control


def http(name: str, path: str, more: str = "", expect: str = "status == 200") -> str:
    head = f'[[check]]\nname = "{name}"\ntype = "http"\nurl = "${{vars.url}}{path}"\nretry = 0\n'
    return f'{head}expect = ["{expect}"]\n{more}\n'


OTHER_ACCOUNT = """
[aws.accounts.pay]
account = "210987654321"
[secrets]
key = { ssm = "/x/y", account = "pay" }
[stacks]
shop = { name = "shop", account = "pay" }
"""


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(http("a", "/me", 'headers = { authorization = "Bearer ${secret.key}" }'), id="header"),
        pytest.param(
            http("a", "/orders", 'method = "POST"\nmutates = true\njson = { customer = "${secret.key}" }'), id="body"
        ),
        pytest.param(http("a", "/${stack.shop.Path}"), id="stack"),
        pytest.param(http("a", "/me", 'auth = { sigv4 = { service = "execute-api" } }\naccount = "pay"'), id="signed"),
    ],
)
def test_N1_a_value_of_another_account_is_never_sent_as_null(check: str, project: CaseProject, web: RawWeb) -> None:
    project.configure(OTHER_ACCOUNT)
    found = project.checked(check)
    assert web.seen == []
    assert (found["a"]["status"], found["a"]["reason_code"]) == ("error", "wrong_account")
    assert "Traceback" not in found.err
    assert "exception was never retrieved" not in found.err


def test_N1_a_check_that_requires_such_a_value_is_not_skipped(project: CaseProject, web: RawWeb) -> None:
    project.configure(OTHER_ACCOUNT)
    found = project.checked(http("ok", "/ok") + http("a", "/me", 'requires = ["secret.key"]'))
    assert (found["a"]["status"], found.code) == ("error", 3)


SCAN = """
[[check]]
name = "absent"
type = "aws"
service = "dynamodb"
operation = "Scan"
params = { TableName = "orders", Limit = 1 }
expect = ["length(Items[?id.S == 'late']) == 0"]

[[check]]
name = "there"
type = "aws"
service = "dynamodb"
operation = "Scan"
params = { TableName = "orders", Limit = 1 }
expect = ["length(Items[?id.S == 'early']) == 1"]
"""


@pytest.mark.parametrize("more", [False, True])
def test_N4_the_first_of_several_pages_proves_no_absence(more: bool, project: CaseProject, world: World) -> None:
    page: dict[str, Any] = {"Items": [{"id": {"S": "early"}}], "Count": 1, "ScannedCount": 1}
    if more:
        page["LastEvaluatedKey"] = {"id": {"S": "early"}}
    world.aws.forgeries["dynamodb:Scan"] = replaced(json.dumps(page).encode())
    found = project.checked(SCAN)
    assert found["absent"]["status"] == ("inconclusive" if more else "pass")
    if more:
        assert "paginate" in found["absent"]["message"]


VERSIONED = """
[[check]]
name = "no error"
type = "logs"
group = "{name}"
version = "{version}"
filter = "ERROR"
expect = ["count == 0"]
"""


@pytest.mark.parametrize(
    ("stream", "version", "status"),
    [
        pytest.param("2026/11/30/[42]abc", "42", "fail", id="the version"),
        pytest.param(
            "a-container",
            "42",
            "inconclusive",
            id="no line has a version",
        ),
        pytest.param(
            "2026/11/30/[41]abc",
            "42",
            "inconclusive",
            id="another version",
        ),
    ],
)
def test_N5_a_version_that_no_line_has_proves_no_absence(
    stream: str, version: str, status: str, project: CaseProject, name: str, world: World
) -> None:
    at_ms = int(time.time() * 1000) - 30_000
    world.aws.logs.put(name, stream, [(at_ms + n, "ERROR no stock") for n in range(5)])
    found = project.checked(VERSIONED.format(name=name, version=version))["no error"]
    assert found["status"] == status
    if status == "inconclusive":
        assert "version" in found["message"]


@pytest.mark.parametrize("version", ["live", "v42", "42.1", ""])
def test_N5_a_version_that_cannot_be_one_is_a_mistake(version: str, project: CaseProject) -> None:
    project.write("checks/c.toml", VERSIONED.format(name="g", version=version))
    ended = project.run("validate")
    assert ended.code == 2, ended.said
    assert "version" in ended.err


RECENT = """
[[check]]
name = "no error"
type = "logs"
group = "{name}"
since = "5m"
filter = "ERROR"
expect = ["count == 0"]
"""


@pytest.mark.parametrize(
    "ahead_s",
    [
        0,
        360,
        pytest.param(-360, id="behind"),
    ],
)
def test_N6_a_clock_that_is_wrong_hides_no_line(ahead_s: int, project: CaseProject, name: str, world: World) -> None:
    now_s = time.time() - ahead_s
    world.aws.ahead_s = -ahead_s
    world.aws.logs.put(name, "s", [(int((now_s - 20) * 1000), "ERROR no stock")])
    found = project.checked(RECENT.format(name=name))["no error"]
    assert found["status"] in ({"fail"} if ahead_s <= 0 else {"fail", "inconclusive"})


AGED = """
[[check]]
name = "fresh"
type = "logs"
group = "{name}"
since = "1h"
expect = ["age(lines[-1].timestamp) < 2m"]
"""


@pytest.mark.parametrize("ahead_s", [0, 360, -360])
@pytest.mark.parametrize("old_s", [20, 300])
def test_N6_an_age_counts_from_the_clock_of_aws(
    old_s: int, ahead_s: int, project: CaseProject, name: str, world: World
) -> None:
    now_s = time.time() - ahead_s
    world.aws.ahead_s = -ahead_s
    world.aws.logs.put(name, "s", [(int((now_s - old_s) * 1000), "an order")])
    found = project.checked(AGED.format(name=name))["fresh"]
    assert found["status"] == ("pass" if old_s == 20 else "fail"), found["message"]


async def test_N7_a_cleanup_over_a_part_of_a_list_is_not_clean(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.script("making", {"made": 1})
    bench.script("finding", Observation(document={"rows": [{"id": 1}, {"id": 2}], "count": 2}, complete=False))
    removing = bench.script("removing", {"deleted": True})
    cleanup = (
        step("remove", "removing", id="${each.id}", for_each="${steps.find.rows}", mutates=True),
        step("find", "finding"),
    )
    found = await bench.one(flow("order", step("make", "making", mutates=True), cleanup=cleanup, mutates=True))
    assert len(removing.requests) == 2
    assert found.status != "pass"
    assert any(each.leftovers for each in found.cleanup)
    assert list(bench.journal_dir.rglob("*.journal"))


HOLDING = """
[[check]]
name = "row"
type = "flow"
mutates = true

[[check.step]]
name = "put"
type = "http"
method = "PUT"
url = "${vars.url}/row"

[[check.step]]
name = "look"
type = "http"
url = "${vars.url}/look"
timeout = "50s"

[[check.cleanup]]
type = "http"
method = "DELETE"
url = "${vars.url}/row"
"""


def killed(project: CaseProject, web: RawWeb, *options: str) -> str:
    """Kill a run of HOLDING while it waits; returns its id as `cleanup` lists it."""
    project.write("checks/c.toml", HOLDING)
    arrived, release = web.hold("/look")
    with project.start("check", *options) as process:
        assert arrived.acquire(timeout=PATIENCE_S)
        process.kill()
        finished(process)
    release.set()
    return project.run("cleanup").out.split()[0]


@pytest.mark.parametrize(
    "root",
    [(), ("--root", ".")],
    ids=["found", "relative"],
)
def test_N8_a_cleanup_works_in_the_project_of_its_run(
    root: tuple[str, ...], project: CaseProject, web: RawWeb, warm: Control, tmp_path: Path, world: World
) -> None:
    run = killed(project, web, *root)
    folder = tmp_path / "other"
    folder.mkdir()
    other = CaseProject(folder, warm, environ=world.environ, url=f"{web.url}/other")
    other.environ["XDG_STATE_HOME"] = project.environ["XDG_STATE_HOME"]
    other.write("checks/c.toml", HOLDING)
    ended = other.run("cleanup", run)
    assert ended.code == 0, ended.said
    assert web.seen[-1] == "DELETE /row"


def test_N8_a_cleanup_whose_definition_changed_is_not_run_silently(project: CaseProject, web: RawWeb) -> None:
    run = killed(project, web)
    project.write(
        "checks/c.toml", HOLDING.replace('method = "DELETE"\nurl = "${vars.url}/row"', 'url = "${vars.url}/x"')
    )
    ended = project.run("cleanup", run)
    assert "chang" in ended.said, ended.said
    assert ended.code != 0 or "DELETE /row" in web.seen


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["interrupted", "terminated"]
)
def test_N9_a_signal_before_the_first_check_leaves_a_result(
    number: signal.Signals, code: int, project: CaseProject, web: RawWeb
) -> None:
    arrived, _ = web.hold("/")
    project.write("checks/c.toml", http("ok", "/ok") + RECENT.format(name="g"))
    text = (project.project / "config" / "t.toml").read_text()
    project.write("config/t.toml", text.replace("[vars]", 'account = "123456789012"\n[vars]'))
    with project.start("check", "--json", environ={"AWS_ENDPOINT_URL": web.url}) as process:
        assert arrived.acquire(timeout=PATIENCE_S), "the account was never asked for"
        process.send_signal(number)
        ended = finished(process)
    assert ended.code == code, ended.said
    assert json.loads(ended.out)["verdict"]["status"] == "aborted"
    assert "Traceback" not in ended.err


def test_N11_connections_of_posts_are_not_kept_for_ever(project: CaseProject, web: RawWeb) -> None:
    arrived, release = web.hold("/last")
    post = 'method = "POST"\nmutates = false\n'
    posts = [http(f"post {n}", "/search", post + (f'needs = ["post {n - 1}"]' if n else "")) for n in range(30)]
    project.write("checks/c.toml", "".join(posts) + http("last", "/last", 'needs = ["post 29"]\ntimeout = "50s"'))
    with project.start("check") as process:
        assert arrived.acquire(timeout=PATIENCE_S)
        kept = web.open_connections
        release.set()
        ended = finished(process)
    assert ended.code == 0, ended.said
    assert web.seen.count("POST /search") == 30
    assert kept <= 10


SIGNED = 'auth = { sigv4 = { service = "execute-api" } }'
EXPIRED = response(
    b'{"message": "The security token included in the request is expired"}',
    "403 Forbidden",
    X_Amzn_ErrorType="ExpiredTokenException",
)


def test_N12_expired_keys_of_a_signed_request_are_an_error(project: CaseProject, web: RawWeb) -> None:
    web.routes["/signed"] = EXPIRED
    found = project.checked(http("a", "/signed", SIGNED))["a"]
    assert (found["status"], found["reason_code"]) == ("error", "expired_credentials")


def test_N12_a_403_of_the_target_itself_is_a_failure(project: CaseProject, web: RawWeb) -> None:
    web.routes["/signed"] = response(b'{"message": "not yours"}', "403 Forbidden")
    assert project.checked(http("a", "/signed", SIGNED)).statuses == {"a": "fail"}


def test_N12_renewed_keys_sign_the_request_once_more(project: CaseProject, web: RawWeb) -> None:
    def keys(name: str) -> str:
        return f"[default]\naws_access_key_id = AKIA{name}\naws_secret_access_key = secret{name}\n"

    credentials = project.write("credentials", keys("OLD"))

    def answer(request: bytes) -> bytes:
        if b"AKIANEW" in request:
            return response(b"{}")
        credentials.write_text(keys("NEW"))
        return EXPIRED

    web.routes["/signed"] = answer
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        project.environ.pop(key)
    found = project.checked(http("a", "/signed", SIGNED), environ={"AWS_SHARED_CREDENTIALS_FILE": str(credentials)})
    assert found.statuses == {"a": "pass"}
    assert len(web.requests) == 2


def signature(request: bytes, query: list[tuple[bytes, bytes]], secret: str) -> str:
    """Return the signature that AWS computes for a GET, from the decoded names and values of its query."""
    head = request.decode().split("\r\n\r\n")[0].split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    fields = dict(part.strip().split("=", 1) for part in headers["authorization"].partition(" ")[2].split(","))
    scope = fields["Credential"].split("/", 1)[1]
    signed = fields["SignedHeaders"].split(";")
    pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in query)
    canonical = "\n".join(
        [
            "GET",
            head[0].split()[1].partition("?")[0],
            "&".join(f"{name}={value}" for name, value in pairs),
            *(f"{name}:{headers[name]}" for name in signed),
            "",
            ";".join(signed),
            headers.get("x-amz-content-sha256", hashlib.sha256(b"").hexdigest()),
        ]
    )
    text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    expected = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return "the same" if expected == fields["Signature"] else f"{expected} instead of {fields['Signature']}"


@pytest.mark.parametrize(
    "query",
    [
        "x=1",
        "flag",
        "q=a%20b",
        "b=2&a=1",
        "since=2026-01-01T00:00:00Z",
        "ids=1,2",
        "path=/x/y",
        "mail=a@b.de",
        "q=a%2fb",
        "q=a+b",
        "q=%ff%C3%A9",
        "a=1&a=0&&empty=",
    ],
)
def test_N13_a_query_is_signed_as_aws_reads_it(query: str, project: CaseProject, web: RawWeb) -> None:
    project.checked(http("a", f"/signed?{query}", SIGNED))
    parts = [part.partition("=")[::2] for part in query.split("&") if part]
    pairs = [tuple(unquote_to_bytes(each) for each in part) for part in parts]
    assert signature(web.requests[0], pairs, "test") == "the same"  # type: ignore[arg-type]


INVOKE = """
[[check]]
name = "a"
type = "lambda"
mutates = true
function = "orders"
expect = ["payload exists"]
"""


@pytest.mark.parametrize(
    "code",
    [
        "InvalidZipFileException",
        "InvalidRuntimeException",
        "InvalidSubnetIDException",
        "InvalidSecurityGroupIDException",
    ],
)
def test_N15_a_function_that_cannot_start_is_a_failure(code: str, project: CaseProject, world: World) -> None:
    def refused(_: HttpRequest) -> aiohttp_web.Response:
        body = json.dumps({"Type": "Server", "Message": "the function cannot start"}).encode()
        return aiohttp_web.Response(body=body, status=502, headers={"X-Amzn-ErrorType": code})

    world.aws.forgeries["lambda:Invoke"] = refused
    found = project.checked(INVOKE)
    assert (found["a"]["status"], found.code) == ("fail", 1)


NEEDED = {
    "dynamodb:Query": '[[check]]\nname = "a"\ntype = "dynamodb"\noperation = "scan"\ntable = "orders"\n'
    'key = { id = "7" }\nexpect = ["count == 0"]\n',
    "s3:ListBucket": '[[check]]\nname = "a"\ntype = "s3"\noperation = "head"\nbucket = "exports"\nkey = "a"\n'
    'expect = ["exists == false"]\n',
}


@pytest.mark.parametrize("action", NEEDED)
def test_N16_the_policy_holds_every_call_that_is_made(action: str, project: CaseProject) -> None:
    project.write("checks/c.toml", NEEDED[action])
    ended = project.run("iam-policy")
    assert ended.code == 0, ended.said
    assert action in ended.out


SQL = """
[[check]]
name = "a"
type = "sql"
mutates = false
url = "sqlite+aiosqlite:///:memory:"
statement = '''{statement}'''
{more}
expect = ["row.found == '{found}'"]
"""


@pytest.mark.parametrize(
    ("statement", "more", "found"),
    [
        pytest.param("select :x as found", 'parameters = { x = "7" }', "7", id="parameter"),
        pytest.param("select '12:30:00' as found", "", "12:30:00", id="time"),
        pytest.param("select 'at:noon' as found", "", "at:noon", id="word"),
        pytest.param("select ' :x' as found", 'parameters = { x = "7" }', " :x", id="parameter in quotes"),
        pytest.param("select :x as found -- not :y", 'parameters = { x = "7" }', "7", id="comment"),
        pytest.param("select '{\"a\":1}' as found", "", '{"a":1}', id="JSON"),
    ],
)
def test_N17_only_declared_parameters_are_bound(statement: str, more: str, found: str, project: CaseProject) -> None:
    pytest.importorskip("aiosqlite")
    checks = SQL.format(statement=statement, more=more, found=found.replace('"', '\\"'))
    assert project.checked(checks).statuses == {"a": "pass"}


def test_N17_a_name_that_parameters_lacks_is_never_sent(project: CaseProject) -> None:
    pytest.importorskip("aiosqlite")
    found = project.checked(SQL.format(statement="select :y as found", more='parameters = { x = "7" }', found="7"))["a"]
    assert (found["status"], found["reason_code"]) == ("error", "invalid")
    assert ":y" in found["message"]


@pytest.mark.parametrize("written", ["${vars.q}", "${env.Q | default('inbox')}", "${stack.shop.Queue}"])
def test_N18_a_serial_group_stays_in_one_shard(written: str, project: CaseProject) -> None:
    project.configure('[stacks]\nshop = "shop"\n', variables='q = "inbox"')
    filler = "".join(http(f"f{n}", "/ok") for n in range(6))
    project.write(
        "checks/c.toml",
        http("first", "/a", f'serial = "{written}"') + filler + http("second", "/b", 'serial = "inbox"'),
    )
    places: dict[str, int] = {}
    for index in (1, 2):
        listed = project.run("list", "--shard", f"{index}/2")
        for name in ("first", "second"):
            if name in listed.out:
                places[name] = index
    assert places["first"] == places["second"]


LONG = {
    "logs": 'type = "logs"\ngroup = "g"\nsince = "9999999d"\nexpect = ["count == 0"]',
    "traces": 'type = "traces"\nfilter = "fault"\nsince = "9999999d"\nexpect = ["count == 0"]',
    "metric": 'type = "metric"\nnamespace = "N"\nmetric = "M"\nwindow = "9999999d"\nexpect = ["value == 0"]',
}


@pytest.mark.parametrize("kind", LONG)
def test_N19_a_window_longer_than_the_calendar_is_a_mistake(kind: str, project: CaseProject) -> None:
    project.write("checks/c.toml", f'[[check]]\nname = "a"\n{LONG[kind]}\n')
    ended = project.run("validate")
    assert ended.code == 2, ended.said
    assert "9999999d" in ended.err


POSTED = 'method = "POST"\nmutates = false\njson = { x = "${vars.text | parse_json}" }'


def test_N20_parsed_numbers_keep_their_digits(project: CaseProject, web: RawWeb) -> None:
    project.configure("", variables="text = '12345678901234567890.123456789'")
    project.checked(http("a", "/post", POSTED))
    assert web.requests[0].endswith(b"12345678901234567890.123456789}")


@pytest.mark.parametrize("text", ["NaN", "[" * 60_000], ids=["NaN", "brackets"])
def test_N20_text_that_is_not_json_is_never_sent(text: str, project: CaseProject, web: RawWeb) -> None:
    project.configure("", variables=f"text = '{text}'")
    found = project.attempt(http("a", "/post", POSTED))
    assert web.seen == []
    if found.code != 2:
        assert found["a"]["status"] == "error"
        assert found["a"]["reason_code"] != "internal"


def test_N20_an_index_that_is_no_number_is_told_plainly(project: CaseProject) -> None:
    project.configure("", variables='l = ["a"]')
    project.write("checks/c.toml", http("a", "/${vars.l.--1}"))
    ended = project.run("validate")
    assert ended.code == 2, ended.said
    assert "base 10" not in ended.said
    assert "int()" not in ended.said


COMMAND = """
[[check]]
name = "a"
type = "command"
mutates = false
argv = ["sh", "-c", "echo $DEBUG $COUNT $RATIO $0", "${vars.flag}"]
env = { DEBUG = true, COUNT = 3, RATIO = 0.5 }
expect = ["stdout == 'true 3 0.5 false\\n'"]
"""


def test_N21_a_boolean_reaches_a_program_as_it_is_written(project: CaseProject) -> None:
    project.configure("", variables="flag = false")
    assert project.checked(COMMAND).statuses == {"a": "pass"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("é", "é"),
        (["é"], '["\\u00e9"]'),
    ],
)
def test_N23_to_string_writes_as_jmespath_does(value: Any, expected: str) -> None:
    import jmespath

    assert jmespath.search("to_string(@)", value) == expected
    # A text in single quotes has no escapes.
    source = f"to_string(x) == '{expected}'"
    assert evaluate(parse(source), {"x": value}, now=datetime.now(UTC)).ok is True
