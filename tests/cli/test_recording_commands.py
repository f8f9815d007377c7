"""Recordings from outside: `--record`, `record`, `verify` and `gate --replay`, which calls nothing."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import shlex
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from prodwatch.store.recording.reader import SessionFile
from tests.cli.test_gate_command import GREEN, RED, ROUNDS
from tests.support.command_line import CommandLine, Ended

MAIL = '[[check]]\nname = "mail"\ntype = "fail"\nreason = "anna@shop.example is not known"\n'


@pytest.fixture
def project(shop: CommandLine) -> CommandLine:
    """The shop's project, with a round every second."""
    config = shop.project / "config/shop.toml"
    shop.write("config/shop.toml", config.read_text() + ROUNDS)
    return shop


def recorded(project: CommandLine, *options: str, checks: str = GREEN, file: str = "f.pw") -> tuple[Ended, Any]:
    project.write("checks/c.toml", checks)
    ended = project.run("gate", "--for", "1s", "--record", file, "--json", *options)
    return ended, json.loads(ended.out)


@pytest.mark.parametrize(("checks", "code"), [(GREEN, 0), (RED, 1)], ids=["green", "red"])
def test_a_replayed_gate_gives_the_verdict_of_the_live_one_without_the_project(
    checks: str, code: int, project: CommandLine
) -> None:
    live, document = recorded(project, checks=checks)
    assert live.code == code
    for path in (project.project / "config/shop.toml", project.project / "checks/c.toml"):
        path.unlink()
    replayed = project.run("gate", "--replay", "f.pw", "--json")
    again = json.loads(replayed.out)
    assert replayed.code == code
    assert again["verdict"] == document["verdict"]
    differing = {key for key in again.keys() | document.keys() if again.get(key) != document.get(key)}
    assert differing <= {"run", "recording"}
    assert document["recording"]["file"] == "f.pw"
    assert document["recording"]["ended"] is None


def test_the_end_of_a_recording_names_its_size_and_its_digest(project: CommandLine) -> None:
    ended, document = recorded(project)
    assert document["recording"]["digest"] in ended.err
    assert "recording " in ended.err
    assert "per minute" in ended.err
    path = project.project / "f.pw"
    assert document["recording"]["bytes"] == path.stat().st_size
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_verify_accepts_a_whole_file_and_names_the_last_record_of_a_cut_one(project: CommandLine) -> None:
    _, document = recorded(project)
    whole = project.run("verify", "f.pw")
    assert whole.code == 0
    assert document["recording"]["digest"] in whole.out
    assert "judged again: pass" in whole.out
    path = project.project / "f.pw"
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 9 // 10])
    cut = project.run("verify", "f.pw")
    assert cut.code == 1
    assert "last whole record: " in cut.out
    report = json.loads(project.run("verify", "f.pw", "--json").out)
    assert report["state"] == "damaged"
    assert report["last"]["number"] == report["records"] > 0
    assert report["digest"] != document["recording"]["digest"]


def test_a_recording_whose_writer_was_killed_is_not_whole(project: CommandLine) -> None:
    recorded(project)
    from prodwatch.store.recording.reader import SessionFile

    path = project.project / "f.pw"
    with SessionFile(path) as file:
        end = file.frames[-1].offset
    path.write_bytes(path.read_bytes()[:end])
    ended = project.run("verify", "f.pw")
    assert ended.code == 1
    assert "not ended" in ended.out


def test_a_rewritten_file_has_another_digest_and_is_judged_otherwise(project: CommandLine) -> None:
    _, document = recorded(project, checks=RED)
    path = project.project / "f.pw"
    rewrite(path, b'"status":"fail"', b'"status":"pass"')
    ended = project.run("verify", "f.pw", "--json")
    report = json.loads(ended.out)
    assert report["state"] == "whole"
    assert report["digest"] != document["recording"]["digest"]
    assert (ended.code, report["differs"]) == (1, True)


