"""Checks that must not be green without a measurement, and other rules of the engine, through the command."""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import json
import os
import ssl
import threading
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from prodwatch.demo.aws.functions.model import Function, FunctionVersion
from prodwatch.demo.workload import Invocation, InvocationResult
from tests.support.case_project import CaseProject
from tests.support.forged_aws import World
from tests.support.raw_web import RawWeb, response

BODY = b'{"status": "ok", "log": "' + b"all is well, " * 40 + b'an ERROR at the end"}'


def http(name: str, path: str, *expect: str, more: str = "") -> str:
    head = f'[[check]]\nname = "{name}"\ntype = "http"\nurl = "${{vars.url}}{path}"\nretry = 0\n'
    return f"{head}expect = [{', '.join(json.dumps(each) for each in expect)}]\n{more}\n"


def chunked(body: bytes) -> bytes:
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    return head + f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"


def coded(body: bytes, coding: str) -> bytes:
    return response(body, Content_Type="text/plain", Content_Encoding=coding)


WHOLE = gzip.compress(BODY)
DEFLATED = zlib.compress(BODY)


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(coded(WHOLE[:12], "gzip"), id="twelve bytes"),
        pytest.param(coded(WHOLE[: len(WHOLE) // 2], "gzip"), id="half"),
        pytest.param(coded(WHOLE[:-8], "gzip"), id="without the checksum"),
        pytest.param(chunked(WHOLE[: len(WHOLE) // 2]), id="half, chunked with a proper end"),
    ],
)
def test_A2_a_gzip_body_cut_short_fails_the_check(reply: bytes, project: CaseProject, web: RawWeb) -> None:
    web.routes["/cut"] = reply
    web.routes["/whole"] = coded(WHOLE, "gzip")
    checks = http("cut", "/cut", "body not contains 'nothing of this'") + http(
        "whole", "/whole", "body not contains 'nothing of this'", "body contains 'ERROR'"
    )
    found = project.checked(checks)
    assert found.statuses == {"cut": "fail", "whole": "pass"}
    assert found["cut"]["reason_code"] not in {"internal", "assertion"}


def test_A2_a_deflated_body_cut_short_fails_the_check(project: CaseProject, web: RawWeb) -> None:
    web.routes["/cut"] = coded(DEFLATED[: len(DEFLATED) // 2], "deflate")
    found = project.checked(http("cut", "/cut", "body not contains 'nothing of this'"))
    assert found.statuses == {"cut": "fail"}


LAMBDA = """
[[check]]
name = "connected"
type = "lambda"
mutates = true
function = "{function}"
expect = ["payload.ok == true"]

[[check]]
name = "all copies answer"
type = "lambda"
mutates = true
needs = ["connected"]
function = "{function}"
copies = 3
stagger = "50ms"
expect = ["payload.ok == true"]
"""


@pytest.mark.parametrize("right", [1, 2])
def test_A4_a_wrong_copy_is_not_hidden_behind_the_first(
    right: int, name: str, project: CaseProject, world: World
) -> None:
    counted: list[Invocation] = []

    async def invoke(invocation: Invocation) -> InvocationResult:
        counted.append(invocation)
        answer = json.dumps({"ok": len(counted) <= 1 + right}).encode()
        return InvocationResult(payload=answer, executed_version="1", request_id=f"r{len(counted)}")

    world.aws.on_invoke = invoke
    found = project.attempt(LAMBDA.format(function=name))
    if found.code == 2:
        assert "copies" in found.err
    else:
        assert len(counted) == 4
        assert found["all copies answer"]["status"] == "fail"


QUERY = """
[[check]]
name = "the items are open"
type = "dynamodb"
operation = "query"
table = "{table}"
key = {{ customer = "7" }}
expect = ["item.state == 'open'"]
"""


def table(world: World, name: str) -> str:
    """Create a table with two items of customer 7, of which the first is open."""
    world.call(
        "dynamodb",
        "CreateTable",
        {
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [
                {"AttributeName": "customer", "AttributeType": "S"},
                {"AttributeName": "id", "AttributeType": "S"},
            ],
            "KeySchema": [
                {"AttributeName": "customer", "KeyType": "HASH"},
                {"AttributeName": "id", "KeyType": "RANGE"},
            ],
        },
    )
    for number, state in enumerate(("open", "broken")):
        item = {"customer": {"S": "7"}, "id": {"S": str(number)}, "state": {"S": state}}
        world.call("dynamodb", "PutItem", {"TableName": name, "Item": item})
    return name


def test_A4_the_first_item_of_a_query_does_not_speak_for_all(name: str, project: CaseProject, world: World) -> None:
    found = project.attempt(QUERY.format(table=table(world, name)))
    if found.code == 2:
        assert "item" in found.err
    else:
        assert found["the items are open"]["status"] in {"fail", "inconclusive"}


SEVERAL = """
[[check]]
name = "several"
type = "flow"
[[check.step]]
name = "call"
type = "lambda"
mutates = false
function = "f"
copies = {copies}
{more}
"""


@pytest.mark.parametrize(
    ("more", "way_out"),
    [
        ("expect = ['payload.ok == true']", "all results[].payload.ok == true"),
        ("expect = ['all payload.items[].ok == true']", "all results[].payload.items[].ok == true"),
        ("expect = ['status_code == 200']", "all results[].status_code == 200"),
        ("expect = ['length(payload.items) == 2']", "use `results[].payload` in its place"),
        ("expect = [\"function_error == 'Unhandled'\"]", "all results[].function_error == 'Unhandled'"),
        ("expect = [\"error.code == 'X'\"]", "all results[].error.code == 'X'"),
        ("warn = ['duration < 1s']", "all results[].duration < 1s"),
        ("poll = { within = '2s', until = ['payload.ok == true'] }", "all results[].payload.ok == true"),
        ("poll = { within = '2s', stop_when = ['payload.ok == false'] }", "all results[].payload.ok == false"),
        ("repeat = { after = 'before', when = ['payload.ok == false'] }", "all results[].payload.ok == false"),
        ("capture = { id = 'payload.id' }", "results[0].payload.id"),
        ("capture = { id = { path = 'request_id', secret = true } }", "results[0].request_id"),
    ],
)
@pytest.mark.parametrize("copies", ["3", '"${vars.copies}"'])
def test_A4_a_claim_on_the_first_copy_is_refused_with_the_way_out(
    copies: str, more: str, way_out: str, project: CaseProject
) -> None:
    before = '[[check.step]]\nname = "before"\ntype = "wait"\nfor = "1s"\n[[check.step]]\nname = "call"'
    checks = SEVERAL.format(copies=copies, more=more).replace('[[check.step]]\nname = "call"', before)
    project.configure("", variables="copies = 3")
    project.write("checks/c.toml", checks)
    ended = project.run("validate")
    assert ended.code == 2, ended.said
    assert way_out in ended.err
    assert "copy" in ended.err


@pytest.mark.parametrize(
    ("copies", "claim"),
    [("1", "payload.ok == true"), ("3", "all results[].payload.ok == true"), ("3", "function_error absent")],
)
def test_A4_a_claim_on_the_only_copy_or_on_every_copy_is_taken(copies: str, claim: str, project: CaseProject) -> None:
    project.write("checks/c.toml", SEVERAL.format(copies=copies, more=f"expect = ['{claim}']"))
    assert project.run("validate").code == 0


OPEN_ITEMS = """
[[check]]
name = "{name}"
type = "flow"
[[check.step]]
name = "find"
type = "dynamodb"
operation = "{operation}"
table = "{table}"
{more}
"""


@pytest.mark.parametrize("operation", ["query", "scan"])
@pytest.mark.parametrize(
    ("more", "status"),
    [
        pytest.param("expect = [\"item.state == 'open'\"]", "inconclusive", id="differs"),
        pytest.param("expect = [\"item.state != 'broken'\"]", "inconclusive", id="not equal"),
        pytest.param("expect = ['item.customer == \"7\"']", "pass", id="equal in all"),
        pytest.param("expect = ['item exists']", "pass", id="exists"),
        pytest.param("expect = ['item absent']", "fail", id="absent"),
        pytest.param("expect = [\"all items[].state == 'open'\"]", "fail", id="every item"),
        pytest.param("expect = [\"items[0].state == 'open'\"]", "pass", id="the first, by its index"),
        pytest.param("capture = { id = 'item.id' }", "inconclusive", id="capture"),
        pytest.param("capture = { customer = 'item.customer' }", "pass", id="capture of an equal part"),
        pytest.param("capture = { item = 'item' }", "inconclusive", id="capture of the whole"),
        pytest.param("poll = { within = '1s', until = [\"item.state == 'open'\"] }", "inconclusive", id="until"),
        pytest.param("expect = ['length(item) == 3']", "inconclusive", id="function"),
        pytest.param("expect = ['keys(item) contains \"id\"']", "inconclusive", id="keys"),
    ],
)
def test_A4_what_differs_between_the_items_is_undecided(
    operation: str, more: str, status: str, name: str, project: CaseProject, world: World
) -> None:
    key = 'key = { customer = "7" }\n' if operation == "query" else ""
    checks = OPEN_ITEMS.format(name="a", operation=operation, table=table(world, name), more=key + more)
    found = project.checked(checks)["a"]
    assert found["status"] == status, found
    if status == "inconclusive":
        assert "items[" in found["message"]


@pytest.mark.parametrize(
    ("later", "status"),
    [
        ("body = '${steps.find.item.id}'", "error"),
        ("body = '${steps.find.item}'", "error"),
        ("body = '${steps.find.items.0.id}'", "pass"),
    ],
)
def test_A4_a_later_step_is_not_given_the_first_of_several(
    later: str, status: str, name: str, project: CaseProject, world: World
) -> None:
    more = f"[[check.step]]\nname = 'send'\ntype = 'http'\nmethod = 'POST'\nmutates = true\nurl = '{project.url}/a'"
    checks = OPEN_ITEMS.format(name="a", operation="scan", table=table(world, name), more=f"{more}\n{later}")
    found = project.checked(checks)["a"]
    assert found["status"] == status, found


def test_A4_a_flows_own_claim_on_the_first_of_several_is_undecided(
    name: str, project: CaseProject, world: World
) -> None:
    checks = OPEN_ITEMS.format(name="a", operation="scan", table=table(world, name), more="").replace(
        'type = "flow"', 'type = "flow"\nexpect = ["steps.find.item.state == \'open\'"]'
    )
    assert project.checked(checks)["a"]["status"] == "inconclusive"


TWO = http("one", "/a", "status == 200") + http("two", "/b", "status == 200") + http("three", "/c", "status == 200")


@pytest.fixture
def sharded(project: CaseProject) -> CaseProject:
    project.write("checks/c.toml", TWO)
    return project


def shard(project: CaseProject, index: int, *options: str) -> str:
    name = f"shard{index}.json"
    ended = project.run("check", "--shard", f"{index}/2", "--json", name, *options)
    assert ended.code == 0, ended.said
    return name


def edited(project: CaseProject, name: str, edit: Any) -> None:
    path = project.project / name
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))


def test_A6_shards_of_one_run_are_merged(sharded: CaseProject) -> None:
    ended = sharded.run("merge", shard(sharded, 1), shard(sharded, 2), "--json")
    assert ended.code == 0, ended.said
    assert json.loads(ended.out)["summary"]["pass"] == 3


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(TWO + http("new", "/new", "status == 200"), id="a check was added"),
        pytest.param(TWO.replace("status == 200", "status < 500"), id="a claim was changed"),
    ],
)
def test_A6_a_shard_of_other_files_is_refused(change: str, sharded: CaseProject) -> None:
    first = shard(sharded, 1)
    sharded.write("checks/c.toml", change)
    ended = sharded.run("merge", first, shard(sharded, 2))
    assert ended.code == 2, ended.said
    assert "shard" in ended.err


def test_A6_a_shard_of_another_value_of_a_variable_is_refused(sharded: CaseProject) -> None:
    first = shard(sharded, 1)
    ended = sharded.run("merge", first, shard(sharded, 2, "--var", f"url={sharded.url}/other"))
    assert ended.code == 2, ended.said


def test_A6_a_shard_of_another_release_is_refused(sharded: CaseProject) -> None:
    names = [shard(sharded, 1), shard(sharded, 2)]
    for name, version in zip(names, ("41", "42"), strict=True):
        edited(sharded, name, lambda document, v=version: document.update(release={"version": v, "state": "stable"}))
    ended = sharded.run("merge", *names)
    assert ended.code == 2, ended.said
    assert "41" in ended.err
    assert "42" in ended.err


def test_A6_shards_that_started_far_apart_are_noticed(sharded: CaseProject) -> None:
    names = [shard(sharded, 1), shard(sharded, 2)]

    def earlier(document: Any) -> None:
        for key in ("started_at", "ended_at"):
            document["run"][key] = "2020-01-01T00:00:00Z"

    edited(sharded, names[0], earlier)
    ended = sharded.run("merge", *names, "--json")
    if ended.code != 2:
        assert any("2020" in each["message"] or "apart" in each["message"] for each in json.loads(ended.out)["notices"])


def test_A6_a_shard_that_contradicts_itself_is_refused(sharded: CaseProject) -> None:
    names = [shard(sharded, 1), shard(sharded, 2)]
    for name in names:
        edited(sharded, name, lambda document: [each["assertions"][0].update(ok=False) for each in document["checks"]])
    ended = sharded.run("merge", *names)
    assert ended.code == 2, ended.said
    assert "contradict" in ended.err


GOOD = http("good", "/a", "status == 200")


@pytest.mark.parametrize("command", ["check", "validate"])
def test_A7_a_link_to_a_folder_that_is_not_there_is_a_mistake(command: str, project: CaseProject) -> None:
    project.write("checks/c.toml", GOOD)
    (project.project / "checks" / "payments").symlink_to(project.project / "not-mounted")
    ended = project.run(command)
    assert ended.code == 2, ended.said
    assert "checks/payments" in ended.err


def test_A7_a_check_file_with_an_ending_in_capitals_is_read_or_named(project: CaseProject) -> None:
    project.write("checks/c.toml", GOOD)
    project.write("checks/b.TOML", http("bad", "/b", "status == 500"))
    ended = project.run("check")
    assert ended.code in {1, 2}, ended.said
    if ended.code == 2:
        assert "b.TOML" in ended.err


def test_A7_a_pipe_among_the_check_files_is_a_mistake_and_never_a_hang(project: CaseProject) -> None:
    project.write("checks/c.toml", GOOD)
    pipe = project.project / "checks" / "pipe.toml"
    os.mkfifo(pipe)
    opened = threading.Event()

    def let_through() -> None:
        # Returns as soon as the pipe is read: a command that waits for it then goes on.
        os.close(os.open(pipe, os.O_WRONLY))
        opened.set()

    thread = threading.Thread(target=let_through, daemon=True)
    thread.start()
    ended = project.run("validate")
    was_read = opened.is_set()
    if not was_read:
        os.close(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK))
    thread.join(10)
    assert not was_read
    assert ended.code == 2, ended.said
    assert "pipe.toml" in ended.err


@pytest.fixture
def attested(project: CaseProject, name: str, world: World) -> CaseProject:
    """A project over a function that is released as version 42, of which every response must bear the version."""
    versions = tuple(FunctionVersion(version=each, published_s=0) for each in ("41", "42"))
    world.aws.functions.put(Function(name=name, versions=versions))
    world.aws.functions.put_alias(name, "live", "42", {})
    project.configure(f'[[function]]\nname = "{name}"\nalias = "live"\n[release]\nattest = "header(\'x-version\')"\n')
    return project


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param(["42"], "pass", id="one"),
        pytest.param(["42", "41"], "inconclusive", id="right, then wrong"),
        pytest.param(["42", "42"], "pass", id="twice the same"),
        pytest.param(["41", "42"], "inconclusive", id="wrong, then right"),
    ],
)
def test_A11_two_headers_of_different_versions_prove_none(
    headers: list[str], status: str, attested: CaseProject, web: RawWeb
) -> None:
    lines = "".join(f"X-Version: {each}\r\n" for each in headers)
    web.routes["/v"] = f"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{lines}\r\n{{}}".encode()
    assert attested.checked(http("version", "/v", "status == 200")).statuses == {"version": status}


