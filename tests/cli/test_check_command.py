"""`prodwatch check`: every exit code from a real project, the same verdict in every format."""

from __future__ import annotations

import json
import sys
from xml.etree import ElementTree as ET

import pytest

from tests.support.command_line import PATIENCE_S, CommandLine, Target
from tests.support.terminal import COLOURS, terminal


def check(name: str, path: str, more: str = "", expect: str = "status == 200") -> str:
    return (
        f'[[check]]\nname = "{name}"\ntype = "http"\nurl = "${{vars.api}}/{path}"\nretry = 0\n'
        f'expect = ["{expect}"]\n{more}\n'
    )


OK = check("good", "ok")
BAD = check("bad", "status/500")
SLOW = check("late", "ok", 'warn = ["json.count > 3"]')
UNSURE = check("unsure", "ok", expect="all json.items == 1")
UNRESOLVED = check("unresolved", "ok", 'headers = { authorization = "${secret.token}" }')
SKIPPED = '[[check]]\nname = "later"\ntype = "skip"\nreason = "in spring"\n'
WRITES = check("writes", "orders", 'method = "POST"\nmutates = true')


@pytest.mark.parametrize(
    ("checks", "options", "code", "status"),
    [
        pytest.param(OK, "", 0, "pass", id="pass"),
        pytest.param(OK + SKIPPED, "", 0, "pass", id="pass beside a skip"),
        pytest.param(OK + SLOW, "", 0, "degraded", id="degraded"),
        pytest.param(OK + SLOW, "--strict", 1, "degraded", id="degraded, strict"),
        pytest.param(OK + BAD, "", 1, "fail", id="fail"),
        pytest.param(check("bad", "status/500", "advisory = true") + OK, "", 0, "pass", id="only advisory is red"),
        pytest.param(OK + BAD + UNRESOLVED, "", 1, "fail", id="fail beats error"),
        pytest.param(OK + UNRESOLVED, "", 3, "error", id="could not verify"),
        pytest.param(OK + UNSURE, "", 4, "inconclusive", id="too little evidence"),
        pytest.param(OK + UNSURE + UNRESOLVED, "", 3, "error", id="error beats inconclusive"),
        pytest.param(SKIPPED, "", 4, "inconclusive", id="all skipped"),
        pytest.param(SKIPPED.replace("type", "critical = true\ntype") + OK, "", 4, "inconclusive", id="critical skip"),
        pytest.param(OK, "-k nothing", 5, "empty", id="nothing selected"),
        pytest.param(OK, "-k nothing --allow-empty", 0, "empty", id="nothing selected, allowed"),
        pytest.param(check("hangs", "slow", 'timeout = "50s"'), "--deadline 300ms", 4, None, id="deadline"),
    ],
)
def test_exit_codes(
    checks: str, options: str, code: int, status: str | None, shop: CommandLine, server: Target
) -> None:
    with (shop.project / "config" / "shop.toml").open("a") as config:
        config.write('[secrets]\ntoken = { env = "NOT_THERE" }\n')
    shop.write("checks/c.toml", checks)
    ended = shop.run("check", "--json", *options.split())
    verdict = json.loads(ended.out)["verdict"]
    assert (ended.code, verdict["exit_code"]) == (code, code), ended.said
    assert verdict["reason"]
    if status is not None:
        assert verdict["status"] == status
    assert verdict["status"] != "pass" or code == 0


def test_a_target_that_refuses_is_a_fail(commands: CommandLine) -> None:
    commands.write("config/dead.toml", '[vars]\napi = "http://127.0.0.1:1"\n')
    commands.write("checks/c.toml", OK)
    ended = commands.run("check")
    assert ended.code == 1
    assert "127.0.0.1:1" in ended.out


def test_all_formats_tell_the_same(shop: CommandLine) -> None:
    shop.write("checks/c.toml", OK + BAD + SLOW + SKIPPED)
    summary = shop.write("summary.md", "")
    ended = shop.run(
        *("check", "--json", "o.json", "--junit", "o.xml", "--ctrf", "o.ctrf", "--github-summary", "--tap"),
        environ={"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_ACTIONS": "true"},
    )
    assert ended.code == 1
    result = json.loads((shop.project / "o.json").read_text())
    assert {each["name"]: each["status"] for each in result["checks"]} == {
        "good": "pass",
        "bad": "fail",
        "late": "degraded",
        "later": "skipped",
    }
    assert result["verdict"]["exit_code"] == 1
    bad = next(each for each in result["checks"] if each["name"] == "bad")
    failed = [each for each in bad["assertions"] if each["ok"] is False]
    assert (failed[0]["expression"], failed[0]["actual"], failed[0]["expected"]) == ("status == 200", 500, 200)

    cases = {each.get("name"): each for each in ET.parse(shop.project / "o.xml").iter("testcase")}
    assert [name for name, each in cases.items() if each.find("failure") is not None] == ["bad"]
    assert [name for name, each in cases.items() if each.find("skipped") is not None] == ["later"]

    tests = json.loads((shop.project / "o.ctrf").read_text())["results"]["tests"]
    assert [each["name"] for each in tests if each["status"] == "failed"] == ["bad"]

    lines = ended.out.splitlines()
    assert lines[0] == "TAP version 14"
    assert [line.split()[-1] for line in lines if line.startswith("not ok")] == ["bad"]

    text = summary.read_text()
    assert "**FAIL**" in text
    assert "bad" in text
    assert "::error file=checks/c.toml" in ended.err


