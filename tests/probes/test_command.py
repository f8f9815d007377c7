"""The `command` probe: no shell, no inherited secrets, and nothing left running."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from prodwatch.model.quantity import Duration
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Observation
from tests.support.waiting import turn

Send = Callable[..., Awaitable[Observation]]
PYTHON = [sys.executable, "-I", "-c"]


async def test_the_document(send: Send) -> None:
    code = "import sys; print('{\"price\": 1.10}'); print('oops', file=sys.stderr); sys.exit(3)"
    seen = await send("command", argv=[*PYTHON, code])
    assert seen.failure is None
    document = dict(seen.document)
    assert isinstance(document.pop("duration"), Duration)
    assert document == {
        "exit_code": 3,
        "stdout": '{"price": 1.10}\n',
        "stderr": "oops\n",
        "json": {"price": Decimal("1.10")},
    }


async def test_nothing_is_expanded(send: Send) -> None:
    seen = await send("command", argv=["printf", "%s|", "$HOME", "*", "`id`", "a b"])
    assert seen.document["stdout"] == "$HOME|*|`id`|a b|"


async def test_the_environment_is_clean_but_for_what_is_given(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("LANG", "C.UTF-8")
    seen = await send("command", argv=["env"], env={"OWN": "1", "N": 2})
    names = {line.partition("=")[0] for line in seen.document["stdout"].splitlines()}
    assert {"OWN", "N", "PATH", "LANG"} <= names <= {"OWN", "N", "PATH", "LANG", "HOME", "TZ"}


async def test_stdin_and_folder(send: Send, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    seen = await send("command", argv=["sh", "-c", "pwd; cat"], stdin="grüß", cwd="sub")
    assert seen.document["stdout"] == f"{tmp_path / 'sub'}\ngrüß"


async def test_without_stdin_there_is_nothing_to_read(send: Send) -> None:
    assert (await send("command", argv=["cat"])).document["exit_code"] == 0


async def test_a_program_need_not_read_its_stdin(send: Send) -> None:
    seen = await send("command", argv=["true"], stdin="x" * 1_000_000)
    assert seen.document["exit_code"] == 0


async def test_long_output_is_cut_and_said(send: Send) -> None:
    seen = await send("command", argv=[*PYTHON, "print('1' * 3_000_000)"])
    assert len(seen.document["stdout"]) == 1 << 20
    assert "json" not in seen.document
    assert not seen.complete
    assert "stdout is longer than" in seen.notices[0]


async def test_ended_by_a_signal(send: Send) -> None:
    seen = await send("command", argv=["sh", "-c", "kill -TERM $$"])
    assert seen.document["exit_code"] == -15


def running(marker: Path) -> bool:
    try:
        os.kill(int(marker.read_text()), 0)
    except (ProcessLookupError, ValueError, FileNotFoundError):
        return False
    state = Path(f"/proc/{marker.read_text().strip()}/stat")
    return not state.exists() or " Z " not in state.read_text()


GRANDCHILD = "sh -c 'echo $$ > child; exec sleep 60'"


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(f"{GRANDCHILD} & wait", id="waits for it"),
        pytest.param(f"trap '' TERM INT HUP; {GRANDCHILD} & wait", id="ignores signals"),
    ],
)
async def test_a_timeout_ends_everything_it_started(send: Send, tmp_path: Path, script: str) -> None:
    seen = await send("command", argv=["sh", "-c", script], timeout_s=0.3)
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.FAIL, Reason.TIMEOUT)
    assert seen.failure.message == "sh did not finish within 300 ms"
    await gone(tmp_path / "child")


async def test_cancelling_ends_everything_it_started(send: Send, tmp_path: Path) -> None:
    task = asyncio.ensure_future(send("command", argv=["sh", "-c", f"{GRANDCHILD} & wait"]))
    marker = tmp_path / "child"
    await until(lambda: running(marker))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await gone(marker)


@pytest.mark.parametrize("output", ["", ">/dev/null 2>&1"], ids=["holding the output", "quiet"])
async def test_what_it_leaves_in_the_background_is_ended_too(send: Send, tmp_path: Path, output: str) -> None:
    script = f"{GRANDCHILD} {output} & while [ ! -s child ]; do :; done; echo done"
    seen = await send("command", argv=["sh", "-c", script])
    assert (seen.document["exit_code"], seen.document["stdout"]) == (0, "done\n")
    await gone(tmp_path / "child")


async def gone(marker: Path) -> None:
    await until(lambda: not running(marker))


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await turn()


@pytest.mark.parametrize(
    ("params", "reason", "says"),
    [
        pytest.param(
            {"argv": ["no-such-program"]}, Reason.UNAVAILABLE, '"no-such-program" cannot be started', id="none"
        ),
        pytest.param({"argv": ["/etc"]}, Reason.UNAVAILABLE, "cannot be started", id="a folder"),
        pytest.param({"argv": ["a\0b"]}, Reason.INVALID, "NUL", id="NUL"),
        pytest.param({"argv": ["\ud800"]}, Reason.INVALID, "surrogate", id="half a character"),
        pytest.param({"argv": ["cat"], "stdin": "\ud800"}, Reason.INVALID, "surrogate", id="half a character to read"),
        pytest.param({"argv": ["true"], "cwd": "missing"}, Reason.INVALID, "not a folder", id="no folder"),
        pytest.param({"argv": ["true"], "cwd": ".."}, Reason.INVALID, "leads out", id="out of the root"),
        pytest.param({"argv": ["true"], "env": {"A=B": "c"}}, Reason.INVALID, '"A=B"', id="bad name"),
    ],
)
async def test_what_cannot_be_run(send: Send, params: dict[str, Any], reason: Reason, says: str) -> None:
    seen = await send("command", **params)
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.ERROR, reason)
    assert says in seen.failure.message
