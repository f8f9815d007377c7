"""The `dns` probe against a name server of our own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Observation
from tests.support.name_server import name_server

Send = Callable[..., Awaitable[Observation]]

ZONE = {
    ("shop.example.", "A"): ["60 IN A 10.0.0.2", "60 IN A 10.0.0.1"],
    ("shop.example.", "AAAA"): ["5 IN AAAA ::1"],
    ("www.shop.example.", "A"): ["300 IN CNAME shop.example.", "30 IN A 10.0.0.1"],
    ("www.shop.example.", "CNAME"): ["300 IN CNAME shop.example."],
    ("shop.example.", "MX"): ["60 IN MX 10 mail.shop.example."],
    ("shop.example.", "NS"): ["60 IN NS ns1.shop.example."],
    ("_sip._tcp.shop.example.", "SRV"): ["60 IN SRV 0 5 5060 sip.shop.example."],
    ("shop.example.", "CAA"): ['60 IN CAA 0 issue "ca.example"'],
    ("shop.example.", "TXT"): ['60 IN TXT "v=spf1 " "-all"', '60 IN TXT "grüß\\226"'],
}
RCODES = {"gone.example.": dns.rcode.NXDOMAIN, "broken.example.": dns.rcode.SERVFAIL}


def answer(query: bytes) -> bytes:
    question = dns.message.from_wire(query)
    name, type_ = question.question[0].name.to_text(), question.question[0].rdtype.name
    reply = dns.message.make_response(question)
    if name in RCODES:
        reply.set_rcode(RCODES[name])
    for line in ZONE.get((name, type_), []):
        ttl, class_, kind, text = line.split(" ", 3)
        owner = name if kind == type_ or ("www" in name and kind == "CNAME") else "shop.example."
        reply.answer.append(dns.rrset.from_text(owner, int(ttl), class_, kind, text))
    return reply.to_wire()


@pytest.mark.parametrize(
    ("name", "record", "answers", "ttl"),
    [
        ("shop.example", "A", ["10.0.0.2", "10.0.0.1"], 60),
        ("shop.example.", "AAAA", ["::1"], 5),
        ("www.shop.example", "A", ["10.0.0.1"], 30),
        ("www.shop.example", "CNAME", ["shop.example"], 300),
        ("shop.example", "MX", ["10 mail.shop.example"], 60),
        ("shop.example", "NS", ["ns1.shop.example"], 60),
        ("_sip._tcp.shop.example", "SRV", ["0 5 5060 sip.shop.example"], 60),
        ("shop.example", "CAA", ['0 issue "ca.example"'], 60),
        ("shop.example", "TXT", ["v=spf1 -all", "grüß�"], 60),
    ],
)
async def test_records(send: Send, name: str, record: str, answers: list[str], ttl: int) -> None:
    async with name_server(answer) as server:
        seen = await send("dns", name=name, record=record, server=server)
    assert seen.failure is None
    assert seen.document["answers"] == answers
    assert (seen.document["ttl"], seen.document["rcode"], seen.document["server"]) == (ttl, "NOERROR", "127.0.0.1")
    assert seen.document["latency"].ns > 0


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST.", "shop.localhost"])
@pytest.mark.parametrize(("record", "answers"), [("A", ["127.0.0.1"]), ("AAAA", ["::1"]), ("TXT", [])])
async def test_no_server_is_asked_for_localhost(send: Send, name: str, record: str, answers: list[str]) -> None:
    seen = await send("dns", name=name, record=record)
    assert (seen.document["answers"], seen.document["rcode"]) == (answers, "NOERROR")
    assert "server" not in seen.document
    assert (seen.failure is None) == bool(answers)


async def test_a_given_server_is_asked_for_localhost(send: Send) -> None:
    async with name_server(answer) as server:
        seen = await send("dns", name="localhost", server=server)
    assert (seen.document["answers"], seen.document["server"]) == ([], "127.0.0.1")


async def test_host_wins_over_the_checks_own_name_and_a_is_asked_by_default(send: Send) -> None:
    async with name_server(answer) as server:
        seen = await send("dns", name="the shop resolves", host="shop.example", server=server)
    assert seen.document["answers"] == ["10.0.0.2", "10.0.0.1"]


@pytest.mark.parametrize(
    ("name", "rcode", "says"),
    [
        ("gone.example", "NXDOMAIN", "gone.example does not resolve: 127.0.0.1 says NXDOMAIN"),
        ("broken.example", "SERVFAIL", "broken.example does not resolve: 127.0.0.1 says SERVFAIL"),
        ("empty.example", "NOERROR", "empty.example has no A record"),
    ],
)
async def test_no_answer_is_a_failure_unless_asked_about(send: Send, name: str, rcode: str, says: str) -> None:
    async with name_server(answer) as server:
        seen = await send("dns", name=name, server=server)
    assert (seen.document["rcode"], seen.document["answers"]) == (rcode, [])
    assert "ttl" not in seen.document
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason, seen.failure.message) == (Status.FAIL, Reason.DNS, says)
    assert seen.failure.answered_by == (("rcode",) if rcode == "SERVFAIL" else ("rcode", "answers"))


@pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NXDOMAIN])
async def test_records_in_an_error_are_no_answer(send: Send, rcode: dns.rcode.Rcode) -> None:
    def reply(query: bytes) -> bytes:
        said = dns.message.from_wire(answer(query))
        said.set_rcode(rcode)
        return said.to_wire()

    async with name_server(reply) as server:
        seen = await send("dns", name="shop.example", record="AAAA", server=server)
    assert seen.document["answers"] == ["::1"]
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason, seen.failure.answered_by) == (Status.FAIL, Reason.DNS, ("rcode",))


@pytest.mark.parametrize(
    ("reply", "timeout_s", "reason", "says"),
    [
        pytest.param(lambda _query: None, 0.05, Reason.TIMEOUT, "did not answer within 50 ms", id="silent"),
        pytest.param(lambda query: query[:2] + b"nonsense", 60.0, Reason.PROTOCOL, "is not DNS", id="nonsense"),
    ],
)
async def test_bad_servers(
    send: Send, reply: Callable[[bytes], bytes | None], timeout_s: float, reason: Reason, says: str
) -> None:
    async with name_server(reply) as server:
        seen = await send("dns", name="shop.example", server=server, timeout_s=timeout_s)
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.FAIL, reason)
    assert says in seen.failure.message
    assert server in seen.failure.message


async def test_a_truncated_answer_is_asked_for_again_over_tcp(send: Send) -> None:
    async def over_tcp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int.from_bytes(await reader.readexactly(2))
        said = answer(await reader.readexactly(length))
        writer.write(len(said).to_bytes(2) + said)
        await writer.drain()

    def truncated(query: bytes) -> bytes:
        reply = dns.message.make_response(dns.message.from_wire(query))
        reply.flags |= dns.flags.TC
        return reply.to_wire()

    async with name_server(truncated, over_tcp) as server:
        seen = await send("dns", name="shop.example", server=server)
    assert seen.document["answers"] == ["10.0.0.2", "10.0.0.1"]


@pytest.mark.parametrize(
    "params",
    [
        pytest.param({"name": "a" * 64 + ".example"}, id="label too long"),
        pytest.param({"name": "not..valid"}, id="empty label"),
        pytest.param({"name": "shop.example", "server": "127.0.0.1:port"}, id="port"),
        pytest.param({"name": "shop.example", "server": "ns:99999"}, id="port out of range"),
    ],
)
async def test_questions_nobody_can_ask(send: Send, params: dict[str, Any]) -> None:
    seen = await send("dns", **params)
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.ERROR, Reason.INVALID)


async def test_servers_of_this_machine_are_asked_in_turn(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    async with name_server(lambda _query: None) as silent, name_server(answer) as good:
        both = [(each.partition(":")[0], int(each.rpartition(":")[2])) for each in (silent, good)]
        monkeypatch.setattr("prodwatch.probes.dns.probe._servers", lambda _written: both)
        seen = await send("dns", name="shop.example", timeout_s=1.0)
    assert seen.failure is None
    assert seen.document["answers"] == ["10.0.0.2", "10.0.0.1"]


async def test_a_machine_without_name_servers(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    import dns.resolver

    def none(*_rest: Any) -> Any:
        raise dns.resolver.NoResolverConfiguration

    monkeypatch.setattr(dns.resolver, "Resolver", none)
    seen = await send("dns", name="shop.example")
    assert seen.failure is not None
    assert "/etc/resolv.conf" in seen.failure.message
