"""Facts of a verdict, built in one line."""

from __future__ import annotations

from typing import Any, Literal

from prodwatch.judge.facts import CheckFact, Facts, Mode, SignalFact, SourceFact
from prodwatch.model.signal import SourcePhase
from prodwatch.model.status import Status


def check(id: str = "a", status: Status | None = Status.PASS, **more: Any) -> CheckFact:  # noqa: A002 -- as in TOML
    """Return a check that ran just now, every 30 s."""
    values: dict[str, Any] = {"title": id, "message": f"because {id}", "age_s": 1.0, "every_s": 30.0, **more}
    return CheckFact(id=id, status=status, **values)


def signal(status: Status, kind: Literal["metric", "alarm"] = "metric", **more: Any) -> SignalFact:
    """Return an evaluated metric or alarm."""
    return SignalFact(kind=kind, id=more.pop("id", "p95"), status=status, **more)


def source(name: str = "alarms", phase: SourcePhase = SourcePhase.LIVE, **more: Any) -> SourceFact:
    """Return a source that was read just now."""
    return SourceFact(name=name, phase=phase, **{"age_s": 1.0, **more})


def facts(*checks: CheckFact, mode: Mode = "session", **more: Any) -> Facts:
    """Return the facts of these checks and whatever else is named."""
    return Facts(mode=mode, checks=checks, **more)
