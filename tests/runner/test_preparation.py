"""Work of this machine before a request, which takes no time of the target."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from prodwatch.model.status import Reason, Status
from prodwatch.probes import registry
from prodwatch.probes.base import Failure, Observation, ProbeContext
from prodwatch.testing.check_runner import Bench
from prodwatch.testing.definitions import plain


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_B3_preparing_a_request_takes_no_time_of_the_target(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def prepare(_params: Mapping[str, Any], context: ProbeContext) -> None:
        await context.clock.sleep(90)

    monkeypatch.setattr(registry, "preparation", lambda _probe: prepare)
    bench.script("scripted", {"ok": True})
    began = bench.clock.now()
    found = await bench.one(plain(expect=("ok == true",), timeout_s=2.0))
    assert found.status is Status.PASS
    assert found.duration_ms is not None
    assert found.duration_ms < 2000
    assert found.started_at is not None
    assert (found.started_at - began).total_seconds() >= 90


@pytest.mark.parametrize("broken", [False, True])
async def test_B3_a_request_that_cannot_be_prepared_is_an_error_and_is_not_sent(
    broken: bool,
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def prepare(_params: Mapping[str, Any], _context: ProbeContext) -> Observation:
        if broken:
            raise RuntimeError("a bug")
        return Observation(failure=Failure(status=Status.ERROR, reason=Reason.NO_CREDENTIALS, message="no keys"))

    monkeypatch.setattr(registry, "preparation", lambda _probe: prepare)
    probe = bench.script("scripted", {"ok": True})
    found = await bench.one(plain(expect=("ok == true",)))
    assert found.status is Status.ERROR
    assert found.reason_code is (Reason.INTERNAL if broken else Reason.NO_CREDENTIALS)
    assert probe.requests == []


def test_B4_probes_are_loaded_before_the_first_request_is_measured() -> None:
    code = (
        "import sys; from prodwatch.probes import registry\n"
        "registry.warm([('tcp', {}), ('dns', {}), ('flow', {}), ('no such type', {}),"
        " ('http', {'url': 'https://shop.example', 'auth': {'sigv4': {}}})], str)\n"
        "wanted = 'prodwatch.probes.tcp.probe dns.resolver dns.asyncquery aiohttp botocore.auth cryptography.x509'\n"
        "print(sorted(set(wanted.split()) - set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("url", "filled", "loaded"),
    [
        ("${vars.api}/item", "http://shop.example", False),
        ("${vars.api}/item", "https://shop.example", True),
        ("${stack.shop.ApiUrl}/item", "${stack.shop.ApiUrl}", True),
        ("http://${vars.host}/item", "shop.example", False),
    ],
)
def test_only_urls_that_may_be_https_load_what_https_needs(url: str, filled: str, loaded: bool) -> None:
    code = (
        "import sys; from prodwatch.probes import registry\n"
        f"registry.warm([('http', {{'url': {url!r}}})], lambda _text: {filled!r})\n"
        "print('cryptography.x509' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == str(loaded)
