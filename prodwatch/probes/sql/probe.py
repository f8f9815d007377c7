"""Runs one SQL statement in its own transaction."""

from __future__ import annotations

import asyncio
import math
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from prodwatch.assertions.first_of_several import FirstOfSeveral
from prodwatch.assertions.value_equality_and_order import one_for_all
from prodwatch.errors import UnavailableFeatureError, UnusableError
from prodwatch.model.quantity import Duration
from prodwatch.model.result import Exchange
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Failure, Observation, ProbeContext
from prodwatch.probes.deadline import Deadline
from prodwatch.probes.failures import timed_out, unavailable, unusable

if TYPE_CHECKING:
    from sqlalchemy.engine import URL, CursorResult
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

DEFAULT_MAX_ROWS = 1000
_SHOWN_ROWS = 50
_LOGIN_CLASS = "28"
"""SQLSTATE class of a refused login in PostgreSQL."""
_LOGIN_CODES = frozenset({"1045", "18456"})
"""Error codes of a refused login in MySQL and SQL Server."""
_DRIVERS = {"postgresql": "asyncpg", "mysql": "asyncmy", "mariadb": "asyncmy", "sqlite": "aiosqlite"}
"""Default asynchronous driver of each database."""
_SQLITE = "aiosqlite"
_GRACE_S = 0.1
"""Seconds after the deadline at which SQLite aborts: late enough that the probe reports its own timeout first."""
_STEPS = 10_000
"""Steps of SQLite's virtual machine between two looks at the time."""
_QUOTED = r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|--[^\n]*|/\*.*?\*/|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$"""
_WITHOUT_A_STATEMENT = re.compile(r"(?:\s|;|--[^\n]*|/\*.*?\*/)*", re.DOTALL)
"""A text that drivers accept and run as nothing."""
_READ_ONLY: dict[str, tuple[str, ...]] = {
    "sqlite": ("PRAGMA query_only = ON",),
    "postgresql": ("SET TRANSACTION READ ONLY",),
    "cockroachdb": ("SET TRANSACTION READ ONLY",),
    # The session's mode holds for the transactions that a procedure begins after it has committed the first.
    "mysql": ("SET SESSION TRANSACTION READ ONLY", "START TRANSACTION READ ONLY"),
    "mariadb": ("SET SESSION TRANSACTION READ ONLY", "START TRANSACTION READ ONLY"),
}
"""Statements of each database that make it refuse every change, before it could commit a DDL statement by itself."""
_READ_ONLY_CODES = frozenset({"25006", "1792"})
"""SQLSTATE and MySQL's error code of a change in a read-only transaction."""
_READS = frozenset({"select", "with", "values", "show", "explain", "describe", "desc"})
"""First words of the statements that a database without a read-only transaction receives from a check that only reads.
"""
_FIRST_WORD = re.compile(r"(?:[\s(]|--[^\n]*|/\*.*?\*/)*(\w*)", re.DOTALL)
_QUOTED_OR_END = re.compile(rf"{_QUOTED}|(?P<end>;)", re.DOTALL)
_QUOTED_OR_PARAMETER = re.compile(rf"{_QUOTED}|(?<![:\w\\]):(?P<name>\w+)(?!:)", re.DOTALL)


def warm(_params: Mapping[str, Any], _fill: Callable[[str], Any]) -> None:
    """Import SQLAlchemy where it is installed, which takes a second on a slow machine."""
    with suppress(ImportError):
        import_module("sqlalchemy.ext.asyncio")


async def probe(params: Mapping[str, Any], context: ProbeContext) -> Observation:
    """Run the statement; the document is described on the type's reference page."""
    if _WITHOUT_A_STATEMENT.fullmatch(params["statement"]):
        return unusable(UnusableError("`statement` is empty; write a statement such as `select 1`"))
    try:
        statement = _bindable(params["statement"], params.get("parameters") or {})
        engine, target = _engine(params["url"], context)
        if not context.mutates:
            _check_only_reads(params["statement"], engine.dialect.name)
    except UnavailableFeatureError as missing:
        return unavailable(str(missing))
    except UnusableError as error:
        return unusable(error)
    try:
        return await _ask(engine, target, statement, params, context)
    finally:
        await engine.dispose()


