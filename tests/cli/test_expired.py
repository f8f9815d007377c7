"""Credentials that expire while somebody watches: said once, waited for, and everything goes on where it stopped."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from prodwatch.clock import SystemClock
from prodwatch.demo.aws import EmbeddedAws
from prodwatch.demo.aws.faults import Fault
from prodwatch.model.signal import SourcePhase
from prodwatch.session.live import LiveSession
from prodwatch.settings import load_project
from prodwatch.store.store import Store
from tests.support.command_line import PATIENCE_S, CommandLine
from tests.support.waiting import until

pytestmark = pytest.mark.slow  # back-off is real time

GROUP = "/aws/lambda/shop-expired"
CONFIG = """\
title = "Prod"
protected = false
[aws]
region = "eu-west-1"
profile = "shop"
[[function]]
name = "shop-expired"
[[alarm]]
prefix = "shop-"
"""
EXPIRED = Fault(operation="*", kind="expired_token")


@pytest.fixture
def server() -> Iterator[EmbeddedAws]:
    aws = EmbeddedAws()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(aws.start(), loop).result(30)
    aws.logs.create_group(GROUP)
    yield aws
    asyncio.run_coroutine_threadsafe(aws.stop(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


def write(server: EmbeddedAws, *numbers: int) -> None:
    now_ms = int(time.time() * 1000)
    server.logs.put(GROUP, "s", [(now_ms, f"line {number}") for number in numbers])


def keys(home: Path, number: int) -> None:
    """Renew the keys of the profile, as a tool does."""
    folder = home / ".aws"
    folder.mkdir(exist_ok=True)
    (folder / "credentials").write_text(f"[shop]\naws_access_key_id = AKIA{number}\naws_secret_access_key = s\n")


class Listener:
    """Collects the lines of a stream in a thread, so that a test can wait for one."""

    def __init__(self, stream: object) -> None:
        self.lines: list[str] = []
        self._more = threading.Condition()
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: Iterator[bytes]) -> None:
        for line in stream:
            with self._more:
                self.lines.append(line.decode().rstrip("\n"))
                self._more.notify_all()

    def wait(self, found: Callable[[list[str]], bool]) -> None:
        with self._more:
            assert self._more.wait_for(lambda: found(self.lines), PATIENCE_S), self.lines

    def join(self) -> None:
        self._thread.join(PATIENCE_S)


@contextlib.contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Leave neither the process nor its pipes behind."""
    with process:
        try:
            yield process
        finally:
            process.kill()


def test_a_stream_of_logs_waits_for_new_keys_and_goes_on(server: EmbeddedAws, tmp_path: Path) -> None:
    line = CommandLine(tmp_path)
    keys(line.home, 1)
    write(server, 0, 1)
    options = ["logs", GROUP, "--region", "eu-west-1", "--profile", "shop", "--format", "raw"]
    with ended(line.start(*options, environ={"AWS_ENDPOINT_URL": server.url})) as process:
        out, err = Listener(process.stdout), Listener(process.stderr)
        out.wait(lambda lines: len(lines) == 2)
        server.faults.add(EXPIRED)
        err.wait(lambda lines: any("have expired" in each for each in lines))
        write(server, 2, 3)
        keys(line.home, 2)
        server.faults.clear()
        err.wait(lambda lines: any("valid again" in each for each in lines))
        write(server, 4)
        out.wait(lambda lines: len(lines) == 5)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
        out.join()
        err.join()
    assert out.lines == [f"line {number}" for number in range(5)]
    told = "\n".join(err.lines)
    assert told.count("have expired") == 1
    assert "store new keys in profile shop with `aws configure --profile shop`" in told
    assert "the credentials are valid again; reading continues where it stopped" in told
    assert "Traceback" not in told
    assert re.search(r"5 lines · ", told)


@contextlib.asynccontextmanager
async def watching(server: EmbeddedAws, root: Path) -> AsyncIterator[Store]:
    clock = SystemClock()
    project = load_project(root=root, env="prod", environ={})
    store = Store(clock)
    session = LiveSession(project, store, clock)
    await session.start()
    try:
        yield store
    finally:
        await session.stop()


async def test_every_source_of_the_dashboard_waits_and_comes_back(
    server: EmbeddedAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    keys(tmp_path, 1)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / ".aws" / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("PRODWATCH_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "prod.toml").write_text(CONFIG)
    write(server, 0)

    async with watching(server, tmp_path) as store:

        def phases() -> Counter[SourcePhase]:
            return Counter(status.phase for status in store.sources.values())

        def polled() -> set[SourcePhase]:
            """Return the phases of the sources that poll every few seconds."""
            names = (f"logs:{GROUP}", "traces", "alarms")
            return {store.sources[name].phase for name in names if name in store.sources}

        await until(lambda: polled() == {SourcePhase.LIVE} and store.logs.ring.tail == 1)
        server.faults.add(EXPIRED)
        await until(lambda: polled() == {SourcePhase.EXPIRED})
        assert all(
            "aws configure --profile shop" in (status.message or "")
            for status in store.sources.values()
            if status.phase is SourcePhase.EXPIRED
        )
        write(server, 1)
        keys(tmp_path, 2)
        server.faults.clear()
        await until(lambda: polled() == {SourcePhase.LIVE} and store.logs.ring.tail == 2)
        await until(lambda: not phases()[SourcePhase.EXPIRED])


def test_a_login_that_never_comes_still_ends_with_ctrl_c(server: EmbeddedAws, tmp_path: Path) -> None:
    line = CommandLine(tmp_path)
    keys(line.home, 1)
    server.faults.add(EXPIRED)
    options = ["logs", GROUP, "--region", "eu-west-1", "--profile", "shop"]
    with ended(line.start(*options, environ={"AWS_ENDPOINT_URL": server.url})) as process:
        err = Listener(process.stderr)
        err.wait(lambda lines: any("have expired" in each for each in lines))
        process.send_signal(signal.SIGINT)
        out = Listener(process.stdout)
        assert process.wait(PATIENCE_S) == 0
        out.join()
        err.join()
    assert out.lines == []
    assert "0 lines · " in err.lines[-2]
    assert err.lines[-1].startswith("prodwatch: not read completely: ")


SSO = """\
[profile corp]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = Reader
[sso-session corp]
sso_start_url = https://corp.example/start
sso_region = eu-west-1
"""
NO_LOGIN = "the AWS session has expired; run `aws sso login --profile corp`"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["logs", GROUP, "--no-follow"], 3),
        (["logs", "--list"], 3),
        (["traces", "--no-follow"], 3),
        (["traces", "--id", "1-6b0040ff-212f41d7b0270f9cdcd1ae0d"], 3),
        (["metrics", "--namespace", "Shop", "--metric", "CheckoutMs", "--no-follow"], 3),
        (["doctor"], 3),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_without_a_login_each_command_names_it_once_and_nothing_else(
    tmp_path: Path, arguments: list[str], code: int
) -> None:
    line = CommandLine(tmp_path)
    (line.home / ".aws").mkdir()
    (line.home / ".aws" / "config").write_text(SSO)
    done = line.run(*arguments, "--region", "eu-west-1", "--profile", "corp")
    assert done.code == code
    assert done.said.count(NO_LOGIN) == 1
    assert "Traceback" not in done.said
    assert "efresh" not in done.said, "no word of a library's own"
