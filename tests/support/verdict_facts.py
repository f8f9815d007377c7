"""Facts of a verdict, built in one line."""

from __future__ import annotations

from typing import Any, Literal

from prodwatch.judge.facts import CheckFact, Facts, Mode, SignalFact, SourceFact
from prodwatch.model.comparison import (
    ComparedVersion,
    ComparisonKind,
    ComparisonResult,
    Coverage,
    RouteCoverage,
    SignatureResult,
)
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


def comparison(status: Status, kind: ComparisonKind = "errors", **changes: Any) -> ComparisonResult:
    """Return a comparison of two versions of one function, which gates unless it is said otherwise."""
    return ComparisonResult(
        **{
            "kind": kind,
            "id": f"f {kind}",
            "function": "f",
            "basis": "requests",
            "status": status,
            "message": f"{kind} 5.1 % against 0.1 %",
            "canary": ComparedVersion(version="42", requests=1204, bad=61, share=0.051),
            "baseline": ComparedVersion(version="41", requests=10_836, bad=11, share=0.001),
            **changes,
        }
    )


def signature(status: Status, **changes: Any) -> SignatureResult:
    """Return an error signature of the new version, which gates unless it is said otherwise."""
    return SignatureResult(
        **{
            "id": "a1b2c3d4",
            "function": "f",
            "version": "42",
            "signature": "KeyError 'tenant'",
            "example": "KeyError: 'tenant'",
            "status": status,
            "new": True,
            "canary": 5,
            "message": "KeyError 'tenant': 5 requests, 0.4 % of the new version",
            **changes,
        }
    )


def coverage(*, served: int, routes: int = 9, needed: float = 1.0) -> Coverage:
    """Return how many routes of the old version the new one has served."""
    message = f"judged on {served} of {routes} routes, 97 % of traffic"
    function = RouteCoverage(
        function="f", version="42", baseline="41", routes=routes, served=served, traffic=0.97, message=message
    )
    return Coverage(needed=needed, served=served, routes=routes, traffic=0.97, message=message, functions=(function,))
