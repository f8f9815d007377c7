"""A seeded fuzz of AWS's responses to every probe: cut, wrong, huge, encoded, foreign, repeated, unanswered.

The oracle: a hostile response never passes a false claim and never fails a true one, whatever it looks like.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from aiohttp import web

from prodwatch.aws.aws_calls import Aws
from prodwatch.demo.aws import EmbeddedAws
from prodwatch.demo.aws.distorted_response import LOGIN_PAGE, distorted
from prodwatch.demo.aws.faults import Active, Fault
from prodwatch.demo.aws.protocols.encode import HttpResponse
from prodwatch.demo.aws.protocols.identify import HttpRequest, identify
from prodwatch.model.status import Reason
from tests.probes_aws.conftest import Bench, HurriedClock, environment
from tests.probes_aws.test_distorted_responses import (
    ANY_BYTES,
    BODIES,
    CASES,
    SAYS_NOTHING_THERE,
    Case,
    members,
    operations,
)
from tests.probes_aws.test_distorted_responses import (
    status as status_of,
)

pytestmark = pytest.mark.slow

ROUNDS = 250
STATUSES = (204, 301, 302, 400, 401, 403, 404, 407, 409, 429, 500, 502, 503, 504)
TIMEOUT_S = 5.0

Distortion = Callable[[HttpResponse, str, Random], HttpResponse]


def body(response: HttpResponse, content: bytes) -> HttpResponse:
    return HttpResponse(status=response.status, headers=response.headers, body=content)


def cut(response: HttpResponse, _protocol: str, random: Random) -> HttpResponse:
    return body(response, response.body[: random.randrange(max(1, len(response.body)))])


def noise(response: HttpResponse, _protocol: str, random: Random) -> HttpResponse:
    return body(response, random.randbytes(random.randrange(1, 5_000)))


def twice(response: HttpResponse, _protocol: str, _random: Random) -> HttpResponse:
    return body(response, response.body * 2 if response.body else b"{}{}")


def wide(response: HttpResponse, _protocol: str, random: Random) -> HttpResponse:
    return body(response, response.body.decode("latin-1").encode(random.choice(("utf-16", "utf-32", "utf-7"))))


def compressed(response: HttpResponse, _protocol: str, random: Random) -> HttpResponse:
    whole = gzip.compress(response.body * 10)
    headers = response.headers | {"Content-Encoding": "gzip"}
    return HttpResponse(status=response.status, headers=headers, body=whole[: random.randrange(len(whole) - 8)])


def deep(response: HttpResponse, _protocol: str, random: Random) -> HttpResponse:
    opening = random.choice((b"[", b'{"a":', b"<a>", b"\x81"))
    return body(response, opening * 100_000)


def huge(response: HttpResponse, _protocol: str, random: Random) -> HttpResponse:
    return body(response, random.choice((b"x", b" ", b"\x00")) * 8_000_000)


def other_json(response: HttpResponse, _protocol: str, random: Random) -> HttpResponse:
    documents: tuple[Any, ...] = (
        {},
        [],
        None,
        0,
        "OK",
        {"ok": True},
        {"message": "Forbidden"},
        {"errors": [{"code": 1}]},
    )
    return body(response, json.dumps(random.choice(documents)).encode())


def refused(response: HttpResponse, _protocol: str, random: Random) -> HttpResponse:
    status = random.choice(STATUSES)
    content = random.choice((LOGIN_PAGE, b"", b'{"message": "Forbidden"}', b"<Error/>", b"no", response.body))
    foreign = {"Content-Type": "text/html", "Server": "nginx"}
    # A 404 behind AWS's headers is how S3 itself answers HEAD when there is no object.
    headers = foreign if status == 404 else random.choice((response.headers, foreign))
    return HttpResponse(status=status, headers=headers, body=content)


def stranger(response: HttpResponse, _protocol: str, random: Random) -> HttpResponse:
    """A 200 of a server that is not AWS."""
    content = random.choice((LOGIN_PAGE, b"", b"OK", b'{"status": "UP"}', b"<health>UP</health>"))
    return HttpResponse(status=200, headers={"Content-Type": "text/html", "Server": "nginx"}, body=content)


def foreign(response: HttpResponse, protocol: str, random: Random) -> HttpResponse:
    fault = Fault(operation="*", kind="foreign_body", body=random.choice(BODIES))
    return distorted(response, Active(faults=(fault,)), protocol)


BODY_DISTORTIONS: tuple[Distortion, ...] = (
    cut, noise, twice, wide, compressed, deep, huge, other_json, foreign,
)  # fmt: skip
DISTORTIONS: tuple[Distortion, ...] = (refused, stranger)


class Hostility(NamedTuple):
    """What happens to the responses of one operation."""

    operation: str
    distort: Distortion | None
    """None: the request is never answered."""
    member: str
    """Left out instead, unless empty."""
    from_call: int
    """The first so many calls are answered properly."""
    seed: int


class HostileAws(EmbeddedAws):
    """The embedded AWS, whose responses to one operation are hostile."""

    hostility: Hostility | None = None
    calls_of_it = 0
    changed = False
    """Whether a response was hostile: ASCII in UTF-7, for one, is the same text."""

    async def _serve_aws(self, request: web.Request, incoming: HttpRequest) -> web.StreamResponse:
        hostility, identity = self.hostility, identify(incoming)
        response = await super()._serve_aws(request, incoming)
        if hostility is None or hostility.operation != f"{identity.service}:{identity.operation}":
            return response
        self.calls_of_it += 1
        if self.calls_of_it <= hostility.from_call or not isinstance(response, web.Response):
            return response
        if hostility.distort is None and not hostility.member:
            await asyncio.Event().wait()
        assert isinstance(response.body, bytes)
        plain = HttpResponse(status=response.status, headers=dict(response.headers), body=response.body)
        plain.headers.pop("Content-Length", None)
        if hostility.distort is None:
            fault = Fault(operation="*", kind="missing_member", member=hostility.member)
            plain = distorted(plain, Active(faults=(fault,)), identity.protocol)
        else:
            plain = hostility.distort(plain, identity.protocol, Random(hostility.seed))
        self.changed = self.changed or (plain.status, plain.body) != (response.status, response.body)
        return web.Response(status=plain.status, headers=plain.headers, body=plain.body)


class Subject(NamedTuple):
    """A check with its own names in the world, and the operations it calls."""

    bench: Bench
    case: Case
    operations: tuple[tuple[str, str], ...]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world() -> AsyncIterator[HostileAws]:
    server = HostileAws()
    await server.start()
    yield server
    await server.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def subjects(world: HostileAws, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[Subject]]:
    async with Aws(environment(world), {}, HurriedClock(), jitter=lambda: 0.0) as aws:
        found = []
        for make in CASES:
            bench = Bench(world, aws, str(tmp_path_factory.mktemp("project")))
            case = await make(bench)
            found.append(Subject(bench, case, tuple(await operations(bench, case))))
        yield found


def hostility(random: Random, service: str, operation: str) -> Hostility:
    name = f"{service}:{operation}"
    distort: Distortion | None = random.choice(DISTORTIONS if name in ANY_BYTES else (*DISTORTIONS, *BODY_DISTORTIONS))
    member = ""
    left_out = [each for each in members(service, operation) if f"{name} {each}" not in SAYS_NOTHING_THERE]
    if random.random() < 0.2 and left_out:
        distort, member = None, random.choice(left_out)
    elif random.random() < 0.01:
        distort = None
    return Hostility(name, distort, member, random.choice((0, 0, 0, 1)), random.randrange(2**32))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.asyncio(loop_scope="module")
async def test_a_hostile_response_never_turns_a_claim(seed: int, world: HostileAws, subjects: list[Subject]) -> None:
    random = Random(seed)
    for number in range(ROUNDS):
        subject = random.choice(subjects)
        bench, case = subject.bench, subject.case
        world.hostility, world.calls_of_it = hostility(random, *random.choice(subject.operations)), 0
        bench.aws.limiter.reset()
        found = await bench.run(case.type, case.params, timeout_s=0.5 if world.hostility.distort is None else TIMEOUT_S)
        told = f"seed {seed}, round {number}: {case.type} {world.hostility}"
        world.hostility = None
        for claim in case.true:
            assert status_of(found, claim) != "fail", f"{told}: {claim}"
        for claim in case.false:
            assert status_of(found, claim) != "pass", f"{told}: {claim}"
        assert found.failure is None or found.failure.reason != Reason.INTERNAL, f"{told}: {found.failure}"


def test_every_distortion_is_tried() -> None:
    """The seeds of the fuzz reach each kind of hostility, so that none is dead."""
    kinds = set()
    for seed in range(4):
        random = Random(seed)
        for _ in range(ROUNDS):
            kinds.add(hostility(random, "logs", "FilterLogEvents").distort)
    assert kinds == {None, *DISTORTIONS, *BODY_DISTORTIONS}
