"""Every report format can be read back whatever the names, files and messages of a run contain."""

from __future__ import annotations

import io
import json
import os
import re
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from prodwatch.model.check import SourcePosition
from prodwatch.model.result import (
    AssertionResult,
    CheckResult,
    EnvironmentInfo,
    Notice,
    ReleaseInfo,
    RunInfo,
    RunResult,
    SignalResult,
    StepResult,
    Summary,
    Tool,
    Verdict,
)
from prodwatch.model.status import Status
from prodwatch.report import console, ctrf, github, junit, nagios, tap
from prodwatch.report import json as json_report
from prodwatch.text.sanitize import sanitize
from tests.support.case_project import CaseProject
from tests.support.examples import examples

AT = datetime(2026, 1, 1, tzinfo=UTC)
SPECIAL = "\x00\x01\x1b\x7f\x85\u202e\ufeff\ufffe\r\n\t |#\\\"'`<>&]%:,=~-{}[]é"
ODD = st.one_of(
    st.text(min_size=1, max_size=20),
    st.text(st.sampled_from(SPECIAL), min_size=1, max_size=12),
    st.sampled_from(["  status == 200", "\tx", "--- |", "...", "# SKIP", "1..1", "::error::x", "]]>", "```", "y: |2"]),
)
UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\ufeff\ufffe\uffff]")


def run_of(text: str, other: str, statuses: list[Status], *, verdict: Any = "fail", exit_code: int = 1) -> RunResult:
    """Return a run of which every free text is one of the two."""
    judged = AssertionResult(expression=text, ok=False, expected=other, actual=text, message=other, facts=(text,))
    step = StepResult(
        name=text, type="http", status=Status.FAIL, message=other, assertions=(judged,), leftovers=(text,)
    )
    checks = tuple(
        CheckResult(
            id=f"{text}/{other}",
            name=text,
            title=other,
            kind="smoke",
            type="http",
            status=status,
            message=text,
            assertions=(judged,),
            steps=(step,),
            cleanup=(step,),
            source=SourcePosition(text, 3, 1),
        )
        for status in statuses
    )
    signal = SignalResult(kind="alarm", id=text, name=text, status=Status.FAIL, message=other, value=text, unit=other)
    return RunResult(
        tool=Tool(name="prodwatch", version="1"),
        run=RunInfo(id="r", mode="check", started_at=AT, ended_at=AT, duration_ms=1, host=text, digest=""),
        environment=EnvironmentInfo(name=text, title=other, account=None, region=None),
        release=ReleaseInfo(version=text, previous=other),
        verdict=Verdict(status=verdict, exit_code=exit_code, reason=text),
        summary=Summary(fail=len(checks), total=len(checks)),
        checks=checks,
        signals=(signal,),
        notices=(Notice(code="odd", message=text),),
    )


def tap_points(document: str) -> list[dict[str, Any]]:
    """Return the YAML block of every test point, {} without one; fails where a line is not TAP."""
    lines = iter(document.removesuffix("\n").split("\n"))
    assert next(lines) == "TAP version 14"
    plan = next(lines)
    points: list[dict[str, Any]] = []
    for line in lines:
        if line == "  ---":
            block = []
            for inner in lines:
                if inner == "  ...":
                    break
                block.append(inner)
            points[-1] = yaml.safe_load("\n".join(block))
        elif re.match(r"(not )?ok \d+ - ", line):
            points.append({})
        else:
            assert line.startswith(("# ", "Bail out! ")), line
    assert plan == f"1..{len(points)}"
    return points


@settings(max_examples=examples(2))
@given(ODD, ODD, st.lists(st.sampled_from(list(Status)), min_size=1, max_size=3))
def test_K34_every_format_is_read_back_for_every_name(text: str, other: str, statuses: list[Status]) -> None:
    result = run_of(text, other, statuses)
    stream = io.StringIO()
    console.write(result, stream, color=False, width=120)
    documents = {
        "junit": junit.render(result).decode(),
        "tap": tap.render(result).decode(),
        "ctrf": ctrf.render(result).decode(),
        "json": json_report.encode(result).decode(),
        "ndjson": json_report.check_line(result.checks[0]).decode() + json_report.result_line(result).decode(),
        "nagios": nagios.render(result).decode(),
        "summary": github.summary(result).decode(),
        "commands": "\n".join(github.workflow_commands(result)),
        "console": stream.getvalue(),
    }
    for name, document in documents.items():
        assert not UNPRINTABLE.search(document), name
    root = ET.fromstring(documents["junit"])
    cases = root.findall(".//testcase")
    assert len(cases) == len(statuses) + 1
    # XML has a form for a carriage return; other control characters are made visible.
    assert str(cases[0].get("file")).replace("\r", "␍") == sanitize(text)
    assert str(cases[0].get("name")).replace("\r", "␍") == sanitize(other)
    points = tap_points(documents["tap"])
    assert len(points) == len(statuses) + 1
    assert all(point["status"] for point in points if point)
    assert json_report.decode(documents["json"].encode()) == result
    assert json.loads(documents["ctrf"])["results"]["summary"]["tests"] == len(statuses) + 1
    assert [json.loads(line)["event"] for line in documents["ndjson"].splitlines()] == ["check", "result"]
    assert documents["nagios"].count("\n") == 1
    assert documents["nagios"].count("|") == 1
    for command in github.workflow_commands(result):
        assert re.fullmatch(r"::(error|warning) [^\n\r]*::[^\n\r]*", command)


RED_CHECK = '[[check]]\nname = "a"\ntype = "fail"\nreason = "x"\n'


@pytest.mark.parametrize(
    "file",
    [b"a\x01b.toml", b"a\nb.toml", "a\u202eb.toml".encode(), b"\xff\xfe.toml"],
    ids=["control", "newline", "right to left", "not UTF-8"],
)
def test_K34_a_check_file_of_any_name_is_reported_in_every_format(file: bytes, project: CaseProject) -> None:
    folder = project.project / "checks"
    folder.mkdir(exist_ok=True)
    (folder / os.fsdecode(file)).write_text(RED_CHECK)
    ended = project.run("check", "--tap", "--junit", "j.xml", "--json", "r.json", environ={"GITHUB_ACTIONS": "true"})
    assert ended.code == 1, ended.said
    assert not UNPRINTABLE.search(re.sub("\x1b\\[[0-9;]*m", "", ended.said))
    assert len(ET.fromstring((project.project / "j.xml").read_text()).findall(".//testcase")) == 1
    assert len(json.loads((project.project / "r.json").read_text())["checks"]) == 1
