from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from prodwatch.demo import process
from prodwatch.demo.__main__ import main
from prodwatch.demo.process import DemoError, DemoServer, child_environment, run_demo, start_demo
from prodwatch.errors import ConfigurationError, UnavailableFeatureError


def gone(pid: int, within_s: float = 60.0) -> bool:
    """Return whether a process ended in time; a zombie has."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watched], [], [], within_s)[0])
    finally:
        os.close(watched)


def health(url: str) -> bytes:
    with urllib.request.urlopen(f"{url}/_prodwatch/health", timeout=60) as response:
        results: bytes = response.read()
        return results


@pytest.mark.slow  # a server of its own process
def test_a_child_serves_and_ends() -> None:
    server = start_demo(at="before")
    assert health(server.url) == b'{"status":"ok"}'
    server.stop()
    assert server.process.returncode is not None
    assert gone(server.process.pid)
    with pytest.raises(OSError, match="refused"):
        health(server.url)
    server.stop()


PARENT = """
import sys, time
from prodwatch.demo.process import start_demo
server = start_demo(at="during")
print(server.process.pid, server.url, flush=True)
time.sleep(60)
"""


@pytest.mark.slow  # a server of its own process
def test_a_child_does_not_outlive_its_parent_even_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout is not None
        pid, url = parent.stdout.readline().decode().split()
        assert health(url)
        parent.send_signal(signal.SIGKILL)
        parent.wait(60)
        assert gone(int(pid))


@pytest.mark.slow  # a server of its own process
def test_ctrl_c_in_the_terminal_is_not_the_childs(during: DemoServer) -> None:
    assert os.getsid(during.process.pid) != os.getsid(0)


def test_a_port_in_use_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(DemoError, match=f"cannot listen on 127.0.0.1:{port}"):
            start_demo(port=port)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scenario": "ugly"}, "unknown staged release"),
        ({"at": "soon"}, "not a moment"),
        ({"speed": 0.0}, "speed must be"),
    ],
)
def test_wrong_options_start_nothing(options: dict[str, object], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    with pytest.raises(ConfigurationError, match=message):
        start_demo(**options)  # type: ignore[arg-type]


def test_without_moto_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "find_spec", lambda _name: None)
    with pytest.raises(UnavailableFeatureError, match=r"pip install 'prodwatch\[demo\]'"):
        start_demo()


def test_a_silent_child_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/sleep")
    monkeypatch.setattr(process, "_arguments", lambda **_: ["30"])
    with pytest.raises(DemoError, match="did not report its port in time"):
        start_demo(timeout_s=0.05)


def test_a_child_that_exits_is_reported_with_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_arguments", lambda **_: ["-c", "raise SystemExit(7)"])
    with pytest.raises(DemoError, match="ended with exit code 7"):
        start_demo()


def test_the_child_gets_no_aws_variables() -> None:
    environ = {"AWS_PROFILE": "prod", "AWS_ACCESS_KEY_ID": "AKIA", "MOTO_X": "1", "PATH": "/bin", "PYTHONPATH": "/x"}
    made = child_environment(environ)
    assert not [name for name in made if name.startswith(("AWS_", "MOTO_"))]
    assert (made["TZ"], made["PATH"]) == ("UTC", "/bin")
    assert made["PYTHONPATH"].split(os.pathsep)[0] == "/x"


@pytest.mark.parametrize(
    ("arguments", "message"), [(["--scenario=ugly"], "unknown staged release"), (["--at=x"], "moment")]
)
def test_the_module_names_a_wrong_option(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    output = capsys.readouterr()
    assert message in output.err
    assert output.out == ""


async def test_the_demo_runs_in_process() -> None:
    async with run_demo(scenario="good", at="after", latency_s={}) as shop:
        assert shop.url.startswith("http://127.0.0.1:")
        alias = shop.aws.functions.alias("shop-orders", "live")
        assert alias is not None
        assert alias.version == "42"
