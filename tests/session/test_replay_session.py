"""The session of a replay plays both ways at any speed, is moved anywhere, and asks nothing outside of its file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from prodwatch.errors import ConfigurationError
from prodwatch.session.recorder import open_recorder
from prodwatch.session.replay import Player
from prodwatch.session.replay_session import opening
from prodwatch.store.recording.reader import SessionFile
from prodwatch.store.recording.redaction import Redaction
from prodwatch.store.store import Store
from prodwatch.testing.clock import FakeClock
from prodwatch.testing.definitions import environment
from prodwatch.text.redact import Redactor
from prodwatch.views.timeline import describe
from prodwatch.views.verdict_facts import session_facts
from tests.support.replays import LENGTH_S, MARK_S, NOTE, RED_S, STOPPED_S, VERDICT_S, Replayed, record
from tests.support.waiting import until


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("replay") / "f.pw"
    record(path)
    return path


Open = Callable[..., Replayed]


@pytest.fixture
async def replayed(path: Path) -> AsyncIterator[Open]:
    opened: list[Replayed] = []

    def open_(file: Path = path, **options: object) -> Replayed:
        opened.append(Replayed(file, **options))
        return opened[-1]

    yield open_
    for each in opened:
        await each.session.stop()


async def test_it_plays_at_its_speed_and_the_clock_is_that_of_the_recording(replayed: Open) -> None:
    replay = replayed(speed=20)
    await replay.session.start()
    assert await replay.after(1.0) == pytest.approx(20, abs=2.1)
    assert (replay.clock.now() - replay.file.header.started_at).total_seconds() == pytest.approx(replay.at_s)
    replay.session.toggle()
    paused = replay.at_s
    assert await replay.after(5.0) == paused


async def test_it_stops_at_the_end_and_plays_again_from_the_beginning(replayed: Open) -> None:
    replay = replayed(speed=300)
    await replay.session.start()
    assert await replay.after(3.0) == LENGTH_S
    assert (replay.session.is_at_end, replay.session.playing) == (True, False)
    replay.session.toggle()
    assert await replay.after(0.3) < LENGTH_S / 2
    assert replay.session.playing


async def test_it_plays_backwards_down_to_the_beginning(replayed: Open) -> None:
    replay = replayed(speed=20, playing=False)
    replay.session.seek(60_000_000)
    await replay.session.start()
    replay.session.reverse()
    replay.session.toggle()
    assert await replay.after(1.0) == pytest.approx(40, abs=12)
    assert await replay.after(4.0) == 0
    assert not replay.session.playing
    replay.session.toggle()
    assert await replay.after(0.2) > RED_S, "backwards from the beginning begins at the end"


async def test_the_state_at_a_position_is_the_same_however_it_was_reached(replayed: Open) -> None:
    played, moved = replayed(speed=20), replayed(playing=False)
    await played.session.start()
    while played.at_s < VERDICT_S:
        await played.after(0.1)
    position_us = played.session.position_us
    await moved.session.start()
    for target_us in (LENGTH_S * 1_000_000, 0, position_us):
        moved.session.seek(target_us)
        await moved.after()
    facts = [session_facts(each.store, each.clock.now(), every_s=15) for each in (played, moved)]
    assert facts[0] == facts[1]
    assert list(played.store.release.events) == list(moved.store.release.events)


async def test_the_moments_are_events_verdicts_red_checks_and_marks(replayed: Open) -> None:
    replay = replayed(playing=False)
    await replay.session.start()
    await until(lambda: replay.session.all_moments_known)
    found = [
        (round(each.elapsed_us / 1_000_000), each.event.source, describe(each.event))
        for each in replay.session.moments
        if each.elapsed_us > 0
    ]
    assert found == [
        (MARK_S, "mark", NOTE),
        (STOPPED_S, "codedeploy", "Stopped"),
        (RED_S, "check", "pass → fail"),
        (VERDICT_S, "verdict", "pass → fail"),
    ]


async def test_it_jumps_from_moment_to_moment_both_ways(replayed: Open) -> None:
    replay = replayed(playing=False)
    await replay.session.start()
    await until(lambda: replay.session.all_moments_known)
    visited = []
    while replay.session.jump(1) is not None:
        visited.append(await replay.after())
    assert visited == [MARK_S, STOPPED_S, RED_S, VERDICT_S]
    before = replay.session.jump(-1)
    assert before is not None
    assert before.event.source == "check"
    assert await replay.after() == RED_S
    assert list(replay.store.release.events)[-1].to == "fail", "the moment jumped to is shown"


async def test_a_jump_back_while_it_plays_passes_the_moment_of_the_jump_before(replayed: Open) -> None:
    replay = replayed(speed=5)
    await replay.session.start()
    await until(lambda: replay.session.all_moments_known)
    replay.session.seek((VERDICT_S + 30) * 1_000_000)
    await replay.after()
    for expected in (VERDICT_S, RED_S, STOPPED_S):
        moment = replay.session.jump(-1)
        assert moment is not None
        assert moment.elapsed_us == expected * 1_000_000
        await replay.after(0.3)


async def test_moves_stay_within_the_part_that_was_chosen(replayed: Open) -> None:
    replay = replayed(playing=False, from_us=100_000_000, to_us=200_000_000)
    await replay.session.start()
    assert replay.at_s == 100
    replay.session.skip(-10)
    assert await replay.after() == 100
    replay.session.skip(1_000)
    assert await replay.after() == 200
    assert (replay.session.is_at_end, replay.session.is_whole) == (True, False)


async def test_of_many_moves_the_last_one_counts(replayed: Open) -> None:
    replay = replayed(playing=False)
    await replay.session.start()
    for at_s in range(LENGTH_S, 0, -7):
        replay.session.seek(at_s * 1_000_000)
    replay.session.skip(10)
    assert await replay.after() == LENGTH_S % 7 + 10
    assert replay.clock.monotonic_s() == LENGTH_S % 7 + 10


def test_the_keys_choose_from_a_row_of_speeds(replayed: Open) -> None:
    session = replayed(speed=3).session
    seen = []
    for by in (1, 1, -1, -1, -1, -1, -1):
        session.change_speed(by)
        seen.append(session.speed)
    assert seen == [5, 10, 5, 2, 1, 1, 1]


async def test_nothing_is_asked_and_a_rerun_says_so(replayed: Open) -> None:
    replay = replayed(playing=False)
    await replay.session.start()
    await replay.session.rerun(("orders/order-in-euros",))
    assert replay.reports == ["a replay runs no checks: it shows the rounds that were recorded"]
    assert await replay.session.fetch_trace("1-x") is None
    assert await replay.session.fetch_logs_for(("r",), None) == ()


def cut(whole: Path, path: Path) -> Path:
    """Write the first 60 % of a file."""
    content = whole.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    return path


def damaged_at(whole: Path, path: Path, at_s: int) -> tuple[Path, int]:
    """Change a byte of the first frame of events from a time on; return the file and the position of that frame."""
    with SessionFile(whole) as file:
        frame = next(each for each in file.frames if each.kind == "E" and each.elapsed_us >= at_s * 1_000_000)
    content = bytearray(whole.read_bytes())
    content[frame.offset + frame.length // 2] ^= 0xFF
    path.write_bytes(content)
    return path, frame.elapsed_us


async def test_a_cut_file_plays_to_its_last_whole_record(path: Path, replayed: Open, tmp_path: Path) -> None:
    replay = replayed(cut(path, tmp_path / "cut.pw"), speed=1_000)
    assert replay.session.is_cut
    assert "is cut" in str(replay.session.damage)
    await replay.session.start()
    end_s = replay.session.to_us / 1_000_000
    assert 0 < end_s < LENGTH_S
    assert await replay.after(5.0) == end_s
    assert replay.session.is_at_end


async def test_a_file_damaged_in_the_middle_ends_before_the_damage(path: Path, replayed: Open, tmp_path: Path) -> None:
    damaged, damaged_us = damaged_at(path, tmp_path / "damaged.pw", RED_S)
    replay = replayed(damaged, speed=60)
    await replay.session.start()
    await replay.after(20.0)
    assert replay.session.damage is not None
    assert replay.session.to_us < damaged_us
    assert "the recording is damaged" in replay.reports[0]
    replay.session.seek(0)
    assert await replay.after() == 0
    replay.session.seek(LENGTH_S * 1_000_000)
    assert await replay.after() == replay.session.to_us / 1_000_000


def test_a_recording_that_names_no_environment_is_refused(tmp_path: Path) -> None:
    clock = FakeClock()
    recorder = open_recorder(tmp_path / "f.pw", Redaction(Redactor()), clock, mode="record", environment=environment())
    recorder.subscribe(Store(clock))
    recorder.close()
    with SessionFile(tmp_path / "f.pw") as file, pytest.raises(ConfigurationError, match="no event names"):
        opening(file)


def test_a_slice_ends_after_its_records_and_never_within_the_target(replayed: Open) -> None:
    replay = replayed()
    player = Player(replay.file, replay.clock, replay.store)
    first_us = next(iter(replay.file.entries())).elapsed_us
    assert player.play(first_us, most_records=1) > 1, "all events of the target itself are applied"
    assert player.play(LENGTH_S * 1_000_000, most_records=1) == 1
    assert first_us < player.position_us < LENGTH_S * 1_000_000
