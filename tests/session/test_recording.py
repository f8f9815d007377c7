"""A session file holds everything that a store received, survives every end of its writer, and is movable both ways."""

from __future__ import annotations

import base64
import errno
import gzip
import html
import json
import os
import stat
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from msgspec.structs import replace

from prodwatch.judge.facts import Facts
from prodwatch.model.evidence import Delivered, Opened
from prodwatch.model.result import Notice
from prodwatch.model.signal import AlarmState, Batch, Level, LogRecord, Record, SourceStatus, Span, Trace
from prodwatch.session.recorder import open_recorder
from prodwatch.session.replay import Player, ReplayClock
from prodwatch.store.recording.events import KIND_OF
from prodwatch.store.recording.frames import FIRST_DIGEST, DamagedFrameError, pack
from prodwatch.store.recording.reader import NotASessionFileError, SessionFile
from prodwatch.store.recording.redaction import Redaction
from prodwatch.store.recording.writer import FileInTheWayError, SessionWriter
from prodwatch.store.state import StoreState
from prodwatch.store.store import Store
from prodwatch.testing.clock import START, FakeClock
from prodwatch.testing.definitions import environment
from prodwatch.text.redact import Redactor
from prodwatch.views.verdict_facts import session_facts
from tests.support.gate_world import MOVING
from tests.support.recorded import RecordedScene

