"""Identities of what is watched: one name may exist in several accounts, one version number in many functions.

Every key of logs, signatures, metrics, alarms, deployments, events and releases consists of these values.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class Place(msgspec.Struct, frozen=True, order=True, gc=False):
    """An account and a region; each is empty where it is the environment's own."""

    account: str = ""
    """Name of an `[accounts.NAME]` table."""
    region: str = ""

    def __bool__(self) -> bool:
        """Return whether it differs from the environment's own account and region."""
        return bool(self.account or self.region)

    def __str__(self) -> str:
        """Return `account/region` without empty parts."""
        return "/".join(filter(None, (self.account, self.region)))


HOME = Place()
"""The environment's own account and region."""
OWN_PLACE = "home"
"""Its name where texts and filters need one."""


LAMBDA_GROUPS = "/aws/lambda/"
"""Prefix of the log groups that Lambda creates for functions without one of their own."""


class GroupId(msgspec.Struct, frozen=True, order=True, gc=False):
    """A log group."""

    name: str
    place: Place = HOME

    @property
    def key(self) -> str:
        """Return a text that is unique among the groups of all accounts and regions."""
        return ":".join(filter(None, (self.place.account, self.place.region, self.name)))

    @property
    def short_name(self) -> str:
        """Return the last part of the name: `/aws/lambda/x` is `x`."""
        return self.name.rsplit("/", 1)[-1] or self.name


def writers_of(function: str, group: GroupId) -> tuple[GroupId, ...]:
    """Return the identities that the lines of a function may have as their writer; `group` is its log group."""
    return tuple(dict.fromkeys((GroupId(f"{LAMBDA_GROUPS}{function}", group.place), group)))


class AlarmId(msgspec.Struct, frozen=True, order=True, gc=False):
    """An alarm."""

    name: str
    place: Place = HOME


class FunctionId(msgspec.Struct, frozen=True, order=True, gc=False):
    """A function, or one of its aliases."""

    name: str
    alias: str = ""
    """Empty for the function as a whole."""
    place: Place = HOME

    @property
    def subject(self) -> str:
        """Return `function:alias`, or the function's name without an alias."""
        return f"{self.name}:{self.alias}" if self.alias else self.name


def source_name(kind: str, place: Place) -> str:
    """Return the name of a source that reads one account and region: `traces`, `traces:us-east-1`."""
    return f"{kind}:{place}" if place else kind


class PlaceNames:
    """Names as shown: followed by the account and region where one name exists in several, and only there."""

    def __init__(self, known: Iterable[tuple[str, Place]] = ()) -> None:
        """`known` are the names and places of everything that is shown together."""
        self._places: dict[str, set[Place]] = {}
        self.longest = 0
        """Cells of the longest suffix."""
        for name, place in known:
            self.add(name, place)

    def add(self, name: str, place: Place) -> None:
        """Add one name and place."""
        places = self._places.setdefault(name, set())
        places.add(place)
        if len(places) > 1:
            self.longest = max(self.longest, *(len(self.suffix(name, each)) for each in places))

    def shared(self, name: str) -> bool:
        """Return whether the name exists in several places."""
        return len(self._places.get(name, ())) > 1

    def suffix(self, name: str, place: Place) -> str:
        """Return ` in account/region`; empty where the name alone is unique, and in the environment's own place."""
        return f" in {place}" if place and self.shared(name) else ""

    def of(self, name: str, place: Place) -> str:
        """Return the name with its suffix."""
        return name + self.suffix(name, place)


def unique_name(name: str, place: Place) -> str:
    """Return a text that is unique among all places, for ids in documents: the name, and the place if it differs."""
    return f"{name} in {place}" if place else name
