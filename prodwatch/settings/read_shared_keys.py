"""Reads the keys that checks and steps of all types share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from prodwatch.settings.check_keys import RUNTIME_KEYS
from prodwatch.settings.load_time_values import Statics, settle_table
from prodwatch.settings.problems import TomlCursor
from prodwatch.settings.suggestions import did_you_mean, listing
from prodwatch.settings.table_reader import read_table


class CheckContext(msgspec.Struct, frozen=True):
    """Names and values that a check can refer to."""

    environments: tuple[str, ...]
    """Names of all environments of the project; empty when unknown."""
    accounts: frozenset[str] | None
    """Names of `[aws.accounts]`; None when unknown."""
    statics: Statics


def read_common(
    cursor: TomlCursor, table: Mapping[str, Any], names: frozenset[str], keys: tuple[Any, ...], context: CheckContext
) -> dict[str, Any]:
    """Return the valid shared keys of a table; `type` is validated by `spec_of`."""
    written = {name: value for name, value in table.items() if name in names and name != "type"}
    settled = settle_table(cursor, written, context.statics, RUNTIME_KEYS)
    right = read_table(cursor, {**settled, "type": ""}, keys)
    account = right.get("account")
    known = context.accounts
    if account is not None and known is not None and account not in known:
        hint = did_you_mean(account, known) or f"; known: {listing(known)}"
        cursor.at("account").report(f'account "{account}" is not in [aws.accounts]{hint}')
    return right
