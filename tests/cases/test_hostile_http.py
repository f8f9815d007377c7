"""Hostile HTTP responses by chance: none passes unless it is whole and right; none beyond our limits is a failure."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

import pytest

from tests.support.case_project import CaseProject
from tests.support.raw_web import RawWeb

QUICK, SLOW = 60, 200
"""Responses per run."""
RIGHT = {"status": "ok", "items": [{"id": n, "name": f"item {n}"} for n in range(20)]}
CHECK = """
[[check]]
name = "{name}"
type = "http"
url = "${{vars.url}}/{name}"
retry = 0
timeout = "{timeout}"
max_body = "64KiB"
expect = ["status == 200", "json.status == 'ok'", "body not contains 'ERROR'"]
"""

PASSES = frozenset({"pass"})
AGAINST = frozenset({"fail", "inconclusive"})
"""The target's own fault."""
OURS = frozenset({"error", "inconclusive"})
"""Beyond what prodwatch reads: no word about the target."""
NEVER_GREEN = AGAINST | OURS


class Hostile(NamedTuple):
    """One response."""

    reply: bytes
    allowed: frozenset[str]
    kind: str
    silent: bool = False
    """The response never comes."""


def coded(body: bytes, coding: str) -> bytes:
    if coding == "gzip":
        return gzip.compress(body)
    if coding == "deflate":
        return zlib.compress(body)
    return zlib.compress(body)[2:-4] if coding == "raw" else body


