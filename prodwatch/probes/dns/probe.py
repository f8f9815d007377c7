"""Sends one DNS query over UDP, and over TCP when the response is truncated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from prodwatch.errors import UnusableError
from prodwatch.model.quantity import Duration
from prodwatch.model.result import Exchange
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Failure, Observation, ProbeContext
from prodwatch.probes.deadline import Deadline
from prodwatch.probes.failures import connection_failure, text_of, timed_out, unusable
from prodwatch.probes.name_resolution import endpoint, is_address, resolve

if TYPE_CHECKING:
    from dns.message import Message
    from dns.rdata import Rdata
    from dns.rrset import RRset

PORT = 53
_LOOPBACK = {"A": "127.0.0.1", "AAAA": "::1"}
"""Address of `localhost` and of every name below it, which RFC 6761 keeps from name servers."""
_ENDS_IN_A_NAME = frozenset({"CNAME", "MX", "NS", "SRV"})


def warm(_params: Mapping[str, Any], _fill: Callable[[str], Any]) -> None:
    """Import the resolver, which takes tens of milliseconds."""
    for name in ("dns.asyncquery", "dns.message", "dns.resolver"):
        import_module(name)


async def probe(params: Mapping[str, Any], context: ProbeContext) -> Observation:
    """Send the query; the document is described on the type's reference page."""
    import dns.exception

    name = params.get("host", params.get("name", ""))
    record = params.get("record", "A")
    try:
        question = _question(name, record)
        if params.get("server") is None and _is_localhost(question):
            return _local(name, record)
        servers = _servers(params.get("server"))
    except UnusableError as error:
        return unusable(error)
    host, port = servers[0]
    exchange = Exchange(request={"name": name, "record": record, "server": endpoint(host, port)})
    now = context.clock.monotonic_s
    try:
        with Deadline(context.timeout_s) as deadline:
            answer, address, spent_s = await _ask(question, servers, context.timeout_s, now)
    except OSError as error:
        target = endpoint(host, port)
        failure = (
            timed_out(target, "answer", context.timeout_s) if deadline.expired else connection_failure(error, target)
        )
        return Observation(failure=failure, exchange=exchange)
    except dns.exception.Timeout:
        return Observation(failure=timed_out(endpoint(host, port), "answer", context.timeout_s), exchange=exchange)
    except (dns.exception.DNSException, EOFError) as error:
        message = f"{endpoint(host, port)} sent a response that is not DNS: {text_of(error)}"
        failure = Failure(status=Status.FAIL, reason=Reason.PROTOCOL, message=message)
        return Observation(failure=failure, exchange=exchange)
    return _observation(question, answer, name, record, address=address, spent_s=spent_s, exchange=exchange)


def _question(name: str, record: str) -> Message:
    import dns.exception
    import dns.message
    import dns.name

    try:
        return dns.message.make_query(dns.name.from_text(name), record)
    except (dns.exception.DNSException, UnicodeError) as error:
        raise UnusableError(f'"{name}" is not a name that can be looked up: {text_of(error)}') from error


def _is_localhost(question: Message) -> bool:
    import dns.name

    return bool(question.question[0].name.is_subdomain(dns.name.from_text("localhost")))


def _local(name: str, record: str) -> Observation:
    """Return the observation of this machine's own name, for which no server is asked."""
    answers = [_LOOPBACK[record]] if record in _LOOPBACK else []
    document: dict[str, Any] = {"answers": answers, "rcode": "NOERROR", "latency": Duration(0)}
    if answers:
        document["ttl"] = 0
    exchange = Exchange(request={"name": name, "record": record}, response={"rcode": "NOERROR", "answers": answers})
    return Observation(document=document, failure=None if answers else _no_record(name, record), exchange=exchange)


def _no_record(name: str, record: str) -> Failure:
    return Failure(
        status=Status.FAIL,
        reason=Reason.DNS,
        message=f"{name} has no {record} record",
        answered_by=("rcode", "answers"),
    )


