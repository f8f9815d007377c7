"""The keys a table has whatever its type is, read against what surrounds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from prodwatch.settings.check_keys import LATE
from prodwatch.settings.problems import Spot
from prodwatch.settings.static_values import Statics, settle_table
from prodwatch.settings.suggestions import did_you_mean, listing
from prodwatch.settings.table_reader import read_table


class Surroundings(msgspec.Struct, frozen=True):
    """What a check is read against."""

    environments: tuple[str, ...]
    """Names of all environments of the project; empty when unknown."""
    accounts: frozenset[str] | None
    """Names of `[aws.accounts]`; None when unknown."""
    statics: Statics


def read_common(
    spot: Spot, table: Mapping[str, Any], names: frozenset[str], keys: tuple[Any, ...], around: Surroundings
) -> dict[str, Any]:
    """Return the right ones of the common keys; `type` is judged by `spec_of` alone."""
    written = {name: value for name, value in table.items() if name in names and name != "type"}
    settled = settle_table(spot, written, around.statics, LATE)
    right = read_table(spot, {**settled, "type": ""}, keys)
    account = right.get("account")
    known = around.accounts
    if account is not None and known is not None and account not in known:
        hint = did_you_mean(account, known) or f"; known: {listing(known)}"
        spot.at("account").report(f'account "{account}" is not in [aws.accounts]{hint}')
    return right
