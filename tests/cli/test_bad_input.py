"""Bad input ends in one clear sentence per problem and its own exit code, never in a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from prodwatch.cli.main import run
from tests.support.command_line import CommandLine, Ended, Target

GOOD = '[[check]]\nname = "ok"\ntype = "http"\nurl = "${vars.api}/ok"\nexpect = ["status == 200"]\n'
WRITES = """
[[check]]
name = "writes"
type = "http"
method = "POST"
mutates = true
serial = "one"
url = "${vars.api}/orders"
expect = ["status == 200"]
"""


def clear(ended: Ended, code: int, *parts: str) -> None:
    """Assert the exit code, the words, and that nobody is shown our insides."""
    assert ended.code == code, ended.said
    for part in parts:
        assert part in ended.said
    assert "Traceback" not in ended.said
    assert 'File "' not in ended.said


@dataclass(frozen=True)
class Case:
    """Files over a project that is fine, a command line, and what it must say."""

    arguments: tuple[str, ...]
    code: int
    said: tuple[str, ...]
    files: Mapping[str, str | bytes | None]
    environ: Mapping[str, str]


def case(
    id_: str,
    arguments: str,
    code: int,
    *said: str,
    files: Mapping[str, str | bytes | None] | None = None,
    environ: Mapping[str, str] | None = None,
) -> object:
    return pytest.param(Case(tuple(arguments.split()), code, said, files or {}, environ or {}), id=id_)


CASES = [
    # files
    case(
        "broken TOML in a check file",
        "validate",
        2,
        "checks/bad.toml:2:21: not valid TOML",
        files={"checks/bad.toml": '[[check]]\nname = "never closed\n'},
    ),
    case(
        "broken TOML in the environment",
        "check",
        2,
        "config/shop.toml:1:14: not valid TOML",
        files={"config/shop.toml": 'title = "Shop\n'},
    ),
    case(
        "unknown key",
        "check",
        2,
        'checks/ok.toml:6:1: check "ok": unknown key "tiemout" (did you mean "timeout"?)',
        files={"checks/ok.toml": GOOD + 'tiemout = "1s"\n'},
    ),
    case(
        "unknown key of the environment",
        "validate",
        2,
        'config/shop.toml:1:1: unknown table or key "titel" (did you mean "title"?)',
        files={"config/shop.toml": 'titel = "Shop"\n[vars]\napi = "http://127.0.0.1:9"\n'},
    ),
    case(
        "unknown type",
        "check",
        2,
        'checks/ok.toml:3:1: check "ok": unknown type "htp" (did you mean "http"?)',
        files={"checks/ok.toml": GOOD.replace('"http"', '"htp"')},
    ),
    case(
        "missing environment variable",
        "check",
        2,
        'checks/ok.toml:4:8: check "ok": environment variable SHOP_URL is not set; set it or write',
        files={"checks/ok.toml": GOOD.replace("vars.api", "env.SHOP_URL")},
    ),
    case(
        "undefined variable",
        "check",
        2,
        "checks/ok.toml:4:8:",
        'variable apii is not defined (did you mean "api"?)',
        files={"checks/ok.toml": GOOD.replace("vars.api", "vars.apii")},
    ),
    case(
        "not UTF-8", "check", 2, "checks/latin.toml:1:9: not UTF-8 text", files={"checks/latin.toml": b'name = "\xe9"'}
    ),
    case("no checks folder", "check", 5, "no checks in", "checks", files={"checks/ok.toml": None}),
    case("no checks folder, validate", "validate", 0, "no checks in", files={"checks/ok.toml": None}),
    # environments
    case("unknown environment", "check --env shpo", 2, 'no environment "shpo" (did you mean "shop"?)', "has shop"),
    case(
        "several environments and none chosen",
        "check",
        2,
        "has several environments",
        "has several environments, prod, shop: choose one with --env or PRODWATCH_ENV",
        files={"config/prod.toml": ""},
    ),
    case("unknown PRODWATCH_ENV", "check", 2, 'no environment "x"', environ={"PRODWATCH_ENV": "x"}),
    case("no project", "check --root /nowhere", 2, "no config/*.toml in /nowhere", "prodwatch --env demo"),
    case("no such check file", "check --checks nope.toml", 2, "--checks nope.toml: no such file or folder"),
    case("--at outside of the demo", "check --at during", 2, "--at", '"shop" has no [demo] table'),
    # options
    case("unknown command", "chekc", 2, 'no such command "chekc" (did you mean "check"?)', "Try: prodwatch --help"),
    case("unknown option", "check --tagg x", 2, "--tagg", "--tag", "Try: prodwatch check --help"),
    case(
        "shard beyond its number", "check --shard 4/3", 2, '--shard: "4/3" is not I/N with 1 ≤ I ≤ N, for example 1/3'
    ),
    case("shard that is none", "check --shard two", 2, '--shard: "two" is not I/N'),
    case("deadline that is none", "check --deadline soon", 2, '"soon" is not a duration; write one like 300ms, 5s'),
    case("deadline of nothing", "check --deadline 0s", 2, '"0s" is not greater than zero'),
    case("--var without a value", "check --var api", 2, '--var takes name=value, but "api" has no "="'),
    case("--var nobody uses", "check --var apy=x", 2, "--var apy: no file uses a variable of this name"),
    case("-k that is no expression", "check -k and", 2, '-k and: a word is missing before "and"'),
    case("two formats on stdout", "check --json --tap", 2, "only one format can go to stdout: --json or --tap"),
    case("unknown check", "explain okk", 2, 'no check has the id "okk" (did you mean "ok/ok"?)'),
    case("unknown run", "cleanup 20260101-000000-abcdef", 2, 'no journal of run "20260101-000000-abcdef"'),
    case("merge of nothing", "merge", 2, "RESULTS"),
    case("merge of what is none", "merge x.json", 2, "x.json: not a result of", files={"x.json": "{"}),
    case("summary outside of GitHub", "check --github-summary", 2, "GITHUB_STEP_SUMMARY is not set"),
    # places that cannot be written
    case("output in no folder", "check --json nope/o.json", 2, "nope/o.json: cannot be written: No such file"),
    case("output is a folder", "check --junit checks", 2, "--junit", "checks"),
    # terminals
    case("the dashboard without a terminal", "", 2, "the dashboard needs a terminal", "use: prodwatch check --env ENV"),
    case("the demo without a terminal", "demo", 2, "the dashboard needs a terminal", "use: prodwatch check --env ENV"),
]


@pytest.mark.parametrize("each", CASES)
def test_bad_input_is_one_clear_sentence(
    each: Case, shop: CommandLine, server: Target, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    shop.write("checks/ok.toml", GOOD)
    for path, text in each.files.items():
        if text is None:
            (shop.project / path).unlink()
        else:
            shop.write(path, text)
    # In this process, for speed: nothing here gets as far as running a check.
    monkeypatch.chdir(shop.project)
    for name, value in {**shop.environ, **each.environ}.items():
        monkeypatch.setenv(name, value)
    code = run(each.arguments)
    ended = Ended(code, *capfd.readouterr())
    clear(ended, each.code, *each.said)
    assert server.seen == []
    if each.code == 2:
        assert not ended.out


def test_every_mistake_is_told_at_once(shop: CommandLine) -> None:
    shop.write("checks/a.toml", GOOD.replace('"http"', '"htp"') + 'tiemout = "1s"\n')
    shop.write("checks/b.toml", '[[check]]\nname = "b"\ntype = "tcp"\nhost = "x"\nport = "eighty"\n')
    shop.write("checks/c.toml", "[[check]\n")
    ended = shop.run("validate")
    clear(ended, 2)
    *problems, total = ended.err.splitlines()
    assert {line.split(":")[0] for line in problems} == {f"checks/{name}.toml" for name in "abc"}
    assert len(problems) >= 4
    assert total == f"{len(problems)} problems in 3 files"


def test_a_selection_of_nothing_offers_near_names(shop: CommandLine) -> None:
    shop.write("checks/ok.toml", GOOD)
    shop.write("checks/table.toml", GOOD.replace('"ok"', '"orders table"\nkind = "diagnostic"\ntags = ["data"]'))
    near = '(did you mean "table/orders-table"?)'
    clear(shop.run("explain", "orders"), 2, f'no check has the id "orders" {near}')
    clear(shop.run("list", "-k", "ordrs"), 5, f"-k ordrs matches no check {near}")
    clear(
        shop.run("list", "-k", "table"), 5, "-k table matches diagnostics only; --kind all selects table/orders-table"
    )
    clear(shop.run("list", "-t", "dat"), 5, '-t dat: no check has this tag (did you mean "data"?)')
    ended = shop.run("check", "-k", "ordrs and not ok")
    assert (ended.code, f"note: -k ordrs and not ok matches no check {near}" in ended.err) == (5, True)


def test_a_file_that_cannot_be_read(shop: CommandLine) -> None:
    shop.write("checks/ok.toml", GOOD)
    (shop.project / "checks" / "gone.toml").symlink_to("/nowhere/at/all.toml")
    clear(shop.run("check"), 2, "checks/gone.toml:1:1: cannot be read: No such file or directory")


def test_a_state_folder_that_cannot_be_written_stops_only_what_needs_it(shop: CommandLine, server: Target) -> None:
    shop.write("checks/ok.toml", GOOD + WRITES)
    ended = shop.run("check", environ={"PRODWATCH_STATE_DIR": "/proc/nowhere"})
    clear(ended, 3, "/proc/nowhere")
    assert server.seen == ["GET /ok"]


def test_a_full_disk_is_no_verdict(shop: CommandLine) -> None:
    shop.write("checks/ok.toml", GOOD)
    for arguments in (["check"], ["check", "--json"], ["check", "--ndjson"], ["list"]):
        with Path("/dev/full").open("wb") as full:
            clear(shop.run(*arguments, stdout=full), 3, "stdout: No space left on device")


def _shell(shop: CommandLine, line: str) -> Ended:
    done = subprocess.run(
        ["/bin/sh", "-c", line.replace("PRODWATCH", f"{sys.executable} -m prodwatch")],
        cwd=shop.project,
        env=shop.environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        pytest.param("PRODWATCH check --json >&-", 2, id="stdout closed, before anything is sent"),
        pytest.param("PRODWATCH list >&-", 3, id="stdout closed, list"),
        pytest.param("PRODWATCH check 2>&-", 0, id="stderr closed"),
        pytest.param("PRODWATCH chekc 2>&-", 2, id="stderr closed, usage"),
        pytest.param("PRODWATCH check <&-", 0, id="stdin closed"),
        pytest.param("PRODWATCH <&-", 2, id="stdin closed, dashboard"),
        pytest.param("{ PRODWATCH check --json; echo $? >&2; } | true", 0, id="reader gone"),
    ],
)
def test_closed_streams(line: str, code: int, shop: CommandLine, server: Target) -> None:
    shop.write("checks/ok.toml", GOOD)
    clear(_shell(shop, line), code)
    assert bool(server.seen) is (code == 0)


CRASH = """
import sys
import prodwatch.settings, prodwatch.cli.main
def find_project(*_, **__):
    raise RuntimeError("the roof fell in")
