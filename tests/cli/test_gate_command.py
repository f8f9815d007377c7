"""`prodwatch gate` from outside: outputs, exit codes, signals, and writes that fail."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.support.command_line import PATIENCE_S, CommandLine, Ended, Target, finished

ROUNDS = '[rounds]\nevery = "1s"\n'
GREEN = '[[check]]\nname = "green"\ntype = "pass"\ntags = ["good"]\n'
RED = '[[check]]\nname = "red"\ntype = "fail"\nreason = "broken"\ncritical = true\n'
TRAVELS = """
[[check]]
name = "travels"
type = "flow"
mutates = true

[[check.step]]
name = "put"
type = "http"
method = "PUT"
url = "${vars.api}/orders/1"

[[check.step]]
name = "wait for it"
type = "http"
url = "${vars.api}/slow"
timeout = "50s"

[[check.cleanup]]
type = "http"
method = "DELETE"
url = "${vars.api}/orders/1"
timeout = "50s"
"""


@pytest.fixture
def project(shop: CommandLine) -> CommandLine:
    """The shop's project, with a round every second."""
    config = shop.project / "config/shop.toml"
    shop.write("config/shop.toml", config.read_text() + ROUNDS)
    return shop


def gate(project: CommandLine, *options: str, checks: str = GREEN) -> Ended:
    project.write("checks/c.toml", checks)
    return project.run("gate", "--for", "1s", *options)


def test_a_green_gate_passes_at_the_end_and_has_a_line_per_phase(project: CommandLine) -> None:
    ended = gate(project, "--json")
    assert ended.code == 0
    result = json.loads(ended.out)
    assert (result["run"]["mode"], result["verdict"]["status"]) == ("gate", "pass")
    assert result["rounds"][0]["measured"] >= 2
    phases = [line.split()[1].rstrip(",") for line in ended.err.splitlines() if line.startswith("gate:")]
    assert phases == ["resolve", "bake", "decide"]


def test_every_format_of_check_works(project: CommandLine) -> None:
    summary = project.project / "summary.md"
    options = ("--json=r.json", "--junit", "r.xml", "--ctrf", "r.ctrf", "--github-summary", "--tap")
    project.environ["GITHUB_STEP_SUMMARY"] = str(summary)
    ended = gate(project, *options, checks=RED)
    assert ended.code == 1
    assert "not ok 1 - c/red red" in ended.out
    assert json.loads((project.project / "r.json").read_bytes())["verdict"]["status"] == "fail"
    assert ET.parse(project.project / "r.xml").getroot().get("failures") == "1"
    assert json.loads((project.project / "r.ctrf").read_bytes())["results"]["summary"]["failed"] == 1
    assert "red" in summary.read_text()
    assert gate(project, "--nagios", checks=RED).code == 2


def test_the_stream_has_phases_rounds_verdicts_and_the_result_last(project: CommandLine) -> None:
    ended = gate(project, "--ndjson")
    events = [json.loads(line) for line in ended.out.splitlines()]
    assert [each["phase"] for each in events if each["event"] == "phase"] == ["resolve", "bake", "decide"]
    assert {each["check"]["id"] for each in events if each["event"] == "check"} == {"c/green"}
    assert [each["verdict"]["status"] for each in events if each["event"] == "verdict"] == ["inconclusive", "pass"]
    assert events[-1]["event"] == "result"


@pytest.mark.parametrize(
    ("options", "checks", "code", "status"),
    [
        pytest.param((), RED, 1, "fail", id="red"),
        pytest.param(("--report-only",), RED, 0, "fail", id="report only"),
        pytest.param(("-k", "green"), RED + GREEN, 0, "pass", id="selected by name"),
        pytest.param(("-t", "good"), RED + GREEN, 0, "pass", id="selected by tag"),
        pytest.param(("--on-inconclusive", "pass"), RED, 1, "fail", id="a failure is not inconclusive"),
        pytest.param(("--skip-verification", "AWS incident"), RED, 0, "inconclusive", id="skipped"),
    ],
)
def test_the_exit_code(options: tuple[str, ...], checks: str, code: int, status: str, project: CommandLine) -> None:
    ended = gate(project, "--json", *options, checks=checks)
    assert (ended.code, json.loads(ended.out)["verdict"]["status"]) == (code, status), ended.err


