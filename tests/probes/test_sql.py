"""The `sql` probe against SQLite, and what it makes of a database's values and errors."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.exc import OperationalError, ProgrammingError

from prodwatch.assertions import evaluate, parse
from prodwatch.model.quantity import Duration
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Observation
from prodwatch.probes.sql.probe import _failure, plain

Send = Callable[..., Awaitable[Observation]]


@pytest.fixture
def database(tmp_path: Path) -> str:
    path = tmp_path / "shop.db"
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("create table orders (id integer, name text, price real, photo blob)")
        connection.executemany(
            "insert into orders values (?, ?, ?, ?)",
            [(1, "tea", 1.1, b"\x00\xff"), (2, None, 2.5, None), (3, "milk", 0.1, None)],
        )
    connection.close()
    return f"sqlite+aiosqlite:///{path}"


async def test_rows(send: Send, database: str) -> None:
    seen = await send("sql", url=database, statement="select id, name, price, photo from orders order by id")
    assert seen.failure is None
    assert seen.document["rows"][0] == {"id": 1, "name": "tea", "price": Decimal("1.1"), "photo": "AP8="}
    assert evaluate(parse("row.id == 1"), seen.document).ok is None, "the rows differ"
    assert seen.document["rows"][1] == {"id": 2, "name": None, "price": Decimal("2.5"), "photo": None}
    assert seen.document["count"] == 3
    assert isinstance(seen.document["latency"], Duration)
    assert isinstance(seen.document["connect"], Duration)
    assert seen.complete


async def test_parameters_are_not_part_of_the_text(send: Send, database: str) -> None:
    seen = await send(
        "sql",
        url=database.replace("+aiosqlite", ""),
        statement="select count(*) as n from orders where name = :name",
        parameters={"name": "x' or '1'='1"},
    )
    assert seen.document["row"] == {"n": 0}


async def test_no_rows(send: Send, database: str) -> None:
    seen = await send("sql", url=database, statement="select * from orders where id = 99")
    assert (seen.document["rows"], seen.document["count"]) == ([], 0)
    assert "row" not in seen.document


async def test_too_many_rows_are_said(send: Send, database: str) -> None:
    seen = await send("sql", url=database, statement="select id from orders", max_rows=2)
    assert seen.document["count"] == 2
    assert not seen.complete
    assert "more than 2 rows" in seen.notices[0]


async def test_a_change_lasts_when_the_check_mutates(send: Send, database: str) -> None:
    seen = await send("sql", url=database, statement="delete from orders where id > 1", mutates=True)
    assert seen.document["count"] == 2
    after = await send("sql", url=database, statement="select count(*) as n from orders")
    assert after.document["row"] == {"n": 1}


@pytest.mark.parametrize("statement", ["delete from orders where id > 1", "drop table orders"])
async def test_a_check_that_does_not_mutate_cannot_write_to_a_file(send: Send, database: str, statement: str) -> None:
    seen = await send("sql", url=database, statement=statement)
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.ERROR, Reason.INVALID)
    assert "a statement that writes needs `mutates = true`" in seen.failure.message
    after = await send("sql", url=database, statement="select count(*) as n from orders")
    assert after.document["row"] == {"n": 3}


async def test_a_check_that_does_not_mutate_cannot_write_where_the_url_opens_for_writing(
    send: Send, database: str
) -> None:
    url = f"{database.replace('///', '///file:')}?uri=true&mode=rw"
    seen = await send("sql", url=url, statement="drop table orders")
    assert seen.failure is not None
    assert "a statement that writes needs `mutates = true`" in seen.failure.message
    after = await send("sql", url=url, statement="select count(*) as n from orders")
    assert after.document["row"] == {"n": 3}


class Database:
    """Engine, connection and result of one dialect in one, which records each step."""

    def __init__(self, dialect: str) -> None:
        self.dialect = SimpleNamespace(name=dialect, driver="")
        self.steps: list[str] = []
        self.returns_rows, self.rowcount = False, -1

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Database]:
        yield self

    async def execute(self, statement: Any, _parameters: object = None) -> Database:
        self.steps.append(str(statement))
        return self

    async def commit(self) -> None:
        self.steps.append("COMMIT")

    async def rollback(self) -> None:
        self.steps.append("ROLLBACK")

    def close(self) -> None:
        """Nothing is open."""

    async def dispose(self) -> None:
        """Nothing is open."""


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Database]:
    def use(dialect: str) -> Database:
        database = Database(dialect)
        monkeypatch.setattr("prodwatch.probes.sql.probe._engine", lambda *_: (database, "db"))
        return database

    return use


READ_ONLY = {
    "postgresql": ["SET TRANSACTION READ ONLY"],
    "cockroachdb": ["SET TRANSACTION READ ONLY"],
    "mysql": ["SET SESSION TRANSACTION READ ONLY", "START TRANSACTION READ ONLY"],
    "mariadb": ["SET SESSION TRANSACTION READ ONLY", "START TRANSACTION READ ONLY"],
}


@pytest.mark.parametrize("dialect", READ_ONLY)
async def test_the_transaction_of_a_check_that_does_not_mutate_is_read_only_and_rolled_back(
    send: Send, scripted: Callable[[str], Database], dialect: str
) -> None:
    database = scripted(dialect)
    await send("sql", url="db://", statement="drop table orders")
    assert database.steps == [*READ_ONLY[dialect], "drop table orders", "ROLLBACK"]
    database = scripted(dialect)
    await send("sql", url="db://", statement="drop table orders", mutates=True)
    assert database.steps == ["drop table orders", "COMMIT"]


@pytest.mark.parametrize(
    ("statement", "sent"),
    [
        ("select 1", True),
        ("/* a */ (SELECT 1)", True),
        ("with a as (select 1) select * from a", True),
        ("drop table orders", False),
        ("exec sweep", False),
    ],
)
async def test_a_database_without_read_only_transactions_receives_only_what_reads(
    send: Send, scripted: Callable[[str], Database], statement: str, sent: bool
) -> None:
    database = scripted("mssql")
    seen = await send("sql", url="db://", statement=statement)
    assert database.steps == ([statement, "ROLLBACK"] if sent else [])
    if not sent:
        assert seen.failure is not None
        assert (seen.failure.status, seen.failure.reason) == (Status.ERROR, Reason.INVALID)
        assert "prodwatch cannot make a transaction of mssql read-only" in seen.failure.message


@pytest.mark.parametrize(
    ("statement", "sent"),
    [
        ("select ';' as a; -- ; b", True),
        ("select 1; ;", True),
        ("commit; drop table orders", False),
        ("select 'a'; /* b */ drop table orders", False),
    ],
)
async def test_a_second_statement_cannot_end_the_read_only_transaction(
    send: Send, scripted: Callable[[str], Database], statement: str, sent: bool
) -> None:
    database = scripted("postgresql")
    seen = await send("sql", url="db://", statement=statement)
    assert (statement in database.steps) is sent
    if not sent:
        assert seen.failure is not None
        assert seen.failure.unsent
        assert "`statement` holds several statements" in seen.failure.message


@pytest.mark.parametrize("mutates", [False, True])
@pytest.mark.parametrize("form", ["sqlite:///{}", "sqlite+aiosqlite:///file:{}?uri=true"])
async def test_a_database_that_does_not_exist_is_not_created(
    send: Send, tmp_path: Path, mutates: bool, form: str
) -> None:
    missing = tmp_path / "a missing.db"
    seen = await send("sql", url=form.format(missing), statement="select 1", mutates=mutates)
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.ERROR, Reason.INVALID)
    assert f"the SQLite database {missing} does not exist" in seen.failure.message
    assert not await asyncio.to_thread(missing.exists)


async def test_a_path_with_signs_of_a_url(send: Send, database: str, tmp_path: Path) -> None:
    (tmp_path / "shop.db").rename(tmp_path / "a b#%41.db")
    seen = await send("sql", url=database.replace("shop", "a b#%2541"), statement="select count(*) as n from orders")
    assert seen.document["row"] == {"n": 3}


async def test_a_database_in_memory(send: Send) -> None:
    seen = await send("sql", url="sqlite://", statement="select 1 as one", mutates=True)
    assert seen.document["row"] == {"one": 1}


@pytest.mark.parametrize("statement", ["", "  \n", ";", "-- select 1", "/* a\n */ ; -- b"])
async def test_an_empty_statement_is_an_error(send: Send, database: str, statement: str) -> None:
    seen = await send("sql", url=database, statement=statement)
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.ERROR, Reason.INVALID)
    assert "`statement` is empty" in seen.failure.message
    assert seen.failure.unsent


async def test_columns_of_one_name_are_an_error(send: Send, database: str) -> None:
    seen = await send("sql", url=database, statement="select 1 as id, id from orders")
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.ERROR, Reason.INVALID)
    assert 'several columns named "id"; give each a name of its own with AS' in seen.failure.message


async def test_a_refused_statement_is_the_targets_failure(send: Send, database: str) -> None:
    seen = await send("sql", url=database, statement="select * from missing")
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.FAIL, Reason.TARGET_ERROR)
    assert "refused the statement: no such table: missing" in seen.failure.message


async def test_a_statement_that_takes_too_long(send: Send, database: str) -> None:
    endless = "with recursive n(i) as (select 1 union all select i + 1 from n limit 1000000) select count(*) from n"
    seen = await send("sql", url=database, statement=endless, timeout_s=0.05)
    # SQLite computes on in its own thread; one that ends after this test's loop would disturb another test.
    for thread in threading.enumerate():
        if "_connection_worker_thread" in thread.name:
            await asyncio.to_thread(thread.join)
    assert seen.failure is not None
    assert seen.failure.reason is Reason.TIMEOUT


@pytest.mark.parametrize(
    ("url", "reason", "says"),
    [
        ("nonsense", Reason.INVALID, "is not a SQLAlchemy URL"),
        ("klingon://host/db", Reason.UNAVAILABLE, "klingon"),
        ("postgresql://u:hunter2@host/db", Reason.UNAVAILABLE, "pip install asyncpg"),
        ("sqlite+pysqlite:///x.db", Reason.INVALID, "not an asynchronous driver"),
    ],
)
async def test_urls_that_lead_nowhere(send: Send, url: str, reason: Reason, says: str) -> None:
    seen = await send("sql", url=url, statement="select 1")
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.ERROR, reason)
    assert says in seen.failure.message
    assert "hunter2" not in repr(seen)


async def test_half_a_character(send: Send, database: str) -> None:
    seen = await send("sql", url=database, statement="select :a", parameters={"a": "\ud800"})
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.ERROR, Reason.INVALID)


async def test_without_the_extra(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlalchemy.exc", None)
    seen = await send("sql", url="sqlite://", statement="select 1")
    assert seen.failure is not None
    assert (seen.failure.status, seen.failure.reason) == (Status.ERROR, Reason.UNAVAILABLE)
    assert 'pip install "prodwatch[sql]"' in seen.failure.message


class Refused(Exception):  # noqa: N818 -- as drivers name theirs
    def __init__(self, sqlstate: str, text: str) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        pytest.param(
            ProgrammingError("x", {}, Refused("28P01", "bad password")), Status.ERROR, Reason.ACCESS_DENIED, id="login"
        ),
        pytest.param(
            OperationalError("x", {}, Exception(1045, "denied")), Status.ERROR, Reason.ACCESS_DENIED, id="mysql login"
        ),
        pytest.param(
            ProgrammingError("x", {}, Refused("42P01", "no table")), Status.FAIL, Reason.TARGET_ERROR, id="no table"
        ),
        pytest.param(
            ProgrammingError("x", {}, Refused("25006", "read-only")), Status.ERROR, Reason.INVALID, id="read-only"
        ),
        pytest.param(
            OperationalError("x", {}, Exception(1792, "read-only")), Status.ERROR, Reason.INVALID, id="mysql read-only"
        ),
        pytest.param(ConnectionRefusedError(111, "refused"), Status.FAIL, Reason.CONNECT, id="refused"),
        pytest.param(OperationalError("x", {}, OSError(111, "refused")), Status.FAIL, Reason.CONNECT, id="wrapped"),
    ],
)
def test_errors_of_other_databases(error: Any, status: Status, reason: Reason) -> None:
    found = _failure(error, "db")
    assert (found.status, found.reason) == (status, reason)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        (Decimal("1.10"), Decimal("1.10")),
        (float("nan"), "nan"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (datetime(2026, 1, 2, 3, 4, 5), "2026-01-02T03:04:05"),  # noqa: DTZ001 -- databases give such
        (date(2026, 1, 2), "2026-01-02"),
        (timedelta(seconds=1.5), Duration.from_s(1.5)),
        (memoryview(b"a"), "YQ=="),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ({"a": [1.5, (b"a",)]}, {"a": [Decimal("1.5"), ["YQ=="]]}),
    ],
)
def test_values(value: Any, expected: Any) -> None:
    assert plain(value) == expected
