"""The history on disk: what is filed is read again, whatever happens to the file, the disk, or another process."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import prodwatch
from prodwatch.model.history import RoundSummary
from prodwatch.model.result import ReleaseInfo
from prodwatch.model.status import Reason, Status
from prodwatch.store.history.database import HistoryDatabase, HistoryError
from prodwatch.store.history.pending import drop_oldest, pending_folder, write_pending
from prodwatch.store.history.schema import APPLICATION_ID, STEPS
from tests.support.past_runs import KEY, NOW, add, entry, history, ids, outcome

FAIL, PASS, SKIPPED = Status.FAIL, Status.PASS, Status.SKIPPED


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "history"


@pytest.fixture
def path(folder: Path) -> Path:
    return folder / f"{KEY}.db"


def test_a_run_comes_back_as_it_was_filed(folder: Path) -> None:
    rounds = RoundSummary(counts={PASS: 8, FAIL: 2}, flaky=1, durations_ms={100: 8, 512: 2}, last=(PASS, FAIL))
    filed = entry(
        "a",
        outcome("one", FAIL, flags=("flaky", "critical"), reason_code=Reason.TIMEOUT, message="no response"),
        outcome("two", rounds=rounds),
        outcome("checkout", kind="metric", duration_ms=None),
        mode="gate",
        release=ReleaseInfo(version="42", previous="41", weights={"42": 0.1}),
    )
    add(folder, filed)
    assert history(folder).entry("a") == filed
    assert history(folder).entry("a") == filed  # from the database, where it was from the pending file
    assert history(folder).entry("b") is None


def test_only_the_user_can_read_it(folder: Path, path: Path) -> None:
    before = os.umask(0)
    try:
        add(folder, entry("a", outcome("one")))
        pending = pending_folder(folder, KEY)
        assert pending.stat().st_mode & 0o777 == 0o700
        assert {each.stat().st_mode & 0o777 for each in pending.iterdir()} == {0o600}
        history(folder).runs(None, None)
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {each.stat().st_mode & 0o777 for each in folder.iterdir() if each.is_file()} == {0o600}
    path.chmod(0o644)
    add(folder, entry("b", outcome("one")))
    history(folder).runs(None, None)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_session_that_is_filed_again_replaces_itself(folder: Path) -> None:
    add(folder, entry("a", outcome("one"), outcome("gone")))
    assert len(list(history(folder).samples(None))) == 2
    add(folder, entry("a", outcome("one", FAIL), status="fail"))
    found = history(folder)
    assert [each.status for each in found.runs(None, None)] == ["fail"]
    assert [(each.outcome.id, each.outcome.status) for each in found.samples(None)] == [("one", FAIL)]


def test_environments_are_apart(folder: Path) -> None:
    add(folder, entry("a", outcome("one")), entry("b", outcome("one", FAIL), environment="staging"))
    assert ids(history(folder).runs(None, None)) == ["a"]
    assert ids(history(folder, environment="staging").runs(None, None)) == ["b"]
    assert history(folder).last_outcomes(5) == {"one": (PASS,)}


def test_the_last_outcomes_are_the_newest_and_leave_out_what_was_not_run(folder: Path) -> None:
    for number, status in enumerate((FAIL, PASS, PASS, SKIPPED)):
        add(folder, entry(f"run{number}", outcome("one", status), ended_at=NOW + timedelta(hours=number)))
        history(folder).collect()
    rounds = RoundSummary(counts={PASS: 1, FAIL: 2}, last=(FAIL, SKIPPED, PASS, FAIL))
    add(folder, entry("session", outcome("one", FAIL, rounds=rounds), outcome("never", SKIPPED)))
    assert history(folder).last_outcomes(5) == {"one": (PASS, PASS, FAIL, PASS, FAIL)}
    assert history(folder).last_outcomes(1) == {"one": (FAIL,)}


def test_runs_are_listed_from_a_time_on_and_found_by_the_beginning_of_an_id(folder: Path) -> None:
    add(folder, *(entry(f"2026113{n}-x", ended_at=NOW - timedelta(days=9 - n)) for n in range(3)), entry("2026_"))
    found = history(folder)
    assert ids(found.runs(NOW - timedelta(days=8), None)) == ["2026_", "20261132-x", "20261131-x"]
    assert ids(found.runs(None, 2)) == ["2026_", "20261132-x"]
    assert found.run_ids("20261131") == ["20261131-x"]
    assert found.run_ids("2026_") == ["2026_"]  # a wildcard of SQL is a character
    assert found.run_ids("%") == []


def test_what_is_older_than_the_limit_is_dropped_in_its_environment_only(folder: Path) -> None:
    old = NOW - timedelta(days=8)
    add(folder, entry("old", outcome("gone"), ended_at=old), entry("other", ended_at=old, environment="staging"))
    add(folder, entry("new", outcome("one")))
    assert ids(history(folder, keep_s=7 * 86_400).runs(None, None)) == ["new"]
    assert ids(history(folder, environment="staging").runs(None, None)) == ["other"]
    assert "gone" not in {each.outcome.id for each in history(folder).samples(None)}


def test_the_oldest_runs_are_dropped_while_the_file_is_too_large(folder: Path, path: Path) -> None:
    long = "x" * 500
    for number in range(300):
        outcomes = (outcome(f"check-{n}", FAIL, message=long) for n in range(10))
        add(folder, entry(f"run{number:03}", *outcomes, ended_at=NOW - timedelta(minutes=300 - number)))
    kept = ids(history(folder, size_bytes=1_000_000).runs(None, None))
    assert 50 < len(kept) < 200
    assert kept == [f"run{number:03}" for number in range(299, 299 - len(kept), -1)]
    assert path.stat().st_size < 1_100_000
    add(folder, entry("zzz"))
    assert ids(history(folder, size_bytes=1).runs(None, None)) == ["zzz"]


def test_what_is_forgotten_is_in_no_byte_of_the_file(folder: Path, path: Path) -> None:
    add(
        folder, entry("a", outcome("one", message="MARKER-1"), outcome("two")), entry("b", outcome("one", message="M2"))
    )
    found = history(folder)
    assert found.forget_run("a") == 1
    assert found.forget_run("a") == 0
    assert b"MARKER-1" not in b"".join(each.read_bytes() for each in folder.rglob("*") if each.is_file())
    assert found.forget_item("one") == 1
    assert b"M2" not in path.read_bytes()
    assert found.forget_environment() == 1
    assert found.runs(None, None) == []


@contextlib.contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Let no file grow beyond `size` bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)


def test_a_full_disk_loses_nothing_that_was_kept(folder: Path, path: Path) -> None:
    add(folder, entry("a", outcome("one")))
    history(folder).collect()
    add(folder, *(entry(f"b{n}", *(outcome(f"c{m}", message="x" * 500) for m in range(40))) for n in range(5)))
    with file_size_limit(path.stat().st_size + 10_000), pytest.raises(HistoryError, match=r"disk|cannot be used"):
        history(folder).collect()
    found = history(folder)
    assert sorted(ids(found.runs(None, None))) == ["a", "b0", "b1", "b2", "b3", "b4"]


def test_a_full_disk_leaves_no_half_entry(folder: Path) -> None:
    with file_size_limit(100), pytest.raises(OSError, match="File too large"):
        add(folder, entry("a", *(outcome(f"c{n}") for n in range(50))))
    assert list(pending_folder(folder, KEY).iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"not a database at all" * 100, id="text"),
        pytest.param(b"SQLite format 3\x00" + bytes(200), id="a header alone"),
    ],
)
def test_a_damaged_file_is_set_aside_and_a_new_one_begins(content: bytes, folder: Path, path: Path) -> None:
    folder.mkdir()
    path.write_bytes(content)
    notes: list[str] = []
    add(folder, entry("a", outcome("one")))
    assert ids(history(folder, warn=notes.append).runs(None, None)) == ["a"]
    assert len(notes) == 1
    assert "is set aside as" in notes[0]
    (aside,) = folder.glob(f"{KEY}.db.broken-*")
    assert aside.read_bytes() == content
    assert history(folder).prune().files == (aside,)
    assert not aside.exists()


def test_a_file_damaged_in_its_middle_is_set_aside(folder: Path, path: Path) -> None:
    for number in range(50):
        add(folder, entry(f"run{number}", *(outcome(f"check-{n}", message="x" * 200) for n in range(10))))
    history(folder).collect()
    content = bytearray(path.read_bytes())
    content[8192:-4096] = b"\xff" * (len(content) - 12288)
    path.write_bytes(content)
    notes: list[str] = []
    assert list(history(folder, warn=notes.append).samples(None)) == []
    assert "set aside" in notes[0]
    add(folder, entry("new", outcome("one")))
    assert ids(history(folder).runs(None, None)) == ["new"]


def test_a_cut_file_is_set_aside(folder: Path, path: Path) -> None:
    add(folder, *(entry(f"run{number}", outcome("one", message="x" * 400)) for number in range(60)))
    history(folder).collect()
    os.truncate(path, path.stat().st_size // 2)
    notes: list[str] = []
    add(folder, entry("new", outcome("one")))
    assert "new" in ids(history(folder, warn=notes.append).runs(None, None))
    assert notes


def test_a_database_of_another_program_is_set_aside(folder: Path, path: Path) -> None:
    folder.mkdir()
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE run (id)")
        other.execute("INSERT INTO run VALUES ('theirs')")
        other.commit()
    notes: list[str] = []
    add(folder, entry("a", outcome("one")))
    assert ids(history(folder, warn=notes.append).runs(None, None)) == ["a"]
    assert "another program" in notes[0]
    (aside,) = folder.glob(f"{KEY}.db.broken-*")
    with contextlib.closing(sqlite3.connect(aside)) as other:
        assert other.execute("SELECT id FROM run").fetchall() == [("theirs",)]


def test_our_mark_on_other_tables_is_set_aside(folder: Path, path: Path) -> None:
    folder.mkdir()
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE t (x)")
        other.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        other.execute(f"PRAGMA user_version = {len(STEPS)}")
    notes: list[str] = []
    assert history(folder, warn=notes.append).runs(None, None) == []
    assert "no such table" in notes[0]


def test_a_newer_file_is_refused_in_one_sentence_and_left_alone(folder: Path, path: Path) -> None:
    add(folder, entry("a", outcome("one")))
    history(folder).collect()
    with contextlib.closing(sqlite3.connect(path)) as newer:
        newer.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    add(folder, entry("b", outcome("one")))
    with pytest.raises(HistoryError, match=r"newer prodwatch \(schema 99; .*\); upgrade prodwatch"):
        history(folder).runs(None, None)
    assert path.read_bytes() == before
    with contextlib.closing(sqlite3.connect(path)) as newer:
        newer.execute(f"PRAGMA user_version = {len(STEPS)}")
    assert sorted(ids(history(folder).runs(None, None))) == ["a", "b"]  # nothing was lost meanwhile


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE outcome SET status = 'later'",
        "UPDATE outcome SET reason_code = 'later'",
        'UPDATE outcome SET rounds = \'{"counts": {"later": 1}}\'',
        "UPDATE run SET summary = '{}'",
    ],
)
def test_a_value_of_another_version_is_one_sentence(change: str, folder: Path, path: Path) -> None:
    add(folder, entry("a", outcome("one")))
    history(folder).collect()
    with contextlib.closing(sqlite3.connect(path)) as newer:
        newer.execute(change)
        newer.commit()
    with pytest.raises(HistoryError, match=r"does not know \(.+\); upgrade prodwatch"):
        history(folder).entry("a")
    add(folder, entry("b", outcome("two")))
    assert history(folder).entry("b") == entry("b", outcome("two"))
    assert path.exists()


@pytest.mark.parametrize("by", ["read", "write"])
def test_an_earlier_schema_is_upgraded_in_place_with_a_backup(by: str, folder: Path, path: Path) -> None:
    add(folder, entry("a", outcome("one")))
    history(folder).collect()
    notes: list[str] = []
    steps = (*STEPS, ("ALTER TABLE run ADD COLUMN later TEXT", "UPDATE run SET later = 'new'"))
    newer = HistoryDatabase(path, warn=notes.append, now=lambda: NOW, steps=steps)
    query = "SELECT id, later FROM run"
    for _ in range(2):
        assert getattr(newer, by)(lambda connection: connection.execute(query).fetchall()) == [("a", "new")]
    backup = folder / f"{KEY}.db.v{len(STEPS)}"
    assert notes == [f"the history is upgraded to schema {len(steps)}; the former file is {backup}"]
    assert backup.stat().st_mode & 0o777 == 0o600
    with contextlib.closing(sqlite3.connect(backup)) as former:
        assert former.execute("SELECT id FROM run").fetchall() == [("a",)]
        assert former.execute("PRAGMA user_version").fetchone() == (len(STEPS),)


def test_an_upgrade_that_fails_leaves_the_file_as_it_was(folder: Path, path: Path) -> None:
    add(folder, entry("a", outcome("one")))
    history(folder).collect()
    steps = (*STEPS, ("ALTER TABLE run ADD COLUMN later TEXT", "INSERT INTO run (id) VALUES (NULL)"))
    newer = HistoryDatabase(path, warn=lambda _message: None, now=lambda: NOW, steps=steps)
    with pytest.raises(HistoryError, match="NOT NULL"):
        newer.read(lambda _connection: None)
    assert ids(history(folder).runs(None, None)) == ["a"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_still_read(folder: Path, path: Path) -> None:
    add(folder, entry("a", outcome("one")))
    history(folder).collect()
    path.chmod(0o400)
    folder.chmod(0o500)
    try:
        assert ids(history(folder).runs(None, None)) == ["a"]
        with pytest.raises(HistoryError, match="cannot be used"):
            history(folder).forget_run("a")
    finally:
        folder.chmod(0o700)


def test_a_folder_that_cannot_be_created_is_an_error_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        add(tmp_path / "file" / "history", entry("a"))
    assert history(tmp_path / "file" / "history").runs(None, None) == []


def test_an_id_that_is_no_file_name_is_refused(folder: Path) -> None:
    with pytest.raises(OSError, match="cannot be the name of a file"):
        write_pending(pending_folder(folder, KEY), entry("../escape"))
    assert not folder.exists()


def test_an_unreadable_entry_is_left_out_with_a_sentence(folder: Path) -> None:
    add(folder, entry("a", outcome("one")), entry("b", outcome("one")))
    broken = pending_folder(folder, KEY) / "a.json"
    broken.write_bytes(broken.read_bytes()[:40])
    notes: list[str] = []
    assert ids(history(folder, warn=notes.append).runs(None, None)) == ["b"]
    aside = pending_folder(folder, KEY) / "a.json.broken"
    assert notes == [f"a run cannot be read and is not in the history: {aside}"]
    assert list(pending_folder(folder, KEY).iterdir()) == [aside]
    assert ids(history(folder).runs(None, None)) == ["b"]
    assert history(folder).prune().files == (aside,)
    assert list(pending_folder(folder, KEY).iterdir()) == []


def test_a_half_written_entry_of_a_killed_run_is_removed_after_an_hour(folder: Path) -> None:
    add(folder, entry("a", outcome("one")))
    pending = pending_folder(folder, KEY)
    old, new = pending / ".x.1", pending / ".y.2"
    for path in (old, new):
        path.write_bytes(b"{")
    os.utime(old, (0, 0))
    assert ids(history(folder).runs(None, None)) == ["a"]
    assert list(pending.iterdir()) == [new]


def test_entries_that_cannot_be_moved_are_few(folder: Path) -> None:
    add(folder, *(entry(f"run{number}") for number in range(6)))
    pending = pending_folder(folder, KEY)
    assert drop_oldest(pending, 10) == 0
    assert drop_oldest(pending, 4) == 2
    assert sorted(path.name for path in pending.iterdir()) == [f"run{number}.json" for number in range(2, 6)]


def test_a_reader_killed_between_taking_and_filing_loses_nothing(folder: Path) -> None:
    add(folder, entry("a", outcome("one")))
    pending = pending_folder(folder, KEY)
    (pending / "a.json").rename(pending / "a.json.taken")
    add(folder, entry("b", outcome("one")))
    assert sorted(ids(history(folder).runs(None, None))) == ["a", "b"]


WRITER = """
import os, sqlite3, sys
from pathlib import Path
from tests.support.past_runs import add, entry, history, outcome
folder, name, work = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
if work == "several":
    for number in range(12):
        add(folder, entry(f"{name}-{number}", outcome("one"), outcome("two")))
        history(folder).collect()
