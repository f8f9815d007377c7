"""A staged release from its TOML file: versions, their behaviour, and the script of events."""

from __future__ import annotations

from importlib.resources import files
from typing import Literal

import msgspec
import tomli

from prodwatch.errors import ConfigurationError
from prodwatch.text.units import parse_duration

SCENARIOS = files("prodwatch.demo") / "scenarios"
MOMENTS = ("before", "during", "after")

MAX_ORDERS_PER_S = 58
"""Limit of the traffic: it has 64 slots a second, and the load varies by up to a tenth."""


class Release(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The released function and its versions."""

    function: str
    alias: str
    last_week: str
    """The version that served last week's same hour."""
    previous: str
    version: str
    deployment_config: str
    same_code: bool = False
    """The version has the previous one's code: only its configuration changed."""


class Traffic(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Load of the shop."""

    orders_per_s: float
    traced: float
    """Share of the requests that X-Ray samples, 0 to 1."""
    reaches_new: bool = True
    """False: every request stays on the previous version, whatever weight the alias reports."""


class Rise(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Linear rise of the share of failing requests; a held scenario does not hold it."""

    to: float
    """Share at the end, 0 to 1."""
    over: str
    """Scenario time that it takes, from the new version's first request on: `15m`."""


class Behaviour(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Behaviour of one version of the released function."""

    latency_ms: tuple[tuple[float, float], ...]
    """Its quantile function: (share of requests, milliseconds at most), from 0 to 1."""
    error_share: float
    """0 to 1; at 1 the version answers no request."""
    error: str
    """Exception that the failing share raises: `KeyError: 'currency'`."""
    frames: tuple[tuple[str, int, str, str], ...]
    """Its frames: (file, line, function, source) from the outside in."""
    table_scan: bool = False
    """Its listings read the whole table; those over a second are logged as slow queries."""
    strict_currency: bool = False
    """It requires a currency on every product."""
    missing_module: str = ""
    """A module that its deployment package lacks, so that every request fails."""
    error_rise: Rise | None = None
    """None: the share of failing requests stays at `error_share`."""
    environment: dict[str, str] = {}
    """Environment variables of this version, besides those of all."""

    def error_share_at(self, scenario_s: float) -> float:
        """Return the share of failing requests at a scenario time, 0 to 1."""
        if self.error_rise is None:
            return self.error_share
        risen = min(1.0, max(0.0, scenario_s / seconds(self.error_rise.over)))
        return self.error_share + (self.error_rise.to - self.error_share) * risen


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One event of the scenario."""

    at: str
    """Time since the new version's first request: `-50s`, `0s`, `2m20s`."""
    do: Literal["stack", "publish", "deploy", "hook", "shift", "alarm", "stop", "roll back", "finish"]
    status: str = ""
    """Of the stack, the hook or the alarm."""
    subject: str = ""
    """The alarm's name, the stack's resource."""
    weight: float | None = None
    """Share of the traffic on the new version from now on."""
    reason: str = ""

    @property
    def at_s(self) -> float:
        """Scenario seconds since the new version's first request."""
        return seconds(self.at)


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One staged release."""

    title: str
    seed: int
    release: Release
    moments: dict[str, str]
    """Name → scenario time; `live` is the start of a played scenario."""
    traffic: Traffic
    behaviour: dict[str, Behaviour]
    """By version; `default` is for all others."""
    script: tuple[Step, ...]

    def of(self, version: str) -> Behaviour:
        """Return the behaviour of `version`."""
        return self.behaviour.get(version, self.behaviour["default"])

    def moment_s(self, at: str | None) -> float:
        """Return the scenario time of `before`, `during`, `after`, `+90s`; None is the start of a played scenario."""
        if at is None:
            return seconds(self.moments["live"])
        if at in self.moments:
            return seconds(self.moments[at])
        if at.startswith(("+", "-")):
            try:
                return seconds(at)
            except ValueError:
                pass
        raise ConfigurationError(
            f'"{at}" is not a moment of the staged release; write {", ".join(MOMENTS)}, or a time such as +90s'
        )


def seconds(text: str) -> float:
    """Read `3m12s`, `+90s`, `-2m` as seconds; ValueError otherwise."""
    return parse_duration(text.removeprefix("+")).s


def names() -> list[str]:
    """Return the scenarios that come with prodwatch."""
    return sorted(file.name.removesuffix(".toml") for file in SCENARIOS.iterdir() if file.name.endswith(".toml"))


def load(name: str) -> Scenario:
    """Return the scenario called `name`; ConfigurationError lists the known ones."""
    if name not in names():
        raise ConfigurationError(f'unknown staged release "{name}"; known: {", ".join(names())}')
    return parse((SCENARIOS / f"{name}.toml").read_text("utf-8"), name)


def parse(text: str, name: str) -> Scenario:
    """Read a scenario's TOML; ConfigurationError names the mistake."""
    try:
        scenario = msgspec.convert(tomli.loads(text), Scenario, strict=False)
        _validate(scenario)
    except (tomli.TOMLDecodeError, msgspec.ValidationError, ValueError) as error:
        raise ConfigurationError(f'staged release "{name}": {error}') from error
    return scenario


def _validate(scenario: Scenario) -> None:
    if missing := {"live", *MOMENTS} - set(scenario.moments):
        raise ValueError(f"[moments] lacks {', '.join(sorted(missing))}")
    if "default" not in scenario.behaviour:
        raise ValueError("[behaviour.default] is missing")
    if not 0 < scenario.traffic.orders_per_s <= MAX_ORDERS_PER_S:
        raise ValueError(f"traffic.orders_per_s must be between 0 and {MAX_ORDERS_PER_S}")
    times = [step.at_s for step in scenario.script]
    if times != sorted(times):
        raise ValueError("the steps of [[script]] must be in the order of their time")
    for moment in scenario.moments.values():
        seconds(moment)
    for version, behaviour in scenario.behaviour.items():
        shares = [share for share, _ in behaviour.latency_ms]
        if shares != sorted(shares) or shares[:1] != [0] or shares[-1:] != [1]:
            raise ValueError(f"behaviour.{version}.latency_ms must rise from share 0 to share 1")
        rise = behaviour.error_rise
        if rise is not None and not (0 <= rise.to <= 1 and seconds(rise.over) > 0):
            raise ValueError(f"behaviour.{version}.error_rise must lead to a share between 0 and 1 in some time")
