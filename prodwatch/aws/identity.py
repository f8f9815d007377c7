"""Who the credentials belong to, and how far this machine's clock is from AWS's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The answer of GetCallerIdentity."""

    account: str
    arn: str
    clock_skew_s: float | None = None
    """This machine's clock minus AWS's, in seconds, to about a second; None when AWS did not say its time."""


def identify(answer: Mapping[str, Any], now: datetime) -> Identity:
    """Return the identity in an answer that arrived at `now`."""
    return Identity(account=answer["Account"], arn=answer["Arn"], clock_skew_s=skew_s(answer, now))


def skew_s(answer: Mapping[str, Any], now: datetime) -> float | None:
    """Return this machine's clock minus AWS's by the `Date` of an answer that arrived at `now`; None without one."""
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    if not date:
        return None
    try:
        told = parsedate_to_datetime(date)
    except ValueError:
        return None
    if told.tzinfo is None:
        told = told.replace(tzinfo=UTC)
    return (now - told).total_seconds()
