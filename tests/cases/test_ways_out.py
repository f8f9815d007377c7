"""Every way out of a run by cause and phase, as docs/guide/ways-out.md lists them: exit code, journal, words."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.case_project import CaseProject
from tests.support.command_line import PATIENCE_S, CommandLine, Ended, finished
from tests.support.raw_web import RawWeb, response
from tests.support.terminal import Terminal, terminal

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="needs signals and a terminal")]

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "ways-out.md"
LEFT = b"\x1b[?1049l"
FLOW = """
[[check]]
name = "travels"
type = "flow"
mutates = true

[[check.step]]
name = "put"
type = "http"
method = "PUT"
url = "${vars.url}/row"
PAUSE
[[check.step]]
name = "look"
type = "http"
url = "${vars.url}/look"
timeout = "50s"

[[check.cleanup]]
type = "http"
method = "DELETE"
url = "${vars.url}/gone"
timeout = "50s"
"""
PAUSE = '\n[[check.step]]\nname = "rest"\ntype = "wait"\nfor = "50s"\n'
QUICK = '[[check]]\nname = "ok"\ntype = "http"\nurl = "${vars.url}/ok"\nexpect = ["status == 200"]\n'
AWS = """
[[check]]
name = "who"
type = "aws"
service = "sts"
operation = "get_caller_identity"
expect = ["Account exists"]
"""
CHECK = ("check", "--json")
GATE = ("gate", "--for", "5m", "--json")
MANY = "".join(f'[[check]]\nname = "c{n}"\ntype = "pass"\nreason = "{"x" * 300}"\n' for n in range(300))


@pytest.fixture
def project(project: CaseProject) -> CaseProject:
    """The project with a round every second, so that a gate of a second has enough of them."""
    project.configure('[rounds]\nevery = "1s"')
    return project


class Row(NamedTuple):
    """One row of the page."""

    cause: str
    phase: str
    exit: int
    journal: str


def rows(title: str) -> list[Row]:
    section = PAGE.read_text(encoding="utf-8").split(f"## {title}\n")[1].split("\n## ")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    return [Row(cause, phase, int(code), journal) for cause, phase, code, journal in cells[2:]]


def named(title: str) -> list[Any]:
    return [pytest.param(row, id=f"{row.cause} - {row.phase}") for row in rows(title)]


class Run:
    """A running `check` in some phase."""

    def __init__(self, process: subprocess.Popen[bytes], release: Callable[[], object]) -> None:
        self.process = process
        self.release = release
        """Lets what the phase waits for go on."""


def held(web: RawWeb, path: str) -> tuple[Callable[[], None], Callable[[], None]]:
    arrived, let_go = web.hold(path)

    def wait() -> None:
        assert arrived.acquire(timeout=PATIENCE_S), f"{path} was never asked for"

    return wait, let_go.set


@contextmanager
def started(project: CaseProject, *arguments: str, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    with project.start(*arguments, **more) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def before_the_first_check(project: CaseProject, web: RawWeb, *arguments: str) -> Iterator[Run]:
    wait, release = held(web, "/")
    project.write("checks/c.toml", QUICK + AWS)
    text = (project.project / "config" / "t.toml").read_text()
    project.write("config/t.toml", text.replace("[vars]", 'account = "123456789012"\n[vars]'))
    with started(project, *arguments, environ={"AWS_ENDPOINT_URL": web.url}) as process:
        wait()
        yield Run(process, release)


@contextmanager
def reading_stacks(project: CaseProject, web: RawWeb, *arguments: str) -> Iterator[Run]:
    wait, release = held(web, "/")
    project.write("checks/c.toml", QUICK)
    project.configure('[stacks]\nshop = "shop"\n[[function]]\nname = "${stack.shop.Fn}"')
    with started(project, *arguments, environ={"AWS_ENDPOINT_URL": web.url}) as process:
        wait()
        yield Run(process, release)


@contextmanager
def request_in_flight(project: CaseProject, web: RawWeb, *arguments: str) -> Iterator[Run]:
    wait, release = held(web, "/look")
    project.write("checks/c.toml", FLOW.replace("PAUSE", ""))
    with started(project, *arguments) as process:
        wait()
        yield Run(process, release)


@contextmanager
def between_steps(project: CaseProject, web: RawWeb, *arguments: str) -> Iterator[Run]:
    wait, release = held(web, "/row")
    project.write("checks/c.toml", FLOW.replace("PAUSE", PAUSE))
    with started(project, *arguments) as process:
        wait()
        release()
        yield Run(process, release)


@contextmanager
def cleanup(project: CaseProject, web: RawWeb, *arguments: str) -> Iterator[Run]:
    wait, release = held(web, "/gone")
    project.write("checks/c.toml", FLOW.replace("PAUSE", ""))
    with started(project, *arguments) as process:
        wait()
        yield Run(process, release)


@contextmanager
def writing_results(project: CaseProject, _web: RawWeb, *arguments: str) -> Iterator[Run]:
    project.write("checks/c.toml", MANY)
    with started(project, *arguments) as process:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], PATIENCE_S)
        assert ready, "no result was written"
        yield Run(process, lambda: None)


PHASES = {
    "reading stacks of watched tables": reading_stacks,
    "before the first check": before_the_first_check,
    "request in flight": request_in_flight,
    "between steps": between_steps,
    "cleanup": cleanup,
    "writing results": writing_results,
}


def journals(project: CaseProject) -> list[Path]:
    return list((project.home / "state").rglob("*.journal"))


def heard(process: subprocess.Popen[bytes]) -> None:
    """Wait until the command has written about a signal, or has ended."""
    assert process.stderr is not None
    said = b""
    while b"interrupted" not in said and select.select([process.stderr], [], [], 2.0)[0]:
        chunk = os.read(process.stderr.fileno(), 65536)
        said += chunk
        if not chunk:
            return


def interrupt(run: Run, row: Row) -> Ended:
    if row.cause != "deadline":
        number = signal.Signals[row.cause.split()[0]]
        run.process.send_signal(number)
        if row.phase in {"cleanup", "writing results"} or row.cause.endswith("twice"):
            heard(run.process)
        if row.cause.endswith("twice"):
            run.process.send_signal(number)
            return finished(run.process)
    if row.phase == "cleanup":
        run.release()
    return finished(run.process)


def signalled(title: str) -> list[Any]:
    return [
        each
        for each in named(title)
        if each.values[0].cause.split()[0] in {"deadline", *signal.Signals.__members__}
        # After the last check: test_early_end.py, on a virtual clock.
        and each.values[0].phase in PHASES
    ]


SIGNALS = signalled("`prodwatch check`")
GATE_SIGNALS = signalled("`prodwatch gate`")


@pytest.mark.parametrize("row", SIGNALS)
def test_the_end_of_a_check(row: Row, project: CaseProject, web: RawWeb) -> None:
    assert_ends(row, project, web, *CHECK, *(("--deadline", "2s") if row.cause == "deadline" else ()))


@pytest.mark.parametrize("row", GATE_SIGNALS)
def test_the_end_of_a_gate(row: Row, project: CaseProject, web: RawWeb) -> None:
    assert_ends(row, project, web, *(SHORT_GATE if row.phase == "writing results" else GATE))


def assert_ends(row: Row, project: CaseProject, web: RawWeb, *arguments: str) -> None:
    with PHASES[row.phase](project, web, *arguments) as run:
        ended = interrupt(run, row)
    assert ended.code == row.exit, ended.said[-2000:]
    assert bool(journals(project)) == (row.journal == "kept")
    assert "Traceback" not in ended.said
    if row.cause == "SIGKILL" or (row.cause.endswith("twice") and row.phase == "writing results"):
        return
    document = json.loads(ended.out)
    interrupted = row.cause.startswith("SIG") and row.phase != "writing results"
    assert (document["verdict"]["status"] == "aborted") == interrupted
    if row.phase in {"request in flight", "between steps", "cleanup"}:
        assert "DELETE /gone" in web.seen
    if row.phase == "reading stacks of watched tables":
        # The reading was cut off; it neither failed nor ended by its own time limit, and nothing was sent after it.
        assert "stack shop was not read before the run ended" in json.dumps(document["notices"])
        assert set(web.seen) == {"POST /"}
    if row.journal == "kept":
        assert "prodwatch cleanup" in json.dumps(document["notices"])


def test_a_killed_check_leaves_no_lock(project: CaseProject, web: RawWeb) -> None:
    with cleanup(project, web, *CHECK) as run:
        run.process.kill()
        finished(run.process)
        run.release()
    (journal,) = journals(project)
    assert project.run("cleanup", journal.stem).code == 0
    assert web.seen[-1] == "DELETE /gone"
    assert not journals(project)


SHORT_GATE = ("gate", "--for", "1s", "--json")


@pytest.mark.parametrize("arguments", [CHECK, SHORT_GATE], ids=["check", "gate"])
def test_a_closed_pipe_keeps_the_verdict(arguments: tuple[str, ...], project: CaseProject) -> None:
    project.write("checks/c.toml", MANY)
    with started(project, *arguments) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        assert finished(process).code == 0


@pytest.mark.parametrize("arguments", [("check",), ("gate", "--for", "1s")], ids=["check", "gate"])
def test_a_full_disk_is_3_and_costs_no_other_format(arguments: tuple[str, ...], project: CaseProject) -> None:
    project.write("checks/c.toml", QUICK)
    with Path("/dev/full").open("wb") as full:
        ended = project.run(*arguments, "--tap", "--json=r.json", stdout=full)
    assert ended.code == 3
    assert "could not be written" in ended.err
    assert json.loads((project.project / "r.json").read_text())["verdict"]["status"] == "pass"


@pytest.mark.parametrize("arguments", [CHECK, SHORT_GATE], ids=["check", "gate"])
def test_without_a_journal_nothing_is_sent(arguments: tuple[str, ...], project: CaseProject, web: RawWeb) -> None:
    project.write("checks/c.toml", FLOW.replace("PAUSE", ""))
    in_the_way = project.write("file", "")
    ended = project.run(*arguments, environ={"PRODWATCH_STATE_DIR": str(in_the_way / "state")})
    assert (ended.code, web.seen) == (3, [])
    assert json.loads(ended.out)["checks"][0]["reason_code"] == "journal"


def test_a_signal_that_is_ignored_at_the_start_stays_ignored(project: CaseProject, web: RawWeb) -> None:
    wait, release = held(web, "/look")
    project.write("checks/c.toml", FLOW.replace("PAUSE", ""))
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        # Not forked: what is ignored is inherited from the process that starts the command.
        with CommandLine.start(project, "check", "--json") as process:
            signal.signal(signal.SIGHUP, before)
            wait()
            process.send_signal(signal.SIGHUP)
            release()
            ended = finished(process)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert ended.code == 0, ended.said


CRASH = """
import sys
import ROOM as room

