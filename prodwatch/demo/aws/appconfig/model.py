"""A scripted deployment of a configuration and its state at any moment."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from prodwatch.demo.aws.api_call import Document

_MINUTE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationDeployment:
    """One deployment: it grows in equal steps, bakes, and completes, or goes back at `back_s`."""

    application: str
    environment: str
    profile: str
    number: int
    """Unique in the environment; a later deployment has a higher one."""
    version: str
    started_s: float
    """Wall time, epoch seconds; before it the deployment does not exist."""
    growth_percent: float = 20.0
    """Percentage of targets that each step adds."""
    duration_min: int = 10
    bake_min: int = 10
    alarms: Sequence[str] = ()
    """Names of the environment's monitors."""
    back_s: float | None = None
    """When it goes back, None when it completes."""
    back_by: Literal["USER", "CLOUDWATCH_ALARM"] = "CLOUDWATCH_ALARM"

    @property
    def baking_s(self) -> float:
        """When all targets have the configuration."""
        return self.started_s + self.duration_min * _MINUTE_S

    @property
    def completed_s(self) -> float:
        """When the bake ends."""
        return self.baking_s + self.bake_min * _MINUTE_S

    def state(self, now_s: float) -> str:
        """Return AWS's state at a moment; a deployment that goes back after its completion is reverted."""
        if self.back_s is not None and now_s >= self.back_s:
            return "REVERTED" if self.back_s >= self.completed_s else "ROLLED_BACK"
        if now_s >= self.completed_s:
            return "COMPLETE"
        return "BAKING" if now_s >= self.baking_s else "DEPLOYING"

    def percentage(self, now_s: float) -> float:
        """Return the percentage of targets that have the configuration."""
        if self.state(now_s) != "DEPLOYING":
            return 0.0 if self.state(now_s) in {"ROLLED_BACK", "REVERTED"} else 100.0
        return self._percentage_after(self._steps_by(now_s))

    def event_log(self, now_s: float) -> list[Document]:
        """Return AWS's events up to a moment, newest first."""
        events = [each for each in self._events() if each["OccurredAt"] <= now_s]
        return sorted(events, key=lambda each: float(each["OccurredAt"]), reverse=True)

    def _events(self) -> Iterator[Document]:
        back_s = math.inf if self.back_s is None else self.back_s
        planned = [("DEPLOYMENT_STARTED", self.started_s, "USER", "Deployment started")]
        for step in range(1, self._steps + 1):
            text = f"Configuration available to {self._percentage_after(step):.2f}% of clients"
            planned.append(("PERCENTAGE_UPDATED", self.started_s + step * self._step_s, "APPCONFIG", text))
        planned.append(("BAKE_TIME_STARTED", self.baking_s, "APPCONFIG", f"Bake time of {self.bake_min} minutes"))
        planned.append(("DEPLOYMENT_COMPLETED", self.completed_s, "APPCONFIG", "Deployment completed"))
        kept = [each for each in planned if each[1] < back_s]
        if self.back_s is not None:
            is_over = self.back_s >= self.completed_s
            ends = ("REVERT_COMPLETED",) if is_over else ("ROLLBACK_STARTED", "ROLLBACK_COMPLETED")
            kept += [(each, self.back_s, self.back_by, each.replace("_", " ").capitalize()) for each in ends]
        for kind, at_s, cause, text in kept:
            yield {"EventType": kind, "OccurredAt": at_s, "TriggeredBy": cause, "Description": text}

    @property
    def _steps(self) -> int:
        return math.ceil(100 / self.growth_percent)

    @property
    def _step_s(self) -> float:
        return self.duration_min * _MINUTE_S / self._steps

    def _steps_by(self, now_s: float) -> int:
        return int((now_s - self.started_s) // self._step_s) if self._step_s else self._steps

    def _percentage_after(self, steps: int) -> float:
        return min(100.0, steps * self.growth_percent)


def short_id(*names: str) -> str:
    """Return AWS's form of an id: seven letters and digits."""
    return hashlib.blake2b("/".join(names).encode(), digest_size=8).hexdigest()[:7]