def rewrite(path: Path, old: bytes, new: bytes) -> None:
    """Replace a text in every frame of events, with digests that fit."""
    from prodwatch.store.recording.frames import FIRST_DIGEST, pack
    from prodwatch.store.recording.reader import SessionFile

    with SessionFile(path) as file:
        contents = [(each, file.content(each)) for each in file.frames]
    digest, written = FIRST_DIGEST, b""
    for frame, content in contents:
        lines = [line.replace(old, new) if b"check_reported" in line else line for line in content.split(b"\n")]
        member, digest = pack(digest, frame.kind, frame.elapsed_us, b"\n".join(lines))
        written += member
    path.write_bytes(written)


def test_a_folder_of_recordings_names_how_many_would_have_failed(project: CommandLine) -> None:
    (project.project / "all").mkdir()
    recorded(project, file="all/good.pw")
    recorded(project, checks=RED, file="all/bad.pw")
    (project.project / "all/notes.txt").write_text("not a recording")
    ended = project.run("gate", "--replay", "all")
    first, *lines = ended.out.splitlines()
    assert first == "would have failed 1 of 2: bad.pw"
    assert [line.split()[:2] for line in lines] == [["fail", "bad.pw"], ["pass", "good.pw"]]
    assert ended.code == 1
    document = json.loads(project.run("gate", "--replay", "all", "--json", "--report-only").out)
    assert (document["failed"], document["total"]) == (1, 2)
    assert [each["recorded"]["status"] for each in document["files"]] == ["fail", "pass"]


def test_a_file_of_a_folder_that_cannot_be_judged_is_an_error_and_the_others_are_judged(project: CommandLine) -> None:
    (project.project / "all").mkdir()
    recorded(project, file="all/good.pw")
    header = project.project / "all/header.pw"
    with SessionFile(project.project / "all/good.pw") as file:
        header.write_bytes(file.path.read_bytes()[: file.frames[0].length])
    ended = project.run("gate", "--replay", "all")
    first, *lines = ended.out.splitlines()
    assert first == "would have failed 0 of 2"
    assert [line.split()[:2] for line in lines] == [["pass", "good.pw"], ["error", "header.pw"]]
    assert ended.code == 3
    assert project.run("gate", "--replay", "all", "--set", "compare.errors.ratio=-1").code == 2


def test_a_check_is_recorded_and_judged_again(project: CommandLine) -> None:
    project.write("checks/c.toml", RED)
    ended = project.run("check", "--record", "c.pw", "--json")
    document = json.loads(ended.out)
    assert document["recording"]["digest"] in ended.err
    verified = project.run("verify", "c.pw", "--json")
    report = json.loads(verified.out)
    assert verified.code == 0
    assert report["recorded"] == report["judged"] == document["verdict"]
    assert shown_at_the_end(project.project / "c.pw") == (document["verdict"]["status"], document["verdict"]["reason"])
    refused = project.run("gate", "--replay", "c.pw")
    assert refused.code == 2
    assert "prodwatch verify" in refused.err


def test_a_session_is_recorded_without_a_dashboard(project: CommandLine) -> None:
    project.write("checks/c.toml", GREEN)
    ended = project.run("record", "r.pw", "--for", "2s")
    assert ended.code == 0
    assert "digest " in ended.err
    verified = project.run("verify", "r.pw", "--json")
    report = json.loads(verified.out)
    assert verified.code == 0
    assert report["judged"] == report["recorded"]
    assert report["records"] > 3


def shown_at_the_end(path: Path) -> tuple[str, str]:
    """Return status and reason that the dashboard shows at the end of the recording of a check."""
    from prodwatch.model.evidence import Concluded
    from prodwatch.views.verdict import judge_session
    from tests.support.replays import Replayed

    async def show() -> tuple[str, str]:
        replay = Replayed(path, playing=False)
        await replay.session.start()
        replay.session.seek(replay.session.to_us)
        await replay.after()
        given = replay.session.given
        judged = judge_session(replay.store, replay.clock.now(), every_s=1).decision.verdict
        await replay.session.stop()
        assert isinstance(given, Concluded)
        assert (given.result.verdict.status, given.result.verdict.reason) == (judged.status, judged.reason)
        return judged.status, judged.reason

    return asyncio.run(show())