def crash(*_arguments, **_keywords):
    raise RuntimeError("an injected bug")

room.NAME = crash
sys.argv = ["prodwatch", *ARGUMENTS]
from prodwatch.cli import entry
entry()
"""
BROKEN = {
    "before the first check": "prodwatch.runner.runner:Runner._refused",
    "request in flight": "prodwatch.probes.http.conversation:ask",
    "between steps": "prodwatch.runner.step.run_step:read_captures",
    "cleanup": "prodwatch.runner.check.cleanup:run_step",
    "after the last check": "prodwatch.runner.runner:assemble",
    "writing results": "prodwatch.report.json:encode",
}
"""Phase → a function of it, which raises in place of what it does."""
CAPTURES = FLOW.replace("PAUSE", "").replace(
    'url = "${vars.url}/look"\n', 'url = "${vars.url}/look"\ncapture = { a = "status" }\n'
)


GATE_BROKEN = BROKEN | {
    "before the first check": "prodwatch.session.gate:Gate._resolve",
    "after the last check": "prodwatch.session.gate:Gate._conclude_cleanup",
}


def crash_script(broken: str, *arguments: str) -> str:
    room, _, function = broken.partition(":")
    return CRASH.replace("ROOM", room).replace("NAME", function).replace("ARGUMENTS", repr(list(arguments)))


def crashed(project: CaseProject, web: RawWeb, broken: str, *arguments: str) -> Ended:
    web.routes["/look"] = response(b"{}")
    project.write("checks/c.toml", CAPTURES)
    done = subprocess.run(
        [sys.executable, "-c", crash_script(broken, *arguments)],
        cwd=project.project,
        env=project.environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def crashes(title: str) -> list[Any]:
    return [each for each in named(title) if each.values[0].cause == "crash"]


@pytest.mark.parametrize("row", crashes("`prodwatch check`"))
def test_a_crash(row: Row, project: CaseProject, web: RawWeb) -> None:
    assert_crashed(row, crashed(project, web, BROKEN[row.phase], *CHECK), project, web)


@pytest.mark.parametrize("row", crashes("`prodwatch gate`"))
def test_a_crash_of_a_gate(row: Row, project: CaseProject, web: RawWeb) -> None:
    ended = crashed(project, web, GATE_BROKEN[row.phase], *SHORT_GATE)
    assert_crashed(row, ended, project, web)


def assert_crashed(row: Row, ended: Ended, project: CaseProject, web: RawWeb) -> None:
    assert ended.code == row.exit, ended.said[-2000:]
    assert bool(journals(project)) == (row.journal == "kept")
    assert "Traceback" not in ended.said
    if row.exit == 70:
        assert "a bug in prodwatch" in ended.err
        return
    document = json.loads(ended.out)
    assert document["verdict"]["status"] == "error"
    if row.journal == "kept":
        assert "prodwatch cleanup" in json.dumps(document["notices"])
    else:
        assert web.seen[-1] == "DELETE /gone"


@contextmanager
def dashboard(project: CaseProject) -> Iterator[Terminal]:
    project.write("checks/c.toml", FLOW.replace("PAUSE", ""))
    with shown(project) as here:
        yield here


@contextmanager
def shown(project: CaseProject) -> Iterator[Terminal]:
    environ = project.environ | {"TERM": "xterm-256color"}
    with terminal([sys.executable, "-m", "prodwatch"], cwd=project.project, environ=environ) as here:
        yield here


def pressed(phase: str) -> list[Any]:
    """Return the dashboard's rows of a phase whose cause is a key, a signal or a closed terminal."""
    others = {"crash", "journal cannot be written"}
    return [row for row in named("The dashboard") if row.values[0].phase == phase and row.values[0].cause not in others]