@pytest.mark.parametrize("choice", ["pass", "fail"])
def test_the_exit_code_of_an_inconclusive_verdict_can_be_chosen(choice: str, project: CommandLine) -> None:
    skipped = '[[check]]\nname = "later"\ntype = "skip"\nreason = "in spring"\n'
    ended = gate(project, "--json", "--on-inconclusive", choice, checks=skipped)
    verdict = json.loads(ended.out)["verdict"]
    assert (ended.code, verdict["status"], verdict["exit_code"]) == ({"pass": 0, "fail": 1}[choice], "inconclusive", 4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--release", "other=42"), '"other" is not a [[function]] of shop'),
        (("--release", "42"), "--release needs NAME=VERSION"),
        (("--skip-verification", " "), "--skip-verification needs a reason"),
        (("--for", "soon"), "--for"),
    ],
)
def test_a_mistake_ends_it_before_anything_is_measured(
    options: tuple[str, ...], words: str, project: CommandLine
) -> None:
    ended = gate(project, *options)
    assert ended.code == 2
    assert words in ended.err


def test_a_selection_without_a_check_measures_nothing(project: CommandLine) -> None:
    ended = gate(project, "-k", "nothing")
    assert ended.code == 5
    assert "-k nothing matches no check" in ended.err


@contextmanager
def waiting(project: CommandLine, server: Target) -> Iterator[subprocess.Popen[bytes]]:
    """A gate whose flow has written something and hangs in its second step."""
    project.write("checks/c.toml", GREEN + TRAVELS)
    with project.start("gate", "--for", "5m", "--json") as process:
        try:
            assert server.arrived.acquire(timeout=PATIENCE_S), "the slow step was never asked"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGINT, 130, id="Ctrl-C"),
        pytest.param(signal.SIGTERM, 143, id="terminated"),
        pytest.param(signal.SIGHUP, 143, id="the terminal went away"),
    ],
)
def test_a_signal_cleans_up_and_leaves_a_valid_result(
    number: signal.Signals, code: int, project: CommandLine, server: Target
) -> None:
    with waiting(project, server) as process:
        process.send_signal(number)
        ended = finished(process)
    assert ended.code == code
    verdict = json.loads(ended.out)["verdict"]
    assert (verdict["status"], verdict["exit_code"]) == ("aborted", code)
    assert server.seen == ["PUT /orders/1", "GET /slow", "DELETE /orders/1"]


def test_a_full_disk_is_named_and_never_a_pass(project: CommandLine) -> None:
    project.write("checks/c.toml", GREEN)
    with Path("/dev/full").open("wb") as full:
        ended = project.run("gate", "--for", "1s", "--ndjson", stdout=full)
    assert ended.code == 3
    assert "No space left on device" in ended.err


def test_a_reader_that_has_gone_changes_nothing(project: CommandLine) -> None:
    project.write("checks/c.toml", RED)
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        assert project.run("gate", "--for", "1s", "--ndjson", stdout=pipe).code == 1


PAST = ("--from", "2h", "--to", "1h")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--from", "2h"), "--from and --to go together"),
        (("--to", "2h"), "--from and --to go together"),
        ((*PAST, "--for", "1m"), "leave out --plan, --record, --replay"),
        ((*PAST, "-k", "a"), "leave out --plan, --record, --replay"),
        ((*PAST, "--record", "f.pw"), "leave out --plan, --record, --replay"),
        (("--from", "1h", "--to", "2h"), "is not before --to"),
        (("--from", "16d", "--to", "383h"), "is more than 15 days ago"),
    ],
)
def test_a_window_has_two_ends_and_no_checks(project: CommandLine, options: tuple[str, ...], words: str) -> None:
    ended = project.run("gate", *options)
    assert ended.code == 2
    assert words in ended.err


def test_a_window_of_which_nothing_can_be_judged_is_inconclusive(project: CommandLine) -> None:
    config = project.project / "config/shop.toml"
    project.write("config/shop.toml", f'{config.read_text()}\n[aws]\nregion = "eu-west-1"\n')
    project.environ |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}
    ended = project.run("gate", *PAST, "--json")
    assert ended.code == 4, ended.err
    result = json.loads(ended.out)
    assert (result["verdict"]["status"], result["run"]["duration_ms"]) == ("inconclusive", 3_600_000)
    assert "no_checks" in {each["code"] for each in result["notices"]}
    assert project.run("gate", *PAST, "--report-only").code == 0


def test_a_placebo_needs_a_function_and_a_past_that_cloudwatch_keeps(project: CommandLine) -> None:
    config = project.project / "config/shop.toml"
    project.write("config/shop.toml", f'{config.read_text()}\n[aws]\nregion = "eu-west-1"\n')
    project.environ |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}
    ended = project.run("placebo")
    assert (ended.code, ended.out) == (2, "")
    assert "has no [[function]], whose traffic a placebo needs" in ended.err
    assert project.run("placebo", "--days", "15").code == 2
    assert project.run("placebo", "--set", "compare.errors.rate=3").code == 2