def test_the_text_result_stream_and_plugin_agree(shop: CommandLine) -> None:
    shop.write("checks/c.toml", OK + BAD)
    text = shop.run("check")
    assert text.code == 1
    assert "\x1b[" not in text.out
    assert text.out.splitlines()[-1].startswith("FAIL  1 of 2 checks failed, first c/bad: ")
    assert text.out.splitlines()[-1].endswith("exit 1")
    stream = shop.run("check", "--ndjson")
    events = [json.loads(line) for line in stream.out.splitlines()]
    assert [each["event"] for each in events] == ["check", "check", "result"]
    assert (stream.code, events[-1]["verdict"]["exit_code"]) == (1, 1)
    plugin = shop.run("check", "--nagios")
    assert (plugin.code, plugin.out.count("\n")) == (2, 1)
    assert plugin.out.startswith("PRODWATCH CRITICAL - 1 of 2 checks failed")
    assert "|" in plugin.out


def test_failed_first_starts_with_what_was_red(shop: CommandLine, server: Target) -> None:
    shop.write("checks/c.toml", OK + check("also good", "fine") + BAD)
    assert shop.run("check", "--jobs", "1").code == 1
    assert server.seen == ["GET /ok", "GET /fine", "GET /status/500"]
    server.seen.clear()
    shop.run("check", "--jobs", "1", "--failed-first")
    assert server.seen == ["GET /status/500", "GET /ok", "GET /fine"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("check",), 1),
        (("check", "--ndjson"), 1),
        (("check", "--dry-run"), 0),
        (("list",), 0),
        (("explain", "c/größe"), 0),
        (("validate",), 0),
        (("check", "--help"), 0),
    ],
)
def test_an_ascii_stdout_escapes_and_changes_no_exit_code(
    arguments: tuple[str, ...], code: int, shop: CommandLine, server: Target
) -> None:
    shop.write("checks/c.toml", check("größe", "status/500", 'title = "Größe ✔ 日本"') + OK)
    ended = shop.run(*arguments, environ={"PYTHONIOENCODING": "ascii"})
    assert ended.code == code, ended.said
    assert ended.out
    # Everything else is written as UTF-8, whatever the terminal's encoding.
    if arguments == ("check",):
        assert "Gr\\xf6\\xdfe \\u2714 \\u65e5\\u672c" in ended.out
        assert ended.out.isascii()


def test_fail_fast_starts_nothing_more_and_is_no_pass(shop: CommandLine, server: Target) -> None:
    shop.write("checks/c.toml", BAD + OK)
    ended = shop.run("check", "--jobs", "1", "--fail-fast", "--json")
    assert ended.code == 1
    assert server.seen == ["GET /status/500"]
    assert [each["status"] for each in json.loads(ended.out)["checks"]] == ["fail", "skipped"]


def test_a_dry_run_prints_every_call_and_sends_none(shop: CommandLine, server: Target) -> None:
    shop.write("checks/c.toml", OK + WRITES)
    ended = shop.run("check", "--dry-run")
    assert ended.code == 0
    assert [line.split("  ")[0] for line in ended.out.splitlines()] == ["c/good", "c/writes"]
    assert f"{server.url}/ok" in ended.out
    assert "mutates" in ended.out
    assert [each["check"] for each in json.loads(shop.run("check", "--dry-run", "--json").out)] == [
        "c/good",
        "c/writes",
    ]
    assert server.seen == []
    assert not list(shop.home.rglob("*.journal"))


def test_a_protected_environment_is_not_written_to_unless_told(shop: CommandLine, server: Target) -> None:
    shop.write("config/shop.toml", f'[vars]\napi = "{server.url}"\n')
    shop.write("checks/c.toml", OK + WRITES)
    ended = shop.run("check")
    assert ended.code == 0
    assert "--allow-writes runs it" in ended.out
    assert server.seen == ["GET /ok"]
    assert shop.run("check", "--allow-writes").code == 0
    assert "POST /orders" in server.seen


def test_an_old_result_does_not_outlive_a_run_that_could_not_start(shop: CommandLine) -> None:
    shop.write("checks/c.toml", OK)
    output = shop.write("o.json", '{"verdict": {"status": "pass"}}')
    assert shop.run("check", "--json", "o.json", "--junit", "missing/o.xml").code == 2
    assert output.read_bytes() == b""


