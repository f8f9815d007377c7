"""Every format tells the same verdict; golden bytes pin each one."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from xml.etree import ElementTree as ET

import jsonschema
import msgspec
import pytest

from prodwatch.model.result import AssertionResult, Blocking, RunResult, SignalResult, Verdict
from prodwatch.model.status import Status
from prodwatch.report import console, ctrf, github, junit, nagios, tap
from prodwatch.report import json as json_report
from tests.support.verdict_facts import comparison, coverage, signature

Golden = Callable[[str, bytes], None]


def on_console(result: RunResult) -> bytes:
    stream = io.StringIO()
    console.write(result, stream, color=False, width=100)
    return stream.getvalue().encode()


def on_ndjson(result: RunResult) -> bytes:
    return b"".join(json_report.check_line(each) for each in result.checks) + json_report.result_line(result)


FORMATS: dict[str, Callable[[RunResult], bytes]] = {
    "result.json": json_report.encode,
    "result.ndjson": on_ndjson,
    "junit.xml": junit.render,
    "ctrf.json": ctrf.render,
    "result.tap": tap.render,
    "nagios.txt": nagios.render,
    "summary.md": github.summary,
    "console.txt": on_console,
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_red_run_is_written_byte_for_byte(name: str, red: RunResult, golden: Golden) -> None:
    golden(name, FORMATS[name](red))


@pytest.mark.parametrize("name", FORMATS)
def test_no_format_lets_an_escape_byte_through(name: str, red: RunResult) -> None:
    if not name.endswith("json"):  # JSON escapes control characters by itself
        assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", FORMATS[name](red).replace(b"\\u001b", b""))


def test_json_reads_back_as_the_same_result(red: RunResult) -> None:
    assert json_report.decode(json_report.encode(red)) == red


def test_the_document_keeps_its_published_schema(red: RunResult, green: RunResult) -> None:
    schema = json_report.result_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for result in (red, green):
        jsonschema.validate(json.loads(json_report.encode(result)), schema)


def test_ndjson_ends_with_the_verdict_and_only_then(red: RunResult) -> None:
    lines = [json.loads(line) for line in on_ndjson(red).splitlines()]
    assert [line["event"] for line in lines] == ["check"] * len(red.checks) + ["result"]
    assert lines[-1]["verdict"]["exit_code"] == 1
    assert "checks" not in lines[-1]


def is_green_junit(document: bytes) -> bool:
    root = ET.fromstring(document)
    counted = {kind: len(root.findall(f".//{kind}")) for kind in ("failure", "error")}
    assert counted == {"failure": int(root.get("failures", "-1")), "error": int(root.get("errors", "-1"))}
    return not any(counted.values())


def is_green_ctrf(document: bytes) -> bool:
    results = json.loads(document)["results"]
    summary = results["summary"]
    assert summary["tests"] == len(results["tests"])
    return not (summary["failed"] or summary["other"])


READERS: dict[str, Callable[[RunResult], bool]] = {
    "json": lambda result: json.loads(json_report.encode(result))["verdict"]["exit_code"] == 0,
    "junit": lambda result: is_green_junit(junit.render(result)),
    "ctrf": lambda result: is_green_ctrf(ctrf.render(result)),
    "tap": lambda result: b"\nnot ok" not in tap.render(result),
    "nagios": lambda result: nagios.exit_code(result) == 0,
    "annotations": lambda result: not any(line.startswith("::error") for line in github.workflow_commands(result)),
}
"""How a consumer of each format decides whether a run is green."""


@pytest.mark.parametrize("reader", READERS)
def test_green_is_green_everywhere(reader: str, green: RunResult) -> None:
    assert READERS[reader](green)


@pytest.mark.parametrize("reader", READERS)
def test_red_is_red_everywhere(reader: str, red: RunResult) -> None:
    assert not READERS[reader](red)


@pytest.mark.parametrize("reader", READERS)
def test_no_format_makes_a_silent_red_green(reader: str, silent_red: RunResult) -> None:
    assert not READERS[reader](silent_red)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("status", "exit_code"), [(Status.FAIL, 1), (Status.INCONCLUSIVE, 4)])
def test_a_red_signal_alone_is_red_everywhere(reader: str, status: Status, exit_code: int, green: RunResult) -> None:
    signal = SignalResult(kind="metric", id="latency", name="latency", status=status, message="too slow")
    verdict = Verdict(status=status.value, exit_code=exit_code, reason="latency: too slow")  # type: ignore[arg-type]
    assert not READERS[reader](msgspec.structs.replace(green, signals=(signal,), verdict=verdict))


def test_every_signal_is_in_every_report_that_lists_checks(red: RunResult) -> None:
    for name in ("result.json", "result.ndjson", "junit.xml", "ctrf.json", "result.tap", "summary.md", "console.txt"):
        text = FORMATS[name](red).decode()
        assert all(each.name.replace("*", "") in text for each in red.signals), name


def test_comparisons_and_signatures_are_worded_alike_for_people_and_programs(green: RunResult) -> None:
    worse, bound = comparison(Status.FAIL), signature(Status.FAIL)
    accepted = signature(Status.SKIPPED, id="b", accepted="until 2027-01-15: sandbox")
    run = msgspec.structs.replace(green, comparisons=(worse,), signatures=(signature(Status.INCONCLUSIVE), accepted))
    for name in ("result.json", "result.ndjson", "summary.md", "console.txt"):
        text = FORMATS[name](run).decode().replace("\\", "")
        assert worse.message in text, name
        assert bound.message in text, name
    for name in ("summary.md", "console.txt"):
        text = FORMATS[name](run).decode()
        assert "listed only" in text
        assert "accepted until 2027-01-15: sandbox" in text
        assert "a1b2c3d4 f bound to v42" in FORMATS[name](msgspec.structs.replace(run, signatures=(bound,))).decode()


def test_the_routes_that_were_judged_are_in_every_report_that_lists_checks(green: RunResult) -> None:
    found = coverage(served=8)
    run = msgspec.structs.replace(green, coverage=found)
    for name in ("result.json", "result.ndjson", "summary.md", "console.txt"):
        assert found.message in FORMATS[name](run).decode().replace("\\", ""), name
        assert "routes, 97" not in FORMATS[name](green).decode(), name


@pytest.mark.parametrize(
    ("status", "gate", "annotation"),
    [
        (Status.FAIL, True, "::error title=fail%3A f errors::"),
        (Status.FAIL, False, "::warning title=fail%3A f errors::"),
        (Status.DEGRADED, False, "::warning title=degraded%3A f errors::"),
        (Status.INCONCLUSIVE, True, None),
        (Status.PASS, True, None),
    ],
)
def test_a_comparison_is_annotated_when_the_new_version_is_worse(
    status: Status, gate: bool, annotation: str | None, green: RunResult
) -> None:
    run = msgspec.structs.replace(green, comparisons=(comparison(status, gate=gate),))
    commands = github.workflow_commands(run)
    assert [each for each in commands if "f errors" in each] == (
        [f"{annotation}{comparison(status).message.replace('%', '%25')}"] if annotation else []
    )


def test_an_advisory_failure_alone_is_not_red_in_any_test_report(red: RunResult) -> None:
    checks = tuple(each for each in red.checks if each.id == "orders/flow")
    verdict = Verdict(status="pass", exit_code=0, reason="only advisory checks failed")
    advisory = msgspec.structs.replace(red, checks=checks, signals=(), verdict=verdict)
    assert is_green_junit(junit.render(advisory))
    assert is_green_ctrf(ctrf.render(advisory))
    assert b"\nnot ok" not in tap.render(advisory)


def test_tap_plan_matches_its_points(red: RunResult, silent_red: RunResult) -> None:
    for result in (red, silent_red):
        text = tap.render(result).decode()
        plan = re.search(r"^1\.\.(\d+)$", text, re.MULTILINE)
        assert plan
        assert len(re.findall(r"^(?:not )?ok \d+ - ", text, re.MULTILINE)) == int(plan[1])


def test_a_huge_summary_is_cut_and_says_so(red: RunResult) -> None:
    many = msgspec.structs.replace(red, checks=red.checks * 2000)
    text = github.summary(many)
    assert len(text) < 1024 * 1024
    assert b"Truncated: GitHub" in text


def test_a_false_warning_is_told_from_a_failure_without_colour(red: RunResult) -> None:
    slow = AssertionResult(expression="latency < 300ms", ok=False, severity="warn", message="latency is 612 ms")
    wrong = AssertionResult(expression="status == 200", ok=False, message="status is 500")
    checks = (msgspec.structs.replace(red.checks[1], assertions=(wrong, slow)),)
    lines = on_console(msgspec.structs.replace(red, checks=checks)).decode().splitlines()
    assert "          status == 200" in lines
    assert "          latency < 300ms  (a warning)" in lines


@pytest.mark.parametrize(
    ("status", "gate", "junit_case", "tap_point", "ctrf_status"),
    [
        pytest.param(Status.FAIL, True, "failure", "not ok 2", "failed", id="worse"),
        pytest.param(Status.FAIL, False, "system-out", "ok 2", "passed", id="worse, shown only"),
        pytest.param(Status.PASS, True, "system-out", "ok 2", "passed", id="harm excluded"),
        pytest.param(Status.INCONCLUSIVE, True, "skipped", "ok 2", "skipped", id="open"),
    ],
)
def test_a_comparison_is_a_case_of_every_test_report(
    status: Status, gate: bool, junit_case: str, tap_point: str, ctrf_status: str, green: RunResult
) -> None:
    code = 1 if (status, gate) == (Status.FAIL, True) else 0
    verdict = msgspec.structs.replace(green.verdict, status="fail" if code else "pass", exit_code=code)
    compared = (comparison(status, gate=gate),)
    run = msgspec.structs.replace(green, checks=green.checks[:1], signals=(), comparisons=compared, verdict=verdict)
    cases = ET.fromstring(junit.render(run)).findall(".//testcase")
    assert [(case.get("name"), case[0].tag) for case in cases[1:]] == [("comparison f errors", junit_case)]
    points = [line for line in tap.render(run).decode().splitlines() if "comparison f errors" in line]
    assert len(points) == 1
    assert points[0].startswith(f"{tap_point} - comparison f errors: errors 5.1 % against 0.1 %")
    assert points[0].endswith("# SKIP") is (status is Status.INCONCLUSIVE)
    tests = json.loads(ctrf.render(run))["results"]["tests"]
    assert [(each["name"], each["status"]) for each in tests[1:]] == [("comparison f errors", ctrf_status)]


def test_a_signature_that_is_bound_to_the_new_version_is_a_case(green: RunResult) -> None:
    run = msgspec.structs.replace(green, signatures=(signature(Status.FAIL), signature(Status.INCONCLUSIVE, id="ffff")))
    document = junit.render(run).decode()
    assert "signature a1b2c3d4" in document
    assert "ffff" not in document


@pytest.mark.parametrize(("number", "listed", "left"), [(1, 1, None), (5, 5, None), (8, 5, "3 more")])
def test_the_console_lists_the_first_items_that_block_a_green_verdict_and_are_stated_nowhere_else(
    red: RunResult, number: int, listed: int, left: str | None
) -> None:
    sources = tuple(
        Blocking(kind="source", id=f"logs:/aws/lambda/{each}", status=Status.INCONCLUSIVE, message="cannot be read")
        for each in range(number)
    )
    stated = Blocking(kind="run", id="release", status=Status.INCONCLUSIVE, message="v42 never served")
    a_check = Blocking(kind="check", id=red.checks[1].id, status=Status.FAIL, message="json.currency is missing")
    verdict = Verdict(
        status="inconclusive", exit_code=4, reason="v42 never served", blocking=(stated, a_check, *sources)
    )
    lines = on_console(msgspec.structs.replace(red, verdict=verdict)).decode().splitlines()
    found = [line for line in lines if line.startswith("blocks ")]
    assert found[:listed] == [f"blocks  {each.sentence}" for each in sources[:listed]]
    assert len(found) == listed + (left is not None)
    if left is not None:
        assert left in found[-1]
    assert lines.index(found[-1]) < next(at for at, line in enumerate(lines) if line.startswith("INCONCLUSIVE"))