@pytest.mark.parametrize(
    ("body", "claim"),
    [
        ('{"status": "broken", "status": "ok"}', "json.status == 'ok'"),
        ('{"order": {"id": 7, "paid": false, "paid": true}}', "json.order.paid == true"),
        ('{"items": [{"sku": "a", "n": 0, "n": 3}]}', "all json.items[*].n > 0"),
    ],
)
def test_A11_a_claim_on_a_json_member_that_is_there_twice_is_undecided(
    body: str, claim: str, project: CaseProject, web: RawWeb
) -> None:
    web.routes["/twice"] = response(body.encode())
    found = project.checked(http("twice", "/twice", claim))["twice"]
    assert found["status"] == "inconclusive", found["message"]
    assert "twice" in found["message"] or "duplicate" in found["message"]


def test_A11_a_claim_on_another_member_is_decided(project: CaseProject, web: RawWeb) -> None:
    web.routes["/twice"] = response(b'{"id": 7, "note": "a", "note": "b"}')
    assert project.checked(http("twice", "/twice", "json.id == 7")).statuses == {"twice": "pass"}


class Chain:
    """A root, an intermediate authority and a server's certificate, which expires in 300 days."""

    def __init__(self, folder: Path, intermediate_days: float) -> None:
        self.now = datetime.now(UTC)
        root_key, middle_key, leaf_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
        root = self._sign("root", "root", root_key, root_key, 3000, authority=True)
        middle = self._sign("intermediate", "root", middle_key, root_key, intermediate_days, authority=True)
        leaf = self._sign("leaf", "intermediate", leaf_key, middle_key, 300, authority=False)
        self.root = folder / "root.pem"
        self.root.write_bytes(root.public_bytes(serialization.Encoding.PEM))
        served = folder / "served.pem"
        served.write_bytes(
            leaf_key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + leaf.public_bytes(serialization.Encoding.PEM)
            + middle.public_bytes(serialization.Encoding.PEM)
        )
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(served)

    def _sign(self, subject: str, issuer: str, key: Any, signer: Any, days: float, *, authority: bool) -> Any:
        public, issued_by = key.public_key(), signer.public_key()
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - timedelta(days=1))
            .not_valid_after(self.now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issued_by), critical=False)
        )
        if authority:
            usage = dict.fromkeys(
                (
                    "content_commitment",
                    "key_encipherment",
                    "data_encipherment",
                    "key_agreement",
                    "encipher_only",
                    "decipher_only",
                ),
                False,
            )
            builder = builder.add_extension(
                x509.KeyUsage(digital_signature=True, key_cert_sign=True, crl_sign=True, **usage), critical=True
            )
        else:
            names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(signer, hashes.SHA256())