@pytest.mark.parametrize("row", pressed("request in flight"))
def test_the_end_of_the_dashboard(row: Row, project: CaseProject, web: RawWeb) -> None:
    wait, _ = held(web, "/look")
    with dashboard(project) as here:
        wait()
        here.wait_for("travels", within_s=PATIENCE_S)
        if row.cause == "q":
            here.type("q")
        else:
            name = "SIGHUP" if row.cause == "closed terminal" else row.cause
            os.kill(here.process.pid, signal.Signals[name])
        code = here.wait(PATIENCE_S)
    assert code == row.exit
    assert web.seen[-1] == "DELETE /gone"
    assert "Traceback" not in here.text
    assert "travels: cleaned up" in bytes(here.written).rpartition(LEFT)[2].decode(errors="replace")
    assert not journals(project)


@pytest.mark.parametrize("row", pressed("before the first check"))
def test_the_end_of_the_dashboard_before_its_first_check(row: Row, project: CaseProject, web: RawWeb) -> None:
    wait, _ = held(web, "/")
    project.environ["AWS_ENDPOINT_URL"] = web.url
    text = (project.project / "config" / "t.toml").read_text()
    project.write("config/t.toml", text.replace("[vars]", 'account = "123456789012"\n[vars]'))
    project.write("checks/c.toml", AWS)
    with shown(project) as here:
        wait()
        if row.cause == "q":
            here.wait_for("who", within_s=PATIENCE_S)
            here.type("q")
        else:
            name = "SIGHUP" if row.cause == "closed terminal" else row.cause
            os.kill(here.process.pid, signal.Signals[name])
        code = here.wait(PATIENCE_S)
    assert code == row.exit
    assert "Traceback" not in here.text
    assert not journals(project)