def _servers(written: str | None) -> list[tuple[str, int]]:
    """Return (host, port) of the servers to try in order: the given one, or this machine's resolvers."""
    if written is None:
        import dns.resolver

        try:
            own = dns.resolver.Resolver().nameservers
        except dns.resolver.NoResolverConfiguration as error:
            raise UnusableError("this machine has no name server in /etc/resolv.conf; write `server`") from error
        return [(str(each), PORT) for each in own]
    if is_address(written):
        return [(written, PORT)]
    host, colon, port = written.rpartition(":")
    if not colon:
        return [(written, PORT)]
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise UnusableError(f'`server` is "{written}", whose port is not a number from 1 to 65535')
    return [(host.removeprefix("[").removesuffix("]"), int(port))]


async def _ask(
    question: Message, servers: Sequence[tuple[str, int]], timeout_s: float, now: Any
) -> tuple[Message, str, float]:
    """Return the first response, its server's address and the seconds it took, or raise the last server's error."""
    import dns.asyncquery
    import dns.exception

    share_s = timeout_s / len(servers)
    for number, (host, port) in enumerate(servers, 1):
        address = host if is_address(host) else str((await resolve(host, port))[0][4][0])
        started_s = now()
        try:
            answer, _ = await dns.asyncquery.udp_with_fallback(
                question, address, timeout=share_s if number < len(servers) else None, port=port
            )
        except (OSError, EOFError, dns.exception.DNSException):
            if number == len(servers):
                raise
        else:
            return answer, address, now() - started_s
    raise AssertionError("unreachable: the last server's error is raised")


def _observation(
    question: Message, answer: Message, name: str, record: str, *, address: str, spent_s: float, exchange: Exchange
) -> Observation:
    import dns.rcode
    import dns.rdatatype

    record_type = dns.rdatatype.from_text(record)
    sets = [each for each in _sets_of(question, answer) if each.rdtype == record_type]
    answers = [_text(rdata, record) for each in sets for rdata in each]
    rcode = dns.rcode.to_text(answer.rcode())
    document: dict[str, Any] = {
        "answers": answers,
        "rcode": rcode,
        "latency": Duration.from_s(spent_s),
        "server": address,
    }
    if sets:
        document["ttl"] = min(each.ttl for each in sets)
    failure = None
    if rcode != "NOERROR":
        # Records in a response that reports an error prove nothing, and an error does not prove that there are none.
        absent = rcode == "NXDOMAIN" and not answers
        failure = Failure(
            status=Status.FAIL,
            reason=Reason.DNS,
            message=f"{name} does not resolve: {address} says {rcode}",
            transient=rcode == "SERVFAIL",
            answered_by=("rcode", "answers") if absent else ("rcode",),
        )
    elif not answers:
        failure = _no_record(name, record)
    return Observation(
        document=document,
        failure=failure,
        exchange=Exchange(
            request=exchange.request,
            response={"rcode": rcode, "answers": answers, "server": address},
            phases_ms={"ttfb": round(spent_s * 1000, 3)},
        ),
    )


def _sets_of(question: Message, answer: Message) -> list[RRset]:
    """Return the record sets of the queried name and of the names that its aliases lead to; others answer nothing."""
    import dns.rdatatype

    asked = question.question[0]
    sets = [each for each in answer.answer if each.rdclass == asked.rdclass]
    targets = {each.name: [rdata.target for rdata in each] for each in sets if each.rdtype == dns.rdatatype.CNAME}
    owners, found = set(), [asked.name]
    while found:
        owner = found.pop()
        if owner not in owners:
            owners.add(owner)
            found += targets.get(owner, [])
    return [each for each in sets if each.name in owners]


def _text(rdata: Rdata, record: str) -> str:
    if record == "TXT":
        strings: tuple[bytes, ...] = getattr(rdata, "strings", ())
        return b"".join(strings).decode(errors="replace")
    text = rdata.to_text()
    return text.removesuffix(".") if record in _ENDS_IN_A_NAME else text