def test_no_secret_leaves_in_any_format(shop: CommandLine) -> None:
    with (shop.project / "config" / "shop.toml").open("a") as config:
        config.write('[secrets]\ntoken = { env = "SHOP_TOKEN" }\n')
    shop.write(
        "checks/c.toml",
        check("private", "status/401", 'query = { t = "${secret.token}" }\nauth = { bearer = "${secret.token}" }'),
    )
    environ = {"SHOP_TOKEN": "s3cr3t-token-of-the-shop"}
    ended = shop.run("check", "--json", "o.json", "--junit", "o.xml", "--ctrf", "o.ctrf", "--ndjson", environ=environ)
    written = ended.said + "".join((shop.project / name).read_text() for name in ("o.json", "o.xml", "o.ctrf"))
    assert ended.code == 1
    assert "private" in written
    assert "s3cr3t" not in written
    assert "s3cr3t" not in shop.run("explain", "c/private", environ=environ).said
    assert "s3cr3t" not in shop.run("check", "--dry-run", environ=environ).said


def test_a_check_is_explained_with_what_is_known_of_it(shop: CommandLine, server: Target) -> None:
    shop.write("config/shop.toml", f'[vars]\napi = "{server.url}"\n')
    shop.write(
        "checks/c.toml",
        """
[[check]]
name = "order"
type = "http"
url = "${vars.api}/orders/${uid}"
vars.wanted = 204
expect = ["status == ${vars.wanted}", "json.id == '${uid}'"]
""",
    )
    told = shop.run("explain", "c/order").out
    assert f'url = "{server.url}/orders/${{uid}}"' in told
    assert "expect  status == 204\n" in told
    assert "expect  json.id == '${uid}'\n" in told
    assert "resolved at run time: ${uid}\n" in told
    assert server.seen == []


def test_shards_together_are_the_whole(shop: CommandLine, server: Target) -> None:
    shop.write("checks/c.toml", OK + BAD + SLOW + check("more", "more"))
    codes = [shop.run("check", "--shard", f"{i}/3", "--json", f"{i}.json").code for i in (1, 2, 3)]
    assert sorted(codes) == [0, 0, 1]
    assert len(server.seen) == 4
    merged = shop.run("merge", "1.json", "2.json", "3.json", "--json")
    assert merged.code == 1
    assert json.loads(merged.out)["summary"]["total"] == 4
    green = [f"{i + 1}.json" for i, code in enumerate(codes) if code == 0]
    partial = shop.run("merge", *green)
    assert partial.code == 4
    assert "missing" in partial.out
    twice = shop.run("merge", "1.json", "1.json")
    assert (twice.code, "was given twice" in twice.err) == (2, True)


def test_a_result_for_a_file_never_comes_from_a_dry_run_or_a_broken_project(shop: CommandLine) -> None:
    shop.write("checks/c.toml", OK)
    output = shop.write("o.json", '{"verdict": {"status": "pass"}}')
    refused = shop.run("check", "--dry-run", "--json", "o.json")
    assert (refused.code, "--dry-run produces no result" in refused.err) == (2, True)
    shop.write("checks/broken.toml", "this is no TOML")
    assert shop.run("check", "--json", "o.json").code == 2
    assert output.read_bytes() == b""


def test_a_selection_that_finds_nothing_is_no_empty_shard(shop: CommandLine) -> None:
    shop.write("checks/c.toml", OK)
    assert shop.run("check", "-k", "nosuch", "--shard", "1/2").code == 5
    assert {shop.run("check", "--shard", f"{i}/2").code for i in (1, 2)} == {0}


def test_merge_refuses_a_result_of_another_major_version(shop: CommandLine) -> None:
    shop.write("checks/c.toml", OK)
    shop.run("check", "--json", "o.json")
    document = (shop.project / "o.json").read_text().replace("prodwatch.result/1", "prodwatch.result/2")
    shop.write("o.json", document)
    ended = shop.run("merge", "o.json")
    assert (ended.code, "prodwatch.result/2" in ended.err) == (2, True)


@pytest.mark.slow  # a terminal and a process
@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's pseudo-terminals")
@pytest.mark.parametrize(
    ("environ", "options", "coloured", "escapes"),
    [
        pytest.param({}, [], True, True, id="colours"),
        pytest.param({"NO_COLOR": "1"}, [], False, True, id="NO_COLOR"),
        pytest.param({}, ["--no-color"], False, True, id="--no-color"),
        pytest.param({"TERM": "dumb"}, [], False, False, id="dumb terminal"),
    ],
)
def test_colours_on_a_terminal(
    environ: dict[str, str], options: list[str], coloured: bool, escapes: bool, shop: CommandLine
) -> None:
    shop.write("checks/c.toml", OK + BAD)
    arguments = [sys.executable, "-m", "prodwatch", "check", *options]
    with terminal(arguments, cwd=shop.project, environ={**shop.environ, **environ}) as here:
        assert here.wait(PATIENCE_S) == 1
        assert "1 of 2 checks failed" in here.text
        assert bool(COLOURS.search(bytes(here.written))) is coloured
        assert (b"\x1b" in here.written) is escapes