def test_personal_data_is_masked_by_patterns(project: CommandLine) -> None:
    _, document = recorded(project, "--redact", r"[a-z]+@[a-z.]+", checks=MAIL)
    assert "anna@shop.example" in json.dumps(document)
    content = gzip.decompress((project.project / "f.pw").read_bytes()).decode()
    assert "anna" not in content
    assert "••• is not known" in content


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("gate", "--redact", "x"), "--redact needs --record"),
        (("gate", "--record", "f.pw", "--redact", "("), "--redact: the pattern is not a regular expression"),
        (("gate", "--record", "f.pw", "--redact", "x*"), "matches an empty text"),
        (("gate", "--record", "config/shop.toml"), "is not a session file; name another file"),
        (("gate", "--record", "none/f.pw"), "cannot be written"),
        (("gate", "--replay", "config/shop.toml"), "is not a session file"),
        (("verify", "config/shop.toml"), "is not a session file"),
        (("replay", "config/shop.toml"), "in scripts and CI use: prodwatch gate --replay config/shop.toml"),
        (("replay", "config/shop.toml", "--speed", "0"), "0 is not in the range"),
        (("gate", "--replay", "config", "--record", "f.pw"), "--replay judges what was recorded"),
        (("gate", "--set", "compare.errors.ratoi=3"), "--set:1:1: unknown key"),
        (("gate", "--set", "compare.latency.false_alarms=0%"), "must be 0.0001% or more"),
        (("gate", "--plan", "--record", "f.pw"), "--plan gives no verdict"),
        (("--web", "--record", "f.pw"), "--web opens a dashboard per browser"),
        (("--record", "f.pw", "list"), "--record is an option of the dashboard"),
        (("check", "--dry-run", "--record", "f.pw"), "--dry-run produces no result"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_options_that_do_not_fit_are_refused_before_anything_runs(
    options: tuple[str, ...], message: str, project: CommandLine
) -> None:
    project.write("checks/c.toml", GREEN)
    ended = project.run(*options)
    assert ended.code == 2, ended.err
    assert message in ended.err
    assert not (project.project / "f.pw").exists()


def test_an_empty_folder_has_nothing_to_judge(project: CommandLine) -> None:
    (project.project / "all").mkdir()
    ended = project.run("gate", "--replay", "all")
    assert ended.code == 5
    assert "no file in it is a session file" in ended.err


def test_a_live_gate_uses_the_values_of_its_options(project: CommandLine) -> None:
    project.write("checks/c.toml", GREEN)
    ended = project.run("gate", "--set", "rounds.bake=1s", "--record", "f.pw", "--json")
    assert ended.code == 0
    content = gzip.decompress((project.project / "f.pw").read_bytes()).decode()
    assert '"bake_s":1' in content


def test_the_commands_of_the_guide_run(project: CommandLine) -> None:
    """In their order, with a bake of a second; the dashboard needs a terminal."""
    text = (Path(__file__).parents[2] / "docs/guide/recording.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    lines = [line.removeprefix("$ ") for kind, block in blocks if not kind for line in block.splitlines()]
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("prodwatch ")]
    assert len(commands) == 9
    config = project.project / "config/shop.toml"
    config.rename(config.with_name("prod.toml"))
    project.write("checks/c.toml", GREEN)
    (project.project / "recordings").mkdir()
    for command in commands:
        if command[0] == "--env":
            continue
        if (project.project / "release-42.pw").exists():
            shutil.copy(project.project / "release-42.pw", project.project / "recordings")
        arguments = ["1s" if each == "30m" else each for each in command]
        if command[0] == "gate" and "--replay" not in command:
            arguments += ["--for", "1s"]
        ended = project.run(*arguments)
        assert ended.code == 0, (command, ended.err)
