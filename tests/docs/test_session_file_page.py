"""The page about session files describes them well enough to write one: its own writer does, and its schema holds."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from prodwatch.session.gate_replay import ReplayOptions, replay_gate
from prodwatch.session.rejudge import judge_again
from prodwatch.store.recording.events import KIND_OF, SCHEMA, line_schema
from prodwatch.store.recording.frames import KINDS
from prodwatch.store.recording.reader import SessionFile
from tests.support.recorded import RecordedScene

PAGE = (Path(__file__).parents[2] / "docs/reference/session-file.md").read_text(encoding="utf-8")


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the writer on the page writes."""
    program = re.search(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert program is not None
    imported = re.findall(r"^(?:import|from) (\w+)", program[1], re.MULTILINE)
    assert "prodwatch" not in imported
    monkeypatch.chdir(tmp_path)
    exec(compile(program[1], "session-file.md", "exec"), {})
    return tmp_path / "written.pw"


async def test_the_file_of_the_writer_on_the_page_is_whole_and_judged(written: Path) -> None:
    with SessionFile(written) as file:
        assert file.check_chain()[1] is None
        assert file.is_ended
        assert (file.header.mode, file.header.schema) == ("record", SCHEMA)
        gate = replay_gate(file, ReplayOptions(bake_s=300))
        await gate.run()
        result = gate.result("")
    assert result.verdict.status == "pass", result.verdict
    assert [(each.check, each.measured) for each in result.rounds] == [("shop/answers", 10)]


async def test_a_longer_bake_than_the_writer_recorded_is_inconclusive(written: Path) -> None:
    with SessionFile(written) as file:
        gate = replay_gate(file, ReplayOptions(bake_s=3600))
        await gate.run()
    assert gate.result("").verdict.status == "inconclusive"


def test_a_file_without_looks_has_no_verdict_of_its_own(written: Path) -> None:
    with SessionFile(written) as file:
        assert judge_again(file).judged is None


def lines_of(path: Path) -> list[Any]:
    with SessionFile(path) as file:
        contents = [file.content(each) for each in file.frames if each.kind == "E"]
    return [json.loads(line) for content in contents for line in content.splitlines()]


def test_every_line_holds_to_the_schema(written: Path, tmp_path: Path) -> None:
    recorded = RecordedScene(tmp_path / "f.pw")
    recorded.scene()
    recorded.lines(5)
    recorded.store.mark("a note")
    recorded.close()
    validator = Draft202012Validator(line_schema())
    lines = [*lines_of(written), *lines_of(tmp_path / "f.pw")]
    assert len(lines) > 50
    for line in lines:
        assert validator.is_valid(line), next(validator.iter_errors(line)).message


def test_the_page_names_every_kind_of_frame_event_and_record() -> None:
    schema = line_schema()
    events = {
        definition["properties"]["type"]["enum"][0]
        for name, definition in schema["$defs"].items()
        if "type" in definition.get("properties", {}) and "enum" in definition["properties"]["type"]
    }
    assert {"opened", "delivered", "gate_looked", "CheckFinished"} <= events
    kinds = {kind.__struct_config__.tag for kind in KIND_OF.values()}
    for name in (*KINDS, *events - {"MetricTarget", "AlarmTarget", "InsightsTarget"}, *kinds):
        assert f"`{name}`" in PAGE, name