@pytest.mark.parametrize("row", pressed("cleanup"))
def test_an_interruption_while_the_dashboard_cleans_up(row: Row, project: CaseProject, web: RawWeb) -> None:
    wait, _ = held(web, "/look")
    wait_for_cleanup, release = held(web, "/gone")
    with dashboard(project) as here:
        wait()
        here.wait_for("travels", within_s=PATIENCE_S)
        here.type("q")
        wait_for_cleanup()
        here.wait_for("cleaning up after them", within_s=PATIENCE_S)
        here.type("\x03")
        here.wait_for("the cleanup goes on", within_s=PATIENCE_S)
        if row.cause.endswith("twice"):
            here.type("\x03")
        else:
            release()
        code = here.wait(PATIENCE_S)
    assert code == row.exit
    assert bool(journals(project)) == (row.journal == "kept")
    assert ("prodwatch cleanup" in here.text) == (row.journal == "kept")


ENDING = """
import os, signal, sys
import prodwatch.cli.dashboard as room

left_undone = room.left_undone

def interrupted(left_before):
    for number in SIGNALS:
        os.kill(os.getpid(), number)
    if CLOSED:
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, 1)
        os.dup2(full, 2)
    return left_undone(left_before)

room.left_undone = interrupted
from prodwatch.cli import entry
entry()
"""
"""The dashboard, interrupted between its last check's cleanup and its last line in the shell."""
DASHBOARD_BROKEN = {
    "before the first check": "prodwatch.tui.app:ProdwatchApp.on_mount",
    "request in flight": "prodwatch.probes.http.conversation:ask",
    "cleanup": "prodwatch.runner.check.cleanup:run_step",
    "writing results": "prodwatch.cli.dashboard:left_undone",
}


