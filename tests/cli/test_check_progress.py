"""Progress of a run: one line on a terminal, lines of their own with -v, nothing on a pipe."""

from __future__ import annotations

import io
import os
import re
from types import SimpleNamespace

import pytest

from prodwatch.cli import check_progress, stderr
from prodwatch.cli.check_progress import CheckProgress
from prodwatch.model.check import SourcePosition
from prodwatch.model.event import CheckFinished, CheckStarted, RunProgress
from prodwatch.model.result import CheckResult
from prodwatch.model.status import Status
from prodwatch.testing.clock import START
from prodwatch.text.cell_width import width


class Stream(io.StringIO):
    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal

    def rows(self) -> list[str]:
        """Return each state that the line had, without colours."""
        return re.sub(r"\x1b\[[\d;]*m", "", self.getvalue()).replace("\x1b[K", "").split("\r")


@pytest.fixture
def stream(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Stream:
    here = Stream(is_terminal=request.param)
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    # Pytest replaces `sys.stderr` itself between this fixture and the test.
    for module in (stderr, check_progress):
        monkeypatch.setattr(module, "sys", SimpleNamespace(stderr=here))
    monkeypatch.setattr(stderr, "size", lambda: os.terminal_size((40, 24)))
    return here


terminal = pytest.mark.parametrize("stream", [True], indirect=True)
pipe = pytest.mark.parametrize("stream", [False], indirect=True)


def result(id_: str, status: Status = Status.PASS) -> CheckResult:
    return CheckResult(
        id=id_, name=id_, title=id_, kind="smoke", type="http", status=status, source=SourcePosition("c.toml", 1, 1)
    )


def run(progress: CheckProgress, *statuses: Status) -> None:
    for number, status in enumerate(statuses):
        progress(CheckStarted(id=str(number), at=START))
        progress(CheckFinished(result=result(str(number), status)))


@terminal
def test_a_terminal_has_one_line_with_a_character_per_check(stream: Stream) -> None:
    progress = CheckProgress(["0", "1", "2", "3"], lambda _: None)
    progress.announce("starting the demo …")
    run(progress, Status.PASS, Status.FAIL, Status.ERROR)
    progress(CheckStarted(id="3", at=START))
    assert stream.rows()[1] == "starting the demo …"
    assert stream.rows()[-1] == "3/4 .FE  2 not green  3"
    assert "\n" not in stream.getvalue()
    progress.clear()
    assert stream.getvalue().endswith("\r\x1b[K")


@terminal
def test_the_line_never_wraps_and_keeps_the_newest_checks(stream: Stream) -> None:
    progress = CheckProgress(list(map(str, range(90))), lambda _: None)
    run(progress, *[Status.PASS] * 80, Status.FAIL)
    progress(CheckStarted(id="日本語" * 30, at=START))
    assert all(width(row) < 40 for row in stream.rows())
    assert "F  1 not green" in stream.rows()[-1]


@pipe
def test_a_pipe_has_no_progress(stream: Stream) -> None:
    finished: list[CheckResult] = []
    progress = CheckProgress(["0"], finished.append)
    progress.announce("starting the demo …")
    run(progress, Status.FAIL)
    progress(RunProgress(done=1, total=1))
    progress.clear()
    assert stream.getvalue() == ""
    assert [each.id for each in finished] == ["0"]


@pipe
def test_a_line_per_check_is_written_when_asked_for(stream: Stream) -> None:
    progress = CheckProgress(["0"], lambda _: None, verbose=True)
    run(progress, Status.FAIL)
    progress(CheckFinished(result=result("why\n\x1b[2J", Status.INCONCLUSIVE)))
    assert stream.getvalue().splitlines() == [
        "FAIL    0  0.0 ms  [1/1]",
        "UNSURE  why⏎␛[2J  0.0 ms  (diagnostic)",
    ]