LINES = 400
"""Log lines between two snapshots of a test."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "f.pw"


def player_of(file: SessionFile) -> tuple[Player, Store, ReplayClock]:
    clock = ReplayClock(file.header.started_at)
    store = Store(clock)
    return Player(file, clock, store), store, clock


def picture(store: Store, clock: ReplayClock) -> tuple[StoreState, list[str], Facts]:
    """Return the state of a store, for comparison."""
    lines = [each.message for each in store.logs.ring]
    return store.state(), lines, session_facts(store, clock.now(), every_s=30)


def test_a_recording_plays_back_what_the_store_received(path: Path) -> None:
    recorded = RecordedScene(path)
    recorded.scene()
    recorded.lines(50)
    recorded.store.mark("rolled back by hand")
    info = recorded.close()
    with SessionFile(path) as file:
        assert file.is_ended
        assert (file.digest, file.size) == (info.digest, info.bytes)
        player, store, clock = player_of(file)
        player.play(file.duration_us)
        assert list(store.logs.ring) == list(recorded.store.logs.ring)
        assert store.release.events.window(0, 10_000) == recorded.store.release.events.window(0, 10_000)
        assert store.metrics.series == recorded.store.metrics.series
        assert store.sources == recorded.store.sources
        at = recorded.clock.now()
        assert clock.now() == at
        mine, theirs = session_facts(store, at, every_s=30), session_facts(recorded.store, at, every_s=30)
        assert mine == theirs


def test_a_replay_is_the_same_at_a_position_whichever_way_it_was_reached(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prodwatch.session.recorder.SNAPSHOT_LINES", LINES)
    recorded = RecordedScene(path)
    recorded.scene()
    for _ in range(6):
        recorded.lines(LINES // 2, seconds=10)
    recorded.close()
    with SessionFile(path) as file:
        assert sum(each.kind == "S" for each in file.frames) >= 2
        forwards, there, clock = player_of(file)
        positions = [10_000_000, 35_000_000, 60_000_000]
        pictures = {}
        for each in positions:
            forwards.play(each)
            pictures[each] = picture(there, clock)
        moved, store, moved_clock = player_of(file)
        for each in (60_000_000, 10_000_000, 35_000_000):
            moved.seek(each)
            state, lines, facts = picture(store, moved_clock)
            state_then, lines_then, facts_then = pictures[each]
            assert state == state_then
            assert lines == lines_then[-len(lines) :]
            assert facts == facts_then
            assert moved.position_us == each


def test_snapshots_of_another_version_are_not_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prodwatch.session.recorder.SNAPSHOT_LINES", LINES)
    recorded = RecordedScene(path)
    for _ in range(4):
        recorded.lines(LINES // 2)
    recorded.close()
    with SessionFile(path) as file:
        assert file.snapshot_at(file.duration_us) is not None
        monkeypatch.setattr("prodwatch.store.recording.reader.TOOL", "prodwatch 99")
        assert file.snapshot_at(file.duration_us) is None
        player, store, _ = player_of(file)
        player.seek(file.duration_us)
        player.seek(2_500_000)
        assert store.logs.ring.tail - store.logs.ring.head == LINES


def test_numbers_of_log_lines_are_never_used_twice_when_a_replay_is_moved(path: Path) -> None:
    recorded = RecordedScene(path)
    recorded.scene()
    recorded.lines(30)
    recorded.close()
    with SessionFile(path) as file:
        player, store, _ = player_of(file)
        player.seek(file.duration_us)
        tail = store.logs.ring.tail
        player.seek(0)
        assert store.logs.ring.head >= tail


def test_any_gzip_program_reads_a_recording(path: Path) -> None:
    recorded = RecordedScene(path)
    recorded.lines(3)
    recorded.close()
    lines = gzip.decompress(path.read_bytes()).splitlines()
    assert b'"schema":"prodwatch.session/1"' in lines[0]
    assert sum(b'"type":"delivered"' in line for line in lines) == 1


def test_a_recording_is_readable_by_its_owner_only(path: Path) -> None:
    RecordedScene(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_killed_writer_leaves_everything_up_to_its_last_flush(path: Path) -> None:
    recorded = RecordedScene(path)
    for _ in range(5):
        recorded.lines(20)
    with SessionFile(path) as file:
        assert file.damage is None
        assert not file.is_ended
        assert sum(isinstance(each.event, Delivered) for each in file.entries()) == 5
    recorded.close()


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_a_cut_file_opens_to_its_last_whole_record(path: Path, share: float) -> None:
    recorded = RecordedScene(path)
    for _ in range(20):
        recorded.lines(20)
    recorded.close()
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with SessionFile(path) as file:
        assert not file.is_ended
        assert file.damage is not None
        assert "is cut" in str(file.damage)
        assert 0 < sum(isinstance(each.event, Delivered) for each in file.entries()) <= 20
        last, damage = file.check_chain()
        assert (last, damage) == (file.frames[-1], file.damage)


def test_every_changed_byte_is_found(path: Path) -> None:
    recorded = RecordedScene(path)
    recorded.lines(3)
    recorded.lines(3)
    recorded.close()
    whole = path.read_bytes()
    with SessionFile(path) as file:
        starts = [each.offset for each in file.frames]
    # Fields of gzip that carry nothing here are fixed, so that even they cannot be changed.
    for at in range(starts[1], len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        with SessionFile(path) as file:
            last, damage = file.check_chain()
        assert damage is not None, at
        assert last.offset < at


def test_frames_in_another_order_are_found(path: Path) -> None:
    recorded = RecordedScene(path)
    recorded.lines(3, seconds=0)
    recorded.lines(3, seconds=0)
    recorded.close()
    whole = path.read_bytes()
    with SessionFile(path) as file:
        parts = [whole[each.offset : each.offset + each.length] for each in file.frames]
    path.write_bytes(b"".join([parts[0], parts[2], parts[1], *parts[3:]]))
    with SessionFile(path) as file:
        assert file.check_chain()[1] is not None


def test_a_full_disk_ends_the_recording_with_a_notice_and_the_session_goes_on(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = RecordedScene(path)
    recorded.lines(20)
    real = os.write

    def full(file: int, data: memoryview) -> int:
        # The disk takes a part of the frame.
        if len(data) > 10:
            return real(file, data[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("prodwatch.store.recording.writer.os.write", full)
    recorded.lines(20)
    monkeypatch.undo()
    recorded.lines(20)
    assert len(recorded.store.logs.ring) == 60
    assert [each.code for each in recorded.store.notices] == ["recording"]
    assert "No space left on device" in recorded.store.notices[0].message
    info = recorded.close()
    assert info.ended == "No space left on device"
    with SessionFile(path) as file:
        assert file.damage is None
        assert (file.digest, file.size) == (info.digest, info.bytes)
        assert sum(isinstance(each.event, Delivered) for each in file.entries()) == 1


def test_a_disk_that_is_too_slow_ends_the_recording(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prodwatch.session.recorder.MOST_WAITING", 5)
    recorded = RecordedScene(path)
    recorded.lines(20)
    recorded.lines(1)
    assert "the disk is too slow" in recorded.store.notices[0].message
    recorded.close()


def test_nothing_is_written_before_the_secrets_are_known(path: Path) -> None:
    redactor, clock = Redactor(), FakeClock()
    recorder = open_recorder(path, Redaction(redactor), clock, mode="record", environment=environment())
    store = Store(clock)
    recorder.subscribe(store)
    store.notice(Notice(code="logs", message="the key is hunter22"))
    recorder.flush()
    assert path.stat().st_size == 0
    redactor.add("hunter22")
    store.note(Opened(environment=environment()))
    recorder.flush()
    recorder.close()
    content = gzip.decompress(path.read_bytes()).decode()
    assert "the key is •••" in content
    assert "hunter22" not in content


def test_an_earlier_session_file_is_replaced_and_no_other_file(path: Path, tmp_path: Path) -> None:
    RecordedScene(path).close()
    RecordedScene(path).close()
    other = tmp_path / "prod.toml"
    other.write_text('title = "Prod"\n')
    with pytest.raises(FileInTheWayError, match="is not a session file"):
        SessionWriter(other, Redaction(Redactor()))
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(FileInTheWayError):
        SessionWriter(link, Redaction(Redactor()))


def test_a_file_that_another_session_still_writes_is_not_replaced(path: Path) -> None:
    recorded = RecordedScene(path)
    recorded.lines(3)
    with pytest.raises(FileInTheWayError, match="is recording to"):
        SessionWriter(path, Redaction(Redactor()))
    info = recorded.close()
    with SessionFile(path) as file:
        assert (file.is_ended, file.digest) == (True, info.digest)
    RecordedScene(path).close()


def test_a_file_that_is_not_a_recording_is_refused(path: Path) -> None:
    path.write_text("hello")
    with pytest.raises(NotASessionFileError, match="is not a session file"):
        SessionFile(path)
    path.write_bytes(gzip.compress(b"{}"))
    with pytest.raises(NotASessionFileError):
        SessionFile(path)


def test_a_damaged_frame_ends_reading_with_its_number(path: Path) -> None:
    recorded = RecordedScene(path)
    recorded.lines(3)
    recorded.lines(3)
    recorded.close()
    with SessionFile(path) as file:
        frame = file.frames[2]
    data = bytearray(path.read_bytes())
    data[frame.offset + frame.length // 2] ^= 1
    path.write_bytes(data)
    with SessionFile(path) as file, pytest.raises(DamagedFrameError, match="frame 2"):
        list(file.entries())


AT = '"at":"2026-01-01T00:00:00Z"'
MARK = '"event":{"type":"stalled"}'


@pytest.mark.parametrize(
    "line",
    [
        pytest.param('{"nope":1}', id="not an event"),
        pytest.param("hello", id="not JSON"),
        pytest.param("[" * 10_000, id="nested without end"),
        pytest.param(f'{{"at":"2026-01-01T00:00:00","elapsed_us":0,{MARK}}}', id="time without a zone"),
        pytest.param(f'{{{AT},"elapsed_us":-1,{MARK}}}', id="before the start"),
        pytest.param(f'{{{AT},"elapsed_us":9999999999,{MARK}}}', id="later than its frame"),
    ],
)
def test_a_line_that_no_recorder_wrote_is_damage(line: str, path: Path) -> None:
    RecordedScene(path).close()
    with SessionFile(path) as file:
        first = file.content(file.frames[0])
    header, digest = pack(FIRST_DIGEST, "H", 0, first)
    frame, digest = pack(digest, "E", 5, f"{line}\n".encode())
    path.write_bytes(header + frame + pack(digest, "Z", 5, b"{}")[0])
    with SessionFile(path) as file:
        assert file.is_ended
        damage = file.distrust_damage(decode=True)
        assert "frame 1" in str(damage)
        assert list(file.entries()) == []


def test_a_frame_that_would_exhaust_memory_is_damage(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = RecordedScene(path)
    recorded.lines(300)
    recorded.close()
    monkeypatch.setattr("prodwatch.store.recording.frames.MAX_CONTENT_BYTES", 1000)
    with SessionFile(path) as file, pytest.raises(DamagedFrameError):
        list(file.entries())


def test_a_recorded_triage_keeps_its_window(path: Path) -> None:
    recorded = RecordedScene(path)
    begin, end = START - timedelta(hours=1), START
    recorded.store.note(Opened(environment=environment(vars={"a": "b"}), window_start=begin, window_end=end))
    recorded.close()
    with SessionFile(path) as file:
        *_, opened = (each.event for each in file.entries() if isinstance(each.event, Opened))
    assert (opened.window_start, opened.window_end, opened.environment.vars) == (begin, end, {})


def test_the_header_names_the_session(path: Path) -> None:
    RecordedScene(path).close()
    with SessionFile(path) as file:
        assert (file.header.mode, file.header.environment, file.header.started_at) == ("dashboard", "test", START)


def test_every_field_of_a_batch_is_recorded(path: Path) -> None:
    """A field that the file leaves out would change the verdict of a replay."""
    status = SourceStatus(source="logs")
    batch = Batch(source="logs:*", records=(MOVING,), status=status, is_answered=True)
    assert all(getattr(batch, name) for name in Batch.__struct_fields__)
    recorded = RecordedScene(path)
    recorded.store.apply(batch)
    recorded.close()
    with SessionFile(path) as file:
        delivered = [each.event for each in file.entries() if isinstance(each.event, Delivered)]
    assert delivered == [Delivered(batch=batch)]


def test_every_kind_of_record_has_its_place_in_the_file() -> None:
    assert set(KIND_OF) == set(Record.__args__)


SECRET = "hunter22-Ü/+&"


def test_what_reaches_a_store_unmasked_is_masked_in_the_file_in_every_notation(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redaction on entry comes first; a secret that becomes known later is masked here."""
    monkeypatch.setattr("prodwatch.session.recorder.SNAPSHOT_LINES", 1)
    redactor = Redactor()
    recorded = RecordedScene(path, redactor=redactor)
    redactor.add(SECRET, "98765432")
    written = [
        SECRET,
        json.dumps(SECRET),
        json.dumps(json.dumps({"key": SECRET})),
        quote(SECRET),
        html.escape(SECRET),
        base64.b64encode(SECRET.encode()).decode(),
        SECRET.encode().hex(),
    ]
    fields = {"key": SECRET, SECRET: 1, "pin": 98765432, "nested": [{"pins": [98765432.0, "98765432"]}]}
    lines = tuple(
        LogRecord(1, text, "/aws/lambda/pay", level=Level.ERROR, fields=fields, version="7") for text in written
    )
    store = recorded.store
    store.apply(Batch(source="logs", records=lines, status=SourceStatus(source="logs", message=SECRET)))
    store.apply(Batch(source="alarms", records=(AlarmState(name=SECRET, state="ALARM", reason=SECRET),)))
    store.mark(f"note {SECRET}")
    store.notice(Notice(code="logs", message=SECRET))
    store.add_trace(Trace(id="1", spans=(Span(id="a", name=SECRET, start_s=1, http={"url": quote(SECRET)}),)))
    recorded.lines(2)
    recorded.lines(2)
    recorded.close()
    with SessionFile(path) as file:
        assert sum(each.kind == "S" for each in file.frames) >= 2
        assert len(list(file.entries())) > 5
        snapshot = file.snapshot_at(file.duration_us)
        assert snapshot is not None
        assert "•••" in file.state(snapshot).notices[0].message
    content = gzip.decompress(path.read_bytes()).decode()
    for text in (*written, "98765432"):
        assert text not in content
        assert text.strip('"') not in content