def _engine(written: str, context: ProbeContext) -> tuple[AsyncEngine, str]:
    """Return an engine without pooled connections, and its database for messages, without a password.

    SQLite waits for a lock for up to the timeout.

    Raises UnavailableFeatureError or UnusableError.
    """
    try:
        from sqlalchemy.exc import ArgumentError, InvalidRequestError, NoSuchModuleError
        from sqlalchemy.ext.asyncio import create_async_engine
        from sqlalchemy.pool import NullPool
    except ImportError as error:
        raise UnavailableFeatureError('a `sql` check needs SQLAlchemy: run `pip install "prodwatch[sql]"`') from error
    name = written.partition(":")[0]
    try:
        url = _with_driver(written)
        target = url.set(query={}).render_as_string(hide_password=True)
        waits: dict[str, Any] = {}
        if url.drivername.endswith(_SQLITE):
            waits = {} if "timeout" in url.query else {"timeout": context.timeout_s}
            url = _existing_file(url, mutates=context.mutates)
        return create_async_engine(url, poolclass=NullPool, connect_args=waits), target
    except NoSuchModuleError as error:
        raise UnavailableFeatureError(f'SQLAlchemy knows no "{name}" here: install its dialect') from error
    except InvalidRequestError as error:
        raise UnusableError(f"`url` names {name}, which is not an asynchronous driver; use one that is") from error
    except ArgumentError as error:
        raise UnusableError(
            "`url` is not a SQLAlchemy URL; write one like postgresql+asyncpg://user:password@host/database"
        ) from error
    except ImportError as error:
        raise UnavailableFeatureError(f"the driver of {name} is missing: run `pip install {error.name}`") from error


async def _ask(
    engine: AsyncEngine, target: str, statement: str, params: Mapping[str, Any], context: ProbeContext
) -> Observation:
    from sqlalchemy.exc import SQLAlchemyError

    exchange = Exchange(request={"url": target, "statement": params["statement"]})
    try:
        with Deadline(context.timeout_s) as deadline:
            started_s = context.clock.monotonic_s()
            async with engine.connect() as connection:
                if engine.dialect.driver == _SQLITE:
                    await _stop_at(connection, deadline)
                document = await _run(connection, statement, params, context, started_s=started_s)
    except UnusableError as error:
        return unusable(error, unsent=False)
    except UnicodeEncodeError:
        return unusable(
            UnusableError("`statement` or `parameters` contain a lone surrogate, which UTF-8 cannot encode")
        )
    except UnicodeDecodeError as error:
        message = f"{target} sent text that is not UTF-8: {error.object!r}"
        failure = Failure(status=Status.FAIL, reason=Reason.PROTOCOL, message=message)
        return Observation(failure=failure, exchange=exchange)
    except (ValueError, OverflowError) as error:
        message = f"the driver of {target} cannot represent a value of the check or of the response: {error}"
        return unusable(UnusableError(message), unsent=False)
    except (OSError, SQLAlchemyError) as error:
        failure = timed_out(target, "answer", context.timeout_s) if deadline.expired else _failure(error, target)
        return Observation(failure=failure, exchange=exchange)
    return _observation(document, exchange)


def _with_driver(written: str) -> URL:
    from sqlalchemy.engine import make_url

    url = make_url(written)
    driver = _DRIVERS.get(url.drivername)
    return url.set(drivername=f"{url.drivername}+{driver}") if driver else url