@contextmanager
def scripted(project: CaseProject, script: str) -> Iterator[Terminal]:
    environ = project.environ | {"TERM": "xterm-256color"}
    with terminal([sys.executable, "-c", script], cwd=project.project, environ=environ) as here:
        yield here


@pytest.mark.parametrize("row", pressed("writing results"))
def test_an_interruption_while_the_dashboard_writes_its_last_lines(row: Row, project: CaseProject) -> None:
    closed = row.cause == "closed terminal"
    name, _, twice = row.cause.partition(" ")
    numbers = [int(signal.SIGHUP)] if closed else [int(signal.Signals[name])] * (2 if twice else 1)
    project.write("checks/c.toml", '[[check]]\nname = "ok"\ntype = "pass"\n')
    script = ENDING.replace("SIGNALS", repr(numbers)).replace("CLOSED", repr(closed))
    with scripted(project, script) as here:
        here.wait_for("ok", within_s=PATIENCE_S)
        here.type("q")
        code = here.wait(PATIENCE_S)
    assert code == row.exit, here.text[-2000:]
    assert "Traceback" not in here.text
    assert not journals(project)


@pytest.mark.parametrize("row", crashes("The dashboard"))
def test_a_crash_of_the_dashboard(row: Row, project: CaseProject, web: RawWeb) -> None:
    web.routes["/look"] = response(b"{}")
    project.write("checks/c.toml", CAPTURES)
    with scripted(project, crash_script(DASHBOARD_BROKEN[row.phase])) as here:
        if row.phase != "before the first check":
            here.wait_for("travels", within_s=PATIENCE_S)
            here.wait_for("PASS" if row.phase == "writing results" else "ERROR", within_s=PATIENCE_S)
            here.type("q")
        code = here.wait(PATIENCE_S)
    assert code == row.exit, here.text[-2000:]
    assert "Traceback" not in here.text
    assert bool(journals(project)) == (row.journal == "kept")
    assert ("prodwatch cleanup" in here.text) == (row.journal == "kept")
    if row.exit == 70:
        assert "an injected bug" in here.text


def test_the_dashboard_sends_nothing_without_a_journal(project: CaseProject, web: RawWeb) -> None:
    project.write("checks/c.toml", FLOW.replace("PAUSE", ""))
    project.environ["PRODWATCH_STATE_DIR"] = str(project.write("file", "") / "state")
    with shown(project) as here:
        here.wait_for("travels", "ERROR", within_s=PATIENCE_S)
        here.type("q")
        code = here.wait(PATIENCE_S)
    assert (code, web.seen) == (0, [])


def test_every_row_of_the_page_is_a_test() -> None:
    others = {"closed pipe", "full disk", "journal cannot be written", "crash"}
    for title, signals, broken in (
        ("`prodwatch check`", SIGNALS, BROKEN),
        ("`prodwatch gate`", GATE_SIGNALS, GATE_BROKEN),
    ):
        tried = {each.values[0] for each in signals}
        rest = [row for row in rows(title) if row not in tried]
        assert {row.cause for row in rest if row.phase != "after the last check" or row.cause == "crash"} == others
        assert {row.phase for row in rest if row.cause == "crash"} == broken.keys()
    phases = {"before the first check", "request in flight", "cleanup", "writing results"}
    assert {row.phase for row in rows("The dashboard")} == phases
    assert {row.phase for row in rows("The dashboard") if row.cause == "crash"} == DASHBOARD_BROKEN.keys() == phases
