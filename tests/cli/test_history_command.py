"""Past runs from the command line: what `check` leaves, `history` shows and `diff` compares."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine, Target

CHECK = '[[check]]\nname = "{name}"\ntype = "http"\nurl = "${{vars.api}}/{path}"\nexpect = ["status == 200"]\n'
GOOD = CHECK.format(name="good", path="ok")
BAD = CHECK.format(name="bad", path="status/500")


def folder(shop: CommandLine) -> Path:
    return shop.home / ".local/share/prodwatch/history"


def run_ids(shop: CommandLine) -> list[str]:
    return [each["id"] for each in json.loads(shop.run("history", "--json").out)["runs"]]


def two_runs(shop: CommandLine) -> None:
    shop.write("checks/c.toml", GOOD + BAD)
    assert shop.run("check", "--json", "first.json").code == 1
    shop.write("checks/c.toml", GOOD + BAD.replace("status/500", "ok"))
    assert shop.run("check", "--json", "second.json").code == 0


def test_history_lists_runs_and_figures(shop: CommandLine) -> None:
    two_runs(shop)
    ended = shop.run("history")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0].startswith("shop of project · ")
    assert [line.split()[5] for line in lines[3:5]] == ["PASS", "FAIL"]
    assert [line.split()[:3] for line in lines[7:]] == [["c/bad", "✘✔", "50.0"], ["c/good", "✔✔", "100.0"]]


def test_a_run_and_a_check_are_shown_by_id(shop: CommandLine) -> None:
    two_runs(shop)
    newest, oldest = run_ids(shop)
    of_a_run = shop.run("history", "previous").out
    assert oldest in of_a_run
    assert newest not in of_a_run
    assert "✘ FAIL" in of_a_run
    assert "`status` is 500, not 200" in of_a_run
    assert shop.run("history", oldest).out == of_a_run
    of_a_check = shop.run("history", "c/bad").out.splitlines()
    assert [line.split()[0] for line in of_a_check[4:]] == [newest, oldest]
    document = json.loads(shop.run("history", "c/bad", "--json").out)
    assert document["schema"] == "prodwatch.history/1"
    assert [each["outcome"]["status"] for each in document["outcomes"]] == ["pass", "fail"]
    assert [each["pass_rate"] for each in document["checks"]] == [0.5]
    assert [each["id"] for each in document["runs"]] == [newest, oldest]
    assert json.loads(shop.run("history", "latest", "--json").out)["outcomes"][0]["run_id"] == newest


def test_a_name_that_is_not_there_is_an_error_with_the_closest(shop: CommandLine) -> None:
    two_runs(shop)
    ended = shop.run("history", "c/god")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == 'the history has no run and no check "c/god" (did you mean "c/good"?)\n'
    prefix = run_ids(shop)[0][:4]
    ended = shop.run("history", prefix)
    assert ended.code == 2
    assert f'"{prefix}" is the beginning of 2 run ids' in ended.err


def test_without_runs_history_says_so(shop: CommandLine) -> None:
    shop.write("checks/c.toml", GOOD)
    ended = shop.run("history")
    assert (ended.code, ended.out) == (0, "")
    assert ended.err == "no past runs of shop; prodwatch check --env shop makes one\n"
    assert json.loads(shop.run("history", "--json").out)["runs"] == []
    assert not folder(shop).exists()
    assert not (shop.project / ".prodwatch").exists()


def test_diff_compares_runs_and_files_and_exits_by_what_is_worse(shop: CommandLine) -> None:
    two_runs(shop)
    better = shop.run("diff", "previous", "latest")
    assert better.code == 0
    assert "turned green\n  c/bad  FAIL → PASS\n" in better.out
    assert better.out.endswith("unchanged: 1\n")
    worse = shop.run("diff", "latest", "first.json")
    assert worse.code == 1
    assert "turned red\n  c/bad  PASS → FAIL  `status` is 500, not 200\n" in worse.out
    document = json.loads(shop.run("diff", "second.json", "first.json", "--json").out)
    assert document["schema"] == "prodwatch.diff/1"
    assert [each["id"] for each in document["turned_red"]] == ["c/bad"]
    same = shop.run("diff", "latest", run_ids(shop)[0])
    assert same.code == 0
    assert "A and B are the same run" in same.out


def test_two_files_need_no_project(shop: CommandLine) -> None:
    two_runs(shop)
    (shop.project / "config" / "shop.toml").unlink()
    assert shop.run("diff", "second.json", "first.json").code == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("latest", "latest"), 'the history has no run "latest"; prodwatch history lists them'),
        (("gone.json", "gone.json"), "gone.json: the file does not exist"),
        (("config/shop.toml", "latest"), "config/shop.toml: not a result that --json wrote"),
        (("nonsense", "latest"), 'the history has no run "nonsense"'),
    ],
)
def test_a_run_that_is_not_there_is_named(arguments: tuple[str, ...], sentence: str, shop: CommandLine) -> None:
    ended = shop.run("diff", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert sentence in ended.err


def test_forget_and_prune(shop: CommandLine) -> None:
    two_runs(shop)
    newest, oldest = run_ids(shop)
    assert shop.run("history", oldest, "--forget").err == f"run {oldest} removed\n"
    assert run_ids(shop) == [newest]
    assert shop.run("history", "c/good", "--forget").err == "outcomes of c/good removed: 1\n"
    assert [each["id"] for each in json.loads(shop.run("history", "--json").out)["checks"]] == ["c/bad"]
    assert shop.run("history", "c/good", "--forget").code == 2
    assert shop.run("history", "--forget").err == "runs of shop removed: 1\n"
    assert shop.run("history", "--prune").err == "runs removed: 0\n"
    assert shop.run("history", "--prune", "--forget").code == 2


def test_the_text_shows_earlier_outcomes_in_signs(shop: CommandLine) -> None:
    two_runs(shop)
    lines = shop.run("check").out.splitlines()
    assert [line.partition("before ")[2] for line in lines[:2]] == ["✔✔", "✘✔"]
    assert "before" not in shop.run("check", "--tap").out


def test_failed_first_reads_the_history(shop: CommandLine, server: Target) -> None:
    shop.write("checks/c.toml", GOOD + BAD)
    shop.run("check", "--jobs", "1")
    shop.run("check", "--jobs", "1", "-k", "good")  # a check that did not run stays red
    server.seen.clear()
    shop.run("check", "--jobs", "1", "--failed-first")
    assert server.seen == ["GET /status/500", "GET /ok"]


def test_a_moved_project_keeps_its_history(shop: CommandLine) -> None:
    two_runs(shop)
    moved = shop.project.with_name("moved")
    shop.project.rename(moved)
    shop.project = moved
    assert len(run_ids(shop)) == 2


def test_two_projects_in_one_machine_do_not_share(shop: CommandLine, tmp_path: Path) -> None:
    two_runs(shop)
    other = tmp_path / "other" / "project"
    (other / "config").mkdir(parents=True)
    (other / "config" / "shop.toml").write_bytes((shop.project / "config" / "shop.toml").read_bytes())
    shop.project = other
    assert run_ids(shop) == []


@pytest.mark.parametrize("off", ["file", "variable"])
def test_without_a_history_nothing_is_written(off: str, shop: CommandLine) -> None:
    shop.write("checks/c.toml", GOOD)
    environ = {}
    if off == "file":
        shop.write("config/shop.toml", (shop.project / "config/shop.toml").read_text() + "[history]\nenabled = false\n")
    else:
        environ["PRODWATCH_HISTORY"] = "off"
    ended = shop.run("check", "--failed-first", environ=environ)
    assert ended.code == 0
    assert "--failed-first has no effect, because the history is off" in ended.err
    assert not folder(shop).exists()
    assert not (shop.project / ".prodwatch").exists()
    assert "the history is off" in shop.run("history", environ=environ).err
    if off == "file":
        shop.run("check", environ={"PRODWATCH_HISTORY": "on"})
        assert folder(shop).exists()


def test_another_value_of_the_switch_is_an_error_before_anything_is_sent(shop: CommandLine, server: Target) -> None:
    shop.write("checks/c.toml", GOOD)
    ended = shop.run("check", environ={"PRODWATCH_HISTORY": "no"})
    assert (ended.code, server.seen) == (2, [])
    assert ended.err == 'PRODWATCH_HISTORY must be on or off, not "no"\n'


def test_the_data_folder_can_be_chosen(shop: CommandLine, tmp_path: Path) -> None:
    shop.write("checks/c.toml", GOOD)
    environ = {"PRODWATCH_DATA_DIR": str(tmp_path / "cache")}
    shop.run("check", environ=environ)
    assert len(json.loads(shop.run("history", "--json", environ=environ).out)["runs"]) == 1
    assert not folder(shop).exists()


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["text", "json"])
def test_a_home_that_cannot_be_written_is_a_note_and_not_a_verdict(options: tuple[str, ...], shop: CommandLine) -> None:
    shop.write("checks/c.toml", GOOD)
    environ = {"PRODWATCH_DATA_DIR": "/proc/nowhere"}
    ended = shop.run("check", *options, environ=environ)
    assert ended.code == 0
    assert ended.err.startswith("note: this run is not in the history: /proc/nowhere: ")
    assert ended.err.count("\n") == 1
    assert shop.run("history", environ=environ).code == 0


def test_a_damaged_history_is_a_note(shop: CommandLine) -> None:
    two_runs(shop)
    (database,) = folder(shop).glob("*.db")
    database.write_bytes(b"damaged" * 1000)
    ended = shop.run("check")
    assert ended.code == 0
    assert "is set aside as" in ended.err
    assert ended.out.splitlines()[-1].startswith("PASS")
    assert len(run_ids(shop)) == 2  # the one that was not in the database yet, and this one


def test_an_interrupted_run_is_kept_as_such(shop: CommandLine, server: Target) -> None:
    shop.write("checks/c.toml", CHECK.format(name="slow", path="slow").replace("expect", 'timeout = "60s"\nexpect'))
    with shop.start("check", "--json") as process:
        assert server.arrived.acquire(timeout=60)
        process.terminate()
        process.communicate()
    server.release.set()
    assert [each["status"] for each in json.loads(shop.run("history", "--json").out)["runs"]] == ["aborted"]


def test_a_shell_completes_run_ids(shop: CommandLine) -> None:
    two_runs(shop)
    newest, oldest = run_ids(shop)
    for line in ("prodwatch diff ", "prodwatch --env shop history "):
        words = line.split(" ")
        environ = {
            "_PRODWATCH_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        }
        out = shop.run(environ=environ).out
        assert [each.partition(",")[2] for each in out.splitlines()] == ["latest", "previous", newest, oldest]


def test_the_history_is_pruned_by_runs_alone(shop: CommandLine) -> None:
    shop.write("checks/c.toml", GOOD)
    shop.run("check", "--json")
    (pending,) = folder(shop).glob("*.pending")
    document = next(pending.iterdir())
    for number in range(99):
        os.link(document, pending / f"2026-{number}.json")
    assert list(folder(shop).glob("*.db")) == []
    shop.run("check", "--json")
    assert list(pending.iterdir()) == []  # the run has moved them, although nothing reads the history
    assert len(list(folder(shop).glob("*.db"))) == 1


def test_every_command_of_the_guide_runs(shop: CommandLine) -> None:
    guide = (Path(__file__).parents[2] / "docs/guide/history.md").read_text(encoding="utf-8")
    commands = re.findall(r"^prodwatch .*$", guide, re.MULTILINE)
    commands += [each for each in re.findall(r"`(prodwatch (?:history|diff) [^`]+)`", guide) if " A B" not in each]
    assert len(commands) > 10
    shop.write("config/prod.toml", (shop.project / "config/shop.toml").read_bytes())
    (shop.project / "config/shop.toml").unlink()
    shop.write("checks/orders.toml", CHECK.format(name="place order", path="ok"))
    for _ in range(2):
        shop.run("check", "--json")
    kept = {path: path.read_bytes() for path in folder(shop).rglob("*.json")}
    for command in commands:
        for path, document in kept.items():
            path.write_bytes(document)
        words = command.replace("20261130-180448-k3f9x2", "previous").split()[1:]
        ended = shop.run(*words)
        assert ended.code == 0, (command, ended.said)


def test_a_gate_that_was_skipped_is_kept_with_its_reason(shop: CommandLine) -> None:
    shop.write("checks/c.toml", GOOD)
    assert shop.run("gate", "--skip-verification", "AWS incident 123").code == 0
    (run,) = json.loads(shop.run("history", "--json").out)["runs"]
    assert (run["mode"], run["status"], run["exit_code"]) == ("gate", "inconclusive", 4)
    assert "AWS incident 123" in run["reason"]
    line = shop.run("history").out.splitlines()[3]
    assert "gate" in line
    assert "none finished" in line