def _existing_file(url: URL, *, mutates: bool) -> URL:
    """Return the URL that opens a file of SQLite without creating it, for reading only unless the check mutates.

    Raises UnusableError for a file that does not exist.
    """
    if url.database in {None, "", ":memory:"} or url.query.get("mode"):
        return url
    database = str(url.database)
    if not database.startswith("file:"):
        database = f"file:{quote(str(Path(database).absolute()))}"
    path = Path(unquote(urlsplit(database).path))
    if not path.is_file():
        raise UnusableError(f"the SQLite database {path} does not exist; a check does not create one")
    return url.set(database=database, query={**url.query, "uri": "true", "mode": "rw" if mutates else "ro"})


def _check_only_reads(statement: str, dialect: str) -> None:
    """Check that a read-only transaction can hold all of `statement`; raises UnusableError.

    A second statement could end the transaction. A database without such a transaction commits DDL by itself.
    """
    ends = (found.end() for found in _QUOTED_OR_END.finditer(statement) if found["end"])
    if (end := next(ends, None)) is not None and not _WITHOUT_A_STATEMENT.fullmatch(statement, end):
        raise UnusableError(
            "`statement` holds several statements, and the second could end the read-only transaction of the first;"
            " write one statement in each check, or set `mutates = true`"
        )
    first = _FIRST_WORD.match(statement)
    word = first[1] if first else ""
    if dialect not in _READ_ONLY and word.lower() not in _READS:
        raise UnusableError(
            f"prodwatch cannot make a transaction of {dialect} read-only, so that it sends no statement that begins"
            f' with "{word}"; set `mutates = true` if it may change data'
        )


async def _stop_at(connection: AsyncConnection, deadline: Deadline) -> None:
    """Make SQLite abort a statement soon after the deadline: closing the connection waits for its thread."""
    raw: Any = (await connection.get_raw_connection()).driver_connection
    now, latest = asyncio.get_running_loop().time, deadline.at + _GRACE_S
    await raw.set_progress_handler(lambda: now() > latest, _STEPS)


async def _run(
    connection: AsyncConnection, statement: str, params: Mapping[str, Any], context: ProbeContext, *, started_s: float
) -> dict[str, Any]:
    from sqlalchemy import text

    now = context.clock.monotonic_s
    if not context.mutates:
        for each in _READ_ONLY.get(connection.dialect.name, ()):
            await connection.execute(text(each))
    connected_s = now()
    limit = params.get("max_rows", DEFAULT_MAX_ROWS)
    result = await connection.execute(text(statement), params.get("parameters") or {})
    rows = _rows(result, limit + 1)
    changed = result.rowcount
    result.close()
    if context.mutates:
        await connection.commit()
    else:
        await connection.rollback()
    document: dict[str, Any] = {
        "latency": Duration.from_s(now() - connected_s),
        "connect": Duration.from_s(connected_s - started_s),
        "more": rows is not None and len(rows) > limit,
    }
    if rows is None:
        document["rows"] = []
        if changed >= 0:
            document["count"] = changed
        return document
    document["rows"] = rows[:limit]
    document["count"] = len(document["rows"])
    if rows and document["more"]:
        document["row"] = FirstOfSeveral("row", f"the first of more than {limit} rows", "rows[]")
    elif rows:
        document["row"] = one_for_all(rows, "row", f"the first of {len(rows)} rows", "rows[]")
    return document


def _bindable(statement: str, parameters: Mapping[str, Any]) -> str:
    """Return `statement` with every colon escaped that does not introduce one of `parameters`.

    Raises UnusableError for a name outside of quotes and comments that `parameters` does not define.
    """

    def escaped(found: re.Match[str]) -> str:
        name = found["name"]
        if name is None:
            return re.sub(r"(?<!\\):(?=\w)", r"\\:", found[0])
        if name in parameters:
            return found[0]
        if name[0].isdigit():  # a slice of an array, such as `tags[:2]`
            return f"\\{found[0]}"
        raise UnusableError(f"`statement` uses :{name}, which `parameters` does not define")

    return _QUOTED_OR_PARAMETER.sub(escaped, statement)


