"""Work of this machine before a request, which takes no time of the target."""

from __future__ import annotations

import os
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


@pytest.mark.slow  # a process per case
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


COMPANY = """
[[check]]
name = "tcp"
type = "tcp"
host = "127.0.0.1"
port = 9
expect = ["connect < 50ms"]

[[check]]
name = "https"
type = "http"
url = "${vars.url}/"
expect = ["status == 200"]

[[check]]
name = "table"
type = "aws"
service = "dynamodb"
operation = "ListTables"
retry = 0
expect = ["TableNames exists"]
"""
IN_COMPANY = """
import sys
from prodwatch.runner.step.execution import Execution

begin, before = Execution.begin, set()

def first(self, *arguments):
    before.update(sys.modules if not before else ())
    return begin(self, *arguments)

Execution.begin = first
sys.argv = ["prodwatch", "check", "--env", "t", "--json"]
from prodwatch.cli import entry
try:
    entry()
finally:
    later = [name for name in sys.modules if name not in before]
    print(sorted(name for name in later if name.split(".")[0] in WATCHED), file=sys.stderr)
"""


def test_B4_a_first_tcp_check_is_not_measured_while_others_load_their_modules(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "checks").mkdir()
    target = '[aws]\nregion = "eu-west-1"\nendpoint_url = "http://127.0.0.1:9"\n[vars]\nurl = "https://127.0.0.1:9"\n'
    (tmp_path / "config" / "t.toml").write_text(target)
    (tmp_path / "checks" / "c.toml").write_text(COMPANY)
    watched = {"aiobotocore", "botocore", "aiohttp", "cryptography", "ssl", "jmespath", "urllib3", "dateutil"}
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_MAX_ATTEMPTS": "1"}
    found = subprocess.run(
        [sys.executable, "-c", f"WATCHED = {watched!r}\n{IN_COMPANY}"],
        cwd=tmp_path,
        env=os.environ | keys | {"XDG_STATE_HOME": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert '"tcp"' in found.stdout
    assert found.stderr.strip().splitlines()[-1] == "[]", found.stderr