def framed(chance: Random, body: bytes, headers: list[str], framing: str) -> bytes:
    """Return the response, which ends with the connection so that a cut one is noticed at once."""
    lines = ["HTTP/1.1 200 OK", "Connection: close", *headers]
    if framing == "length":
        lines.append(f"Content-Length: {len(body)}")
    elif framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
        parts, at = [], 0
        while at < len(body):
            size = chance.randint(1, max(1, len(body) // 3))
            part = body[at : at + size]
            parts.append(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            at += size
        body = b"".join(parts) + b"0\r\n\r\n"
    return "\r\n".join([*lines, "", ""]).encode() + body


def whole(chance: Random, body: bytes, *, coding: str | None = None, framing: str | None = None) -> bytes:
    coding = chance.choice(["", "gzip", "deflate", "raw"]) if coding is None else coding
    headers = ["Content-Type: application/json"]
    if coding:
        headers.append(f"Content-Encoding: {'deflate' if coding == 'raw' else coding}")
    return framed(chance, coded(body, coding), headers, framing or chance.choice(["length", "chunked", "close"]))


def right(chance: Random) -> Hostile:
    text = json.dumps(RIGHT, indent=chance.choice([None, 2]))
    body = text.encode(chance.choice(["utf-8", "utf-8-sig", "utf-8", "utf-16"]))
    return Hostile(whole(chance, body), PASSES, "right")


def cut(chance: Random) -> Hostile:
    reply = whole(chance, json.dumps(RIGHT).encode())
    first = reply.index(b"Connection: close\r\n") + len(b"Connection: close\r\n")
    # The last bytes of a chunked response are its own end, without which it is not whole either.
    return Hostile(reply[: chance.randint(first, len(reply) - 1)], AGAINST, "cut")


def cut_before_coding(chance: Random) -> Hostile:
    body = coded(json.dumps(RIGHT).encode(), "gzip")
    headers = ["Content-Type: application/json", "Content-Encoding: gzip"]
    cut_body = body[: chance.randint(1, len(body) - 1)]
    return Hostile(
        framed(chance, cut_body, headers, chance.choice(["length", "chunked", "close"])), AGAINST, "cut coding"
    )


def damaged(chance: Random) -> Hostile:
    body = bytearray(coded(json.dumps(RIGHT).encode(), "gzip"))
    body[chance.randint(10, len(body) - 1)] ^= 1 << chance.randint(0, 7)
    headers = ["Content-Encoding: gzip"]
    return Hostile(framed(chance, bytes(body), headers, "length"), AGAINST | PASSES, "damaged")


def wrong(chance: Random) -> Hostile:
    body: Any = chance.choice(
        [
            {**RIGHT, "status": "broken"},
            {**RIGHT, "log": "an ERROR at the end"},
            {"items": []},
            [RIGHT],
            None,
            "ok",
        ]
    )
    return Hostile(whole(chance, json.dumps(body).encode()), AGAINST, "wrong")


def foreign(chance: Random) -> Hostile:
    body = chance.choice(
        [
            b"<html><body>Sign in</body></html>",
            b"",
            b"OK",
            b"status: ok\n",
            b'{"status": "ok"}{"status": "ok"}',
            b'{"status": NaN}',
            bytes(chance.randrange(256) for _ in range(chance.randint(1, 300))),
        ]
    )
    if chance.random() < 0.3:
        reply = chance.choice(
            [b"SSH-2.0-OpenSSH_9.6\r\n", b"220 mail ESMTP\r\n", body or b"\r\n", b"HTTP/9.9 abc\r\n\r\n"]
        )
        return Hostile(b"\r\nconnection: close\r\n" + reply, NEVER_GREEN, "foreign protocol")
    return Hostile(whole(chance, body), AGAINST, "foreign")


def doubled(chance: Random) -> Hostile:
    values = ['"ok"', '"broken"']
    chance.shuffle(values)
    text = f'{{"status": {values[0]}, "id": 1, "status": {values[1]}}}'
    return Hostile(whole(chance, text.encode()), frozenset({"inconclusive"}), "doubled")


def beyond(chance: Random) -> Hostile:
    depth = chance.choice([2_000, 20_000])
    big = json.dumps({**RIGHT, "log": "x" * 100_000}).encode()
    body = chance.choice(
        [
            b'{"status": "ok", "deep": ' + b"[" * depth + b"]" * depth + b"}",
            b'{"status": "ok", "n": ' + b"7" * chance.randint(4301, 9000) + b"}",
            big,
        ]
    )
    return Hostile(whole(chance, body), OURS, "beyond")


def bomb(chance: Random) -> Hostile:
    return Hostile(whole(chance, b" " * 20_000_000, coding=chance.choice(["gzip", "deflate"])), OURS, "bomb")


def unasked(chance: Random) -> Hostile:
    coding = chance.choice(["br", "zstd", "compress", "gzip, gzip", "x-unknown"])
    headers = ["Content-Type: application/json", f"Content-Encoding: {coding}"]
    return Hostile(framed(chance, json.dumps(RIGHT).encode(), headers, "length"), OURS, "unasked coding")


def head(chance: Random) -> Hostile:
    headers = chance.choice([["X-Long: " + "x" * 70_000], [f"X-{n}: 1" for n in range(200)]])
    return Hostile(framed(chance, json.dumps(RIGHT).encode(), headers, "length"), OURS, "head")


def http2(chance: Random) -> Hostile:
    settings = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" + b"\x00" * chance.randint(0, 40)
    return Hostile(settings, OURS, "HTTP/2")


def silent(_chance: Random) -> Hostile:
    return Hostile(b"", AGAINST, "silent", silent=True)


KINDS: tuple[tuple[Callable[[Random], Hostile], int], ...] = (
    (right, 6),
    (cut, 6),
    (cut_before_coding, 6),
    (damaged, 2),
    (wrong, 4),
    (foreign, 6),
    (doubled, 2),
    (beyond, 4),
    (bomb, 1),
    (unasked, 2),
    (head, 2),
    (http2, 1),
    (silent, 1),
)
"""Kinds of responses and their share."""


def tried(chance: Random, number: int, project: CaseProject, web: RawWeb) -> list[str]:
    """Check this number of responses in one run; return what is wrong with the results."""
    makers = [make for make, _ in KINDS] + chance.choices(
        [make for make, _ in KINDS], [share for _, share in KINDS], k=number - len(KINDS)
    )
    situations = {f"n{n}": make(chance) for n, make in enumerate(makers)}
    for name, each in situations.items():
        web.routes[f"/{name}"] = each.reply
        if each.silent:
            web.hold(f"/{name}")
    checks = [CHECK.format(name=name, timeout="500ms" if each.silent else "20s") for name, each in situations.items()]
    found = project.checked("".join(checks))
    return [
        f"{name}: {each.kind}: {found[name]['status']} {found[name]['reason_code']}: {found[name]['message']}"
        for name, each in situations.items()
        if found[name]["status"] not in each.allowed or found[name]["reason_code"] == "internal"
    ]


def test_B6_hostile_responses_by_chance(project: CaseProject, web: RawWeb) -> None:
    assert tried(Random(7), QUICK, project, web) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(15))
def test_B6_many_hostile_responses_by_chance(seed: int, project: CaseProject, web: RawWeb) -> None:
    assert tried(Random(seed), SLOW, project, web) == []