def _rows(result: CursorResult[Any], most: int) -> list[dict[str, Any]] | None:
    """Return up to `most` rows, None for a statement without rows; raises UnusableError for columns of one name."""
    if not result.returns_rows:
        return None
    names = list(result.keys())
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UnusableError(f'`statement` returns several columns named "{twice}"; give each a name of its own with AS')
    return [dict(zip(names, map(plain, row), strict=True)) for row in result.fetchmany(most)]


def _observation(document: dict[str, Any], exchange: Exchange) -> Observation:
    more = document.pop("more")
    rows, count = document["rows"], document.get("count")
    notices: tuple[str, ...] = ()
    if more:
        notices = (
            f"the statement returns more than {count} rows: only these were read; raise `max_rows` to judge all",
        )
    return Observation(
        document=document,
        complete=not more,
        exchange=Exchange(
            request=exchange.request,
            response={"count": count, "rows": rows[:_SHOWN_ROWS]},
            phases_ms={"connect": round(document["connect"].ms, 3), "ttfb": round(document["latency"].ms, 3)},
            truncated=more or len(rows) > _SHOWN_ROWS,
        ),
        notices=notices,
    )


def _failure(error: OSError | SQLAlchemyError, target: str) -> Failure:
    from sqlalchemy.exc import DBAPIError, InterfaceError

    original = getattr(error, "orig", None) or error
    message = next(iter(str(original).splitlines()), type(original).__name__)
    code = getattr(original, "sqlite_errorname", "").split("_")[:2]
    if code == ["SQLITE", "CANTOPEN"]:
        message = f"{target} cannot be read by this machine's user: {message}"
        return Failure(status=Status.ERROR, reason=Reason.INVALID, message=message)
    if code == ["SQLITE", "READONLY"] or _code(original) in _READ_ONLY_CODES:
        message = f"{target} can only be read: {message}; a statement that writes needs `mutates = true`"
        return Failure(status=Status.ERROR, reason=Reason.INVALID, message=message)
    if isinstance(original, OSError) or (isinstance(error, DBAPIError) and error.connection_invalidated):
        return Failure(
            status=Status.FAIL,
            reason=Reason.CONNECT,
            message=f"{target} could not be reached: {message}",
            transient=True,
        )
    if _is_login(original):
        return Failure(
            status=Status.ERROR,
            reason=Reason.ACCESS_DENIED,
            message=f"{target} refused the login: {message}",
        )
    reason = Reason.CONNECT if isinstance(error, InterfaceError) else Reason.TARGET_ERROR
    return Failure(status=Status.FAIL, reason=reason, message=f"{target} refused the statement: {message}")


def _code(original: BaseException) -> str:
    """Return SQLSTATE, or the database's own code where the driver has none."""
    return str(getattr(original, "sqlstate", None) or next(iter(original.args), ""))


def _is_login(original: BaseException) -> bool:
    code = _code(original)
    return code in _LOGIN_CODES or (len(code) == 5 and code.startswith(_LOGIN_CLASS))


def plain(value: Any) -> Any:
    """Return `value` as text, number, list, table or null; times that know their zone and spans keep their kind.

    A float becomes the decimal it is shown as, bytes become base64 text, anything unknown its text.
    """
    if value is None or isinstance(value, bool | int | str | Decimal):
        return value
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    return next((convert(value) for kind, convert in _SCALARS if isinstance(value, kind)), str(value))


def _number(value: float) -> Decimal | str:
    return Decimal(repr(value)) if math.isfinite(value) else str(value)


def _moment(value: datetime) -> datetime | str:
    return value.isoformat() if value.tzinfo is None else value


def _span(value: timedelta) -> Duration:
    return Duration(value // timedelta(microseconds=1) * 1000)


_SCALARS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (float, _number),
    (datetime, _moment),
    (date | time, lambda value: value.isoformat()),
    (timedelta, _span),
    (bytes | bytearray | memoryview, lambda value: b64encode(bytes(value)).decode()),
)