TLS = """
[[check]]
name = "certificate"
type = "tls"
host = "localhost"
port = {port}
expect = ["days_left > 14", "verified == true"]
"""


@pytest.mark.parametrize(
    ("days", "status"),
    [
        pytest.param(500, "pass", id="intermediate for 500 days"),
        pytest.param(2, "fail", id="intermediate for 2 days"),
    ],
)
def test_A12_days_left_are_of_the_chains_first_to_expire(
    days: float, status: str, project: CaseProject, world: World, tmp_path: Path
) -> None:
    chain = Chain(tmp_path, days)

    async def serve() -> asyncio.Server:
        return await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=chain.context)

    server = world.wait(serve())
    try:
        checks = TLS.format(port=server.sockets[0].getsockname()[1])
        found = project.checked(checks, environ={"SSL_CERT_FILE": str(chain.root)})["certificate"]
    finally:
        world.loop.call_soon_threadsafe(server.close)
    assert found["status"] == status, found
    if status == "fail":
        assert "intermediate" in json.dumps(found["message"])
        assert found["assertions"][0]["ok"] is False
        assert found["assertions"][1]["ok"] is True


ONE_FLOW = """
[[check]]
name = "orders"
type = "flow"
base_url = "${vars.url}/api/"
auth = { bearer = "${captured.token}" }

[[check.step]]
name = "login"
type = "http"
url = "/login"
auth = false
capture = { token = { path = "body", pattern = 'token=(\\w+)', secret = true }, row = "to_number(header('x-row'))" }

[[check.step]]
name = "below"
type = "http"
url = "/orders"
expect = ["json.items[${captured.row}].id == 'b'"]

[[check.step]]
name = "elsewhere"
type = "http"
url = "${vars.url}/other"
"""


def test_D_a_flow_sends_its_token_below_its_base_url_only_and_shows_it_nowhere(
    project: CaseProject, web: RawWeb
) -> None:
    web.routes["/api/login"] = response(b"<p>token=S3cr3tT0ken9</p>", x_row="1")
    web.routes["/api/orders"] = response(b'{"items": [{"id": "a"}, {"id": "b"}]}')
    found = project.checked(ONE_FLOW)
    assert (found["orders"]["status"], found["orders"]["message"]) == ("pass", None)
    assert web.seen == ["GET /api/login", "GET /api/orders", "GET /other"]
    assert [b"S3cr3tT0ken9" in request for request in web.requests] == [False, True, False]
    assert "S3cr3tT0ken9" not in json.dumps(found.document)
