"""A run of checks is recorded with its checks, signals and verdict, and its size is reported once a minute."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from prodwatch.model.event import CheckFinished, CheckStarted, RunEvent
from prodwatch.model.evidence import CheckReported, Concluded, Delivered, Evidence, Judged, Opened
from prodwatch.model.result import SignalResult
from prodwatch.model.status import Status
from prodwatch.runner.run_result_document import summarize
from prodwatch.session.recorded_run import RecordedRun
from prodwatch.session.recorder import open_recorder
from prodwatch.store.recording.reader import SessionFile
from prodwatch.store.recording.redaction import Redaction
from prodwatch.testing.definitions import environment, plain
from prodwatch.text.redact import Redactor
from tests.support.gate_world import GateWorld, result_of
from tests.support.recorded import ManualClock

CHECK = plain("a")


async def test_a_run_is_recorded_from_its_first_event_to_its_document(tmp_path: Path) -> None:
    document = await GateWorld(checks={"a": lambda _round: Status.PASS}).run(bake_s=120)
    clock, said, seen = ManualClock(), list[str](), list[RunEvent]()
    recorder = open_recorder(tmp_path / "f.pw", Redaction(Redactor()), clock, mode="check", environment=environment())
    run = RecordedRun(recorder, clock, environment(), (CHECK,), seen.append, say=said.append)
    events: list[RunEvent] = [
        CheckStarted(id="a", at=clock.now()),
        CheckFinished(result=result_of(CHECK, Status.PASS, clock.now())),
    ]
    for event in events:
        run(event)
        clock.skip(61)
    run(CheckStarted(id="a", at=clock.now()))
    signal = SignalResult(kind="metric", id="m", name="m", status=Status.PASS, gate=True)
    checks = (result_of(CHECK, Status.PASS, clock.now()),)
    document = replace(document, checks=checks, signals=(signal,), summary=summarize(checks))
    written = run.conclude(document)
    assert seen[:2] == events
    assert len(said) == 2
    assert "recording" in said[0]
    with SessionFile(tmp_path / "f.pw") as file:
        values: list[Evidence] = [each.event for each in file.entries()]
        assert written.recording.digest == file.digest  # type: ignore[union-attr]
    kinds = [type(each) for each in values]
    assert kinds.index(Opened) < kinds.index(Delivered)
    assert [each.event for each in values if isinstance(each, CheckReported)][:2] == events
    assert [each.verdict for each in values if isinstance(each, Judged)] == [document.verdict]
    assert [each.result for each in values if isinstance(each, Concluded)] == [document]
