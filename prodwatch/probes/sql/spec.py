"""What a `sql` check may say and what its answer looks like."""

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
            "Runs one statement through SQLAlchemy and judges its rows. Needs the extra `prodwatch[sql]`"
            " and the database's asynchronous driver. The statement runs in a transaction of its own,"
            " committed only when the check says `mutates = true`. A database that refuses the connection or"
            " the statement is a `fail`; one that refuses the login is an `error`."
        ),
        keys=(
            Key(
                name="url",
                kind="text",
                required=True,
                doc="SQLAlchemy URL: `postgresql+asyncpg://user:password@host/db`. Its password is never shown.",
            ),
            Key(name="statement", kind="text", required=True, doc="One statement; `:name` stands for a parameter."),
            Key(name="parameters", kind="table", doc="Values of the statement's `:name`s, sent apart from its text."),
            Key(
                name="max_rows",
                kind="integer",
                default=1000,
                minimum=1,
                doc="Rows that are read; more are said, not read.",
            ),
        ),
        fields=(
            Field(
                name="rows",
                kind="list",
                doc="Rows as tables, column = value. Numbers are exact; dates and bytes are text (ISO 8601, base64).",
            ),
            Field(name="row", kind="table", doc="The first row; absent when there is none."),
            Field(
                name="count",
                kind="integer",
                doc=(
                    "Rows read, or rows changed by a statement that returns none; absent when the database does"
                    " not say."
                ),
            ),
            Field(name="latency", kind="duration", doc="From sending the statement to its last row, connection ready."),
            Field(name="connect", kind="duration", doc="Connecting and logging in."),
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
