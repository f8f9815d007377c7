"""Signatures that differ only in names are one group; identity stays that of the signature."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from prodwatch.model.identity import GroupId
from prodwatch.model.signal import Batch, Level, LogRecord, SourcePhase, SourceStatus
from prodwatch.store import Store
from prodwatch.testing.clock import START, FakeClock
from prodwatch.views.alarm_and_error_rows import Signatures, signature_rows

GROUP = "/aws/lambda/pay"
ALIKE = "cannot read table node_{}/x of shop"


def store_of(*lines: tuple[int, str, str]) -> Store:
    """Return a store with error lines, each as seconds after START, log group and message."""
    store = Store(FakeClock())
    for number, (second, group, message) in enumerate(lines):
        at_ms = int((START + timedelta(seconds=second)).timestamp() * 1000)
        line = LogRecord(at_ms, message, group, level=Level.ERROR, version="42", event_id=str(number))
        status = SourceStatus(source=f"logs:{group}", phase=SourcePhase.LIVE, read_from=START - timedelta(minutes=9))
        store.apply(Batch(source=status.source, records=(line,), status=status))
    return store


def rows(store: Store) -> Signatures:
    return signature_rows(store, START + timedelta(minutes=5), since=START)


def test_a_group_is_listed_once_with_its_members_and_lines_counted() -> None:
    table = rows(store_of(*((second, GROUP, ALIKE.format(name)) for second, name in enumerate("aabc"))))
    (row,) = table.rows
    assert (row.members, row.signature.count, row.text) == (3, 4, "cannot read table <*> of shop")
    assert row.signature.by_version == {"42": 4}
    assert row.signature.sample == ALIKE.format("c")
    assert (row.new, table.new) == (True, 1)


def test_an_error_is_not_new_when_its_group_was_seen_before() -> None:
    store = store_of((-60, GROUP, ALIKE.format("a")), (5, GROUP, ALIKE.format("b")))
    assert [each.new for each in rows(store).rows] == [False]


def test_an_error_alone_is_new_and_one_seen_before_is_not() -> None:
    table = rows(store_of((-60, GROUP, "cannot charge the card"), (5, GROUP, "KeyError: 'tenant'")))
    assert {each.text: each.new for each in table.rows} == {
        "cannot charge the card": False,
        "KeyError: 'tenant'": True,
    }


def test_K20_a_group_ends_at_its_log_group() -> None:
    store = store_of((-60, "/aws/lambda/cart", ALIKE.format("a")), (5, GROUP, ALIKE.format("b")))
    assert {each.signature.group.name: (each.members, each.new) for each in rows(store).rows} == {
        "/aws/lambda/cart": (1, False),
        GROUP: (1, True),
    }


def test_the_row_keeps_its_identity_while_its_group_grows() -> None:
    lines = [(second, GROUP, ALIKE.format(name)) for second, name in enumerate("dabc")]
    keys = {rows(store_of(*lines[:count])).rows[0].key for count in range(1, 5)}
    assert len(keys) == 1


@given(st.lists(st.sampled_from([ALIKE.format(name) for name in "abcd"] + ["no", "KeyError: 'x'"]), max_size=12))
def test_every_signature_is_in_one_group_and_no_line_is_lost(messages: list[str]) -> None:
    store = store_of(*((second, GROUP, message) for second, message in enumerate(messages)))
    members = [key for keys in store.signatures.groups.values() for key in keys]
    assert sorted(members) == sorted(store.signatures.signatures)
    assert all(group == GroupId(GROUP) for group, _ in store.signatures.groups)
    assert sum(each.signature.count for each in rows(store).rows) == len(messages)