else:
    database = history(folder)._database
    def stall(connection):
        connection.execute("DELETE FROM outcome")
        connection.execute("INSERT INTO run VALUES (999, 'half', 'prod', 0, '{}')")
        print("writing", flush=True)
        sys.stdin.read()
    database.write(stall)
"""


def writer(folder: Path, name: str, work: str) -> subprocess.Popen[str]:
    root = Path(prodwatch.__file__).parents[1]
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), name, work],
        env=os.environ | {"PYTHONPATH": str(root)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_several_processes_at_once_lose_nothing(folder: Path) -> None:
    processes = [writer(folder, name, "several") for name in ("a", "b", "c")]
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    found = history(folder)
    assert len(found.runs(None, None)) == 36
    assert len(list(found.samples(None))) == 72


def test_a_writer_killed_in_the_middle_leaves_the_former_state(folder: Path) -> None:
    add(folder, entry("a", outcome("one")))
    history(folder).collect()
    with writer(folder, "b", "stall") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
    add(folder, entry("c", outcome("one")))
    found = history(folder)
    assert ids(found.runs(None, None)) == ["c", "a"]
    assert len(list(found.samples(None))) == 2


def test_a_writer_that_hangs_is_waited_for_a_bounded_time(folder: Path, path: Path) -> None:
    add(folder, entry("a", outcome("one")))
    history(folder).collect()
    impatient = HistoryDatabase(path, warn=lambda _message: None, now=lambda: NOW, busy_s=0)
    with writer(folder, "b", "stall") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        try:
            with pytest.raises(HistoryError, match="in use by another process"):
                impatient.write(lambda _connection: None)
            # Readers see the state before it, without waiting.
            assert impatient.read(lambda connection: connection.execute("SELECT id FROM run").fetchall()) == [("a",)]
        finally:
            process.kill()


def test_the_write_ahead_log_is_used_on_a_local_disk_only(
    folder: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mode() -> str:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            return str(connection.execute("PRAGMA journal_mode").fetchone()[0])

    for on_a_network, wanted in ((False, "wal"), (True, "delete"), (False, "wal")):
        monkeypatch.setattr("prodwatch.store.history.database.may_be_on_a_network", lambda _path, it=on_a_network: it)
        add(folder, entry(f"run-{wanted}", outcome("one")))
        history(folder).collect()
        assert mode() == wanted
    assert len(history(folder).runs(None, None)) == 2


def test_a_file_that_cannot_be_written_is_read_without_a_trace(
    folder: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(folder, entry("a", outcome("one")))
    history(folder).collect()
    before = sorted(folder.iterdir())
    monkeypatch.setattr("prodwatch.store.history.database._can_write", lambda _path: False)
    assert ids(history(folder).runs(None, None)) == ["a"]
    assert sorted(folder.iterdir()) == before
    newer = HistoryDatabase(path, warn=lambda _message: None, now=lambda: NOW, steps=(*STEPS, ("SELECT 1",)))
    with pytest.raises(HistoryError, match="cannot be upgraded: it is read-only"):
        newer.read(lambda _connection: None)
    path.write_bytes(b"damaged" * 200)
    with pytest.raises(HistoryError, match="is damaged: file is not a database; remove it"):
        history(folder).runs(None, None)