def test_a_secret_that_is_the_name_of_a_field_costs_no_structure(path: Path) -> None:
    redactor = Redactor(["message", "records", "report", "1790000000"])
    recorded = RecordedScene(path, redactor=redactor)
    line = LogRecord(1_790_000_000_123, "the message", "/aws/lambda/pay", kind="report")
    recorded.store.apply(Batch(source="logs", records=(line,)))
    recorded.close()
    with SessionFile(path) as file:
        batches = [each.event.batch for each in file.entries() if isinstance(each.event, Delivered)]
    assert batches[0].records == (replace(line, message="the •••"),)


def test_a_pattern_that_is_too_slow_masks_its_text_and_ends_the_recording_at_last(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prodwatch.store.recording.redaction.MOST_TIMEOUTS", 3)
    recorded = RecordedScene(path, patterns=[r"(a|aa)+$"])
    slow = "a" * 60 + "b"
    recorded.store.notice(Notice(code="logs", message=slow))
    recorded.recorder.flush()
    assert recorded.recorder.info().ended is None
    for number in range(4):
        recorded.store.notice(Notice(code="logs", message=f"{slow}{number}!"))
    recorded.recorder.flush()
    assert "without nested repetition" in str(recorded.close().ended)
    content = gzip.decompress(path.read_bytes()).decode()
    assert slow not in content
    assert "•••" in content


def test_half_a_surrogate_pair_costs_one_character_and_not_the_recording(path: Path) -> None:
    recorded = RecordedScene(path)
    line = LogRecord(1, "a\ud800b", "/aws/lambda/pay", fields={"key\udfff": ["\ud800"]})
    recorded.store.apply(Batch(source="logs", records=(line,)))
    assert recorded.close().ended is None
    with SessionFile(path) as file:
        batches = [each.event.batch for each in file.entries() if isinstance(each.event, Delivered)]
    assert batches[0].records == (replace(line, message="a?b", fields={"key?": ["?"]}),)
