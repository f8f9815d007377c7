"""`prodwatch report` from outside: recordings and results, whole, damaged and foreign, and where they are written."""

from __future__ import annotations

import re
import shlex
import stat
import sys
from pathlib import Path

import msgspec
import pytest

from prodwatch.cli.main import run as main_run
from prodwatch.model.result import Verdict
from prodwatch.report.json import encode
from prodwatch.store.recording.frames import FIRST_DIGEST, pack
from prodwatch.store.recording.reader import SessionFile
from tests.report.conftest import CHECKS, run
from tests.support.command_line import CommandLine, Target
from tests.support.recorded import RecordedScene


@pytest.fixture
def bad(commands: CommandLine) -> Path:
    """A recording of a bad release in the folder of the commands."""
    path = commands.project / "bad.pw"
    scene = RecordedScene(path)
    scene.judged()
    scene.lines(50)
    scene.close()
    return path


def test_a_recording_becomes_a_page_and_a_note_that_only_its_owner_reads(commands: CommandLine, bad: Path) -> None:
    (commands.project / "bad.html").write_text("an earlier page")
    ended = commands.run("report", bad.name, "-o", "bad.html")
    assert (ended.code, ended.said) == (0, "")
    page = commands.project / "bad.html"
    assert page.read_text().startswith("<!doctype html>")
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert "2 of 15 checks failed" in page.read_text()
    assert commands.run("report", bad.name).out == page.read_text()
    noted = commands.run("report", bad.name, "--md")
    assert noted.code == 0
    assert noted.out.startswith("**✘ FAIL** Test (test)")
    with SessionFile(bad) as file:
        assert file.digest in noted.out
        assert file.digest in page.read_text()


def test_a_result_becomes_a_page_and_a_note(shop: CommandLine, server: Target) -> None:
    shop.write(
        "checks/c.toml",
        f'[[check]]\nname = "broken"\ntype = "http"\nurl = "{server.url}/status/500"\nexpect = ["status == 200"]\n',
    )
    assert shop.run("check", "--json", "result.json").code == 1
    ended = shop.run("report", "result.json", "-o", "page.html")
    assert (ended.code, ended.said) == (0, "")
    assert "`status` is 500, not 200" in (shop.project / "page.html").read_text()
    assert "**✘ FAIL** Shop" in shop.run("report", "--md", "result.json").out


def test_every_command_of_the_guide_works(commands: CommandLine, bad: Path) -> None:
    guide = (Path(__file__).parents[2] / "docs/guide/report.md").read_text(encoding="utf-8")
    lines = [line.removeprefix("$ ") for line in guide.splitlines() if re.match(r"(\$ )?prodwatch report ", line)]
    assert len(lines) == 4
    bad.rename(commands.project / "release-42.pw")
    commands.write("gate.json", encode(run(CHECKS, Verdict(status="fail", exit_code=1, reason="red"))))
    for line in lines:
        ended = commands.run(*shlex.split(line)[1:])
        assert ended.code == 0, ended.err
    for name in re.findall(r"-o (\S+)", "\n".join(lines)):
        assert (commands.project / name).read_bytes().startswith(b"<!doctype html>")


@pytest.mark.parametrize(("kept", "words"), [(0.9, "The file is damaged"), (None, "was not ended")], ids=str)
def test_a_page_of_part_of_a_recording_names_the_part(
    kept: float | None, words: str, commands: CommandLine, bad: Path
) -> None:
    with SessionFile(bad) as file:
        last = file.frames[-1].offset
    bad.write_bytes(bad.read_bytes()[: last if kept is None else int(bad.stat().st_size * kept)])
    ended = commands.run("report", bad.name, "-o", "bad.html")
    assert ended.code == 1
    assert words in ended.err
    assert "up to 2026-01-15 12:00:0" in ended.err
    assert words in (commands.project / "bad.html").read_text()
    assert words in commands.run("report", bad.name, "--md").out


def test_a_green_run_that_was_cut_is_not_green(commands: CommandLine) -> None:
    scene = RecordedScene(commands.project / "cut.pw")
    scene.store.set_verdict(Verdict(status="pass", exit_code=0, reason="all checks pass"))
    scene.recorder.flush()
    scene.lines(5)
    ended = commands.run("report", "cut.pw", "--md")
    scene.close()
    assert ended.code == 1
    assert ended.out.startswith("**? INCONCLUSIVE**")
    assert "the recording ends before the run did; its last verdict was pass" in ended.out


def test_a_page_is_not_written_to_a_terminal(
    bad: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main_run(["report", str(bad)]) == 2
    shown = capsys.readouterr()
    assert "name a file with -o" in shown.err
    assert not shown.out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not json", "neither a recording nor a result"),
        (b'{"schema": "prodwatch.diff/1"}', "neither a recording nor a result"),
        (b"\xff\xfe", "neither a recording nor a result"),
        (None, "does not exist"),
    ],
    ids=["text", "another document", "bytes", "missing"],
)
def test_another_file_is_refused(content: bytes | None, message: str, commands: CommandLine) -> None:
    if content is not None:
        commands.write("f", content)
    ended = commands.run("report", "f", "-o", "out.html")
    assert ended.code == 2
    assert message in ended.err
    assert not (commands.project / "out.html").exists()


def test_a_newer_result_and_a_newer_recording_are_refused_by_their_schema(commands: CommandLine, bad: Path) -> None:

    from prodwatch.model.result import Verdict
    from prodwatch.report.json import encode
    from tests.report.conftest import CHECKS, run

    result = run(CHECKS, Verdict(status="pass", exit_code=0, reason="fine"))
    commands.write("new.json", encode(msgspec.structs.replace(result, schema="prodwatch.result/2")))
    header = b'{"schema":"prodwatch.session/2","started_at":"2026-01-15T12:00:00Z"}\n'
    commands.write("new.pw", pack(FIRST_DIGEST, "H", 0, header)[0])
    for name, schema in (("new.json", "prodwatch.result/2"), ("new.pw", "prodwatch.session/2")):
        ended = commands.run("report", name)
        assert ended.code == 2
        assert schema in ended.err
        assert "this " in ended.err
        assert not ended.out


def test_an_output_that_cannot_be_written_is_an_error(commands: CommandLine, bad: Path) -> None:
    before = bad.read_bytes()
    for output, message in (("none/out.html", "cannot be written"), (bad.name, "name another output")):
        ended = commands.run("report", bad.name, "-o", output)
        assert ended.code == 2
        assert message in ended.err
    assert bad.read_bytes() == before
    assert not [each for each in commands.project.iterdir() if each.name.startswith(".")]
