"""Keys and document of a `sql` check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prodwatch.model.spec import Field, Key, ProbeSpec


def _mutation(_params: Mapping[str, Any]) -> str:
    return "a SQL statement may change data"


SPECS = (
    ProbeSpec(
        type="sql",
        title="SQL statement",
        doc=(
            "Runs one statement with SQLAlchemy; the document is its rows. Needs the extra `prodwatch[sql]` and an"
            " asynchronous driver for the database. The statement runs in its own transaction, which is committed"
            " only with `mutates = true`. Without it the transaction is rolled back, and is read-only in PostgreSQL,"
            " CockroachDB, MySQL, MariaDB and SQLite: a statement that writes, DDL included, is an `error`, and so"
            " are several statements in one text. Other databases have no such transaction in prodwatch and receive"
            " only statements that begin with `select`, `with`, `values`, `show`, `explain` or `describe`. A"
            " read-only transaction does not cover effects outside of tables, such as files, server settings, locks,"
            " terminated sessions and procedures that change its mode: give the check a user that may only read. A"
            " file of SQLite is never created. Columns of one name are an `error`, so that no value is lost. A"
            " database that refuses the connection or the statement is a `fail`; one that refuses the login is an"
            " `error`."
        ),
        keys=(
            Key(
                name="url",
                kind="text",
                required=True,
                doc="SQLAlchemy URL: `postgresql+asyncpg://user:password@host/db`. Its password is never shown.",
            ),
            Key(
                name="statement",
                kind="text",
                required=True,
                doc="One statement; `:name` outside of quotes is one of `parameters`.",
            ),
            Key(name="parameters", kind="table", doc="Values of the parameters, sent separately from the statement."),
            Key(
                name="max_rows",
                kind="integer",
                default=1000,
                minimum=1,
                doc="Largest number of rows that are read; further rows are only reported.",
            ),
        ),
        fields=(
            Field(
                name="rows",
                kind="list",
                doc="Rows as tables, column = value; numbers are exact, dates and bytes are text (ISO 8601, base64).",
            ),
            Field(
                name="row",
                kind="table",
                doc=(
                    "The row; absent without rows. Of several rows, a column that differs between them is inconclusive:"
                    " use `rows`."
                ),
            ),
            Field(
                name="count",
                kind="integer",
                behind="rows",
                doc=(
                    "Number of rows read, or changed by a statement without rows; absent when the database does not"
                    " report it."
                ),
            ),
            Field(
                name="latency",
                kind="duration",
                doc="Time from sending the statement to its last row, on an open connection.",
            ),
            Field(name="connect", kind="duration", doc="Time for connecting and logging in."),
        ),
        example="""\
[[check]]
name = "orders are being written"
type = "sql"
mutates = false
url = "postgresql+asyncpg://watch@db.shop.internal/shop"
statement = "select count(*) as recent from orders where created_at > now() - interval '5 minutes'"
expect = ["row.recent > 0", "latency < 500ms"]
""",
        mutation=_mutation,
    ),
)