prodwatch.settings.find_project = find_project
sys.exit(prodwatch.cli.main.run(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("environ", "log"),
    [
        pytest.param({}, "home/state/prodwatch/log/prodwatch.log", id="the user's log folder"),
        pytest.param({"XDG_STATE_HOME": "/proc/nowhere"}, "tmp/prodwatch.log", id="a temporary one"),
        pytest.param({"XDG_STATE_HOME": "/proc/nowhere", "LOGS": "no"}, None, id="no folder at all"),
    ],
)
def test_a_bug_is_70_and_names_its_log(
    environ: Mapping[str, str], log: str | None, shop: CommandLine, tmp_path: Path
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    code = CRASH
    if log is None:
        code = f"import tempfile\ntempfile.gettempdir = lambda: '/proc/nowhere'\n{CRASH}"
    done = subprocess.run(
        [sys.executable, "-c", code, "check"],
        cwd=shop.project,
        env={**shop.environ, "TMPDIR": str(temporary), **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    ended = Ended(done.returncode, done.stdout, done.stderr)
    clear(ended, 70, "a bug in prodwatch, no verdict was reached: RuntimeError: the roof fell in")
    if log is None:
        assert "--debug" in ended.err
    else:
        path = tmp_path / log
        assert str(path) in ended.err
        assert "Traceback" in path.read_text()


def test_debug_shows_the_traceback(shop: CommandLine) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CRASH, "check", "--debug"],
        cwd=shop.project,
        env=shop.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 70
    assert "Traceback" in done.stderr
    assert "the roof fell in" in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(shop: CommandLine) -> None:
    shop.write("checks/ok.toml", GOOD).chmod(0)
    clear(shop.run("check"), 2, "checks/ok.toml:1:1: cannot be read: Permission denied")
