from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from prodwatch.model.check import CheckDefinition, SourcePosition
from prodwatch.model.result import CheckResult
from prodwatch.model.status import Status
from prodwatch.store.check_history import MAX_ROUNDS, CheckStore
from prodwatch.testing.clock import START

HERE = SourcePosition("checks/a.toml", 1, 1)


def definition(check_id: str, **more: object) -> CheckDefinition:
    values = {"id": check_id, "name": check_id, "title": check_id.upper(), "type": "http", "source": HERE}
    return CheckDefinition(**{**values, **more})  # type: ignore[arg-type]


def result(check_id: str, status: Status, second: int = 0, **more: object) -> CheckResult:
    values = {
        "id": check_id,
        "name": check_id,
        "title": check_id.upper(),
        "kind": "smoke",
        "type": "http",
        "status": status,
        "started_at": START + timedelta(seconds=second),
        "duration_ms": 500,
        "source": HERE,
    }
    return CheckResult(**{**values, **more})  # type: ignore[arg-type]


@pytest.fixture
def book() -> CheckStore:
    book = CheckStore()
    book.define([definition("a"), definition("b")])
    return book


def test_a_defined_check_has_no_status_until_it_finished(book: CheckStore) -> None:
    assert [track.status for track in book.tracks.values()] == [None, None]
    assert book.defined


def test_a_run_of_equal_statuses_keeps_its_beginning(book: CheckStore) -> None:
    for second, status in enumerate((Status.PASS, Status.FAIL, Status.FAIL, Status.FAIL)):
        book.finished(result("a", status, second), START)
    track = book.get("a")
    assert track is not None
    assert (track.status, track.streak, track.rounds) == (Status.FAIL, 3, 4)
    assert track.status_since == START + timedelta(seconds=1.5)
    assert [each.status for each in track.history] == [Status.PASS, Status.FAIL, Status.FAIL, Status.FAIL]


def test_history_is_bounded_and_rounds_are_counted_beyond_it(book: CheckStore) -> None:
    for second in range(MAX_ROUNDS + 10):
        book.finished(result("a", Status.PASS, second), START)
    track = book.get("a")
    assert track is not None
    assert (len(track.history), track.rounds, track.streak) == (MAX_ROUNDS, MAX_ROUNDS + 10, MAX_ROUNDS + 10)


def test_started_marks_running_and_finished_unmarks_it(book: CheckStore) -> None:
    book.started("a", START)
    assert book.tracks["a"].running_since == START
    book.finished(result("a", Status.PASS), START)
    assert book.tracks["a"].running_since is None


def test_defining_again_keeps_what_is_known_and_forgets_what_left(book: CheckStore) -> None:
    book.finished(result("a", Status.PASS), START)
    book.finished(result("b", Status.PASS), START)
    book.define([definition("a", title="A2"), definition("c")])
    assert list(book.tracks) == ["a", "c"]
    assert book.tracks["a"].status is Status.PASS


def test_diagnostics_under_a_check_are_filed_under_their_own_id(book: CheckStore) -> None:
    inner = result("d", Status.FAIL, kind="diagnostic")
    book.finished(result("a", Status.FAIL, diagnosed_by=(inner,)), START)
    assert book.tracks["d"].status is Status.FAIL
    assert book.tracks["d"].kind == "diagnostic"


def test_a_result_without_a_start_counts_from_when_it_came(book: CheckStore) -> None:
    book.finished(replace(result("a", Status.SKIPPED), started_at=None), START)
    assert book.tracks["a"].finished_at == START


def test_flags_come_from_definition_and_result(book: CheckStore) -> None:
    book.define([definition("a", critical=True), definition("b")])
    book.finished(result("b", Status.PASS, flags=("flaky",)), START)
    assert book.tracks["a"].has("critical")
    assert book.tracks["b"].has("flaky")
    assert not book.tracks["b"].has("critical")


def test_a_result_of_an_undefined_check_is_kept() -> None:
    book = CheckStore()
    book.finished(result("x", Status.PASS), START)
    assert book.tracks["x"].title == "X"
    assert not book.defined
