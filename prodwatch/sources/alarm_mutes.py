"""Reads which mute rule keeps an alarm's actions from running."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.clock import Clock
from prodwatch.model.identity import AlarmId, Place
from prodwatch.model.status import Reason
from prodwatch.sources.error_status import DENIED_EVERY_S

EVERY_S = 60.0
"""Pause between searches for the mute rules of one alarm."""
_REFUSED = frozenset((Reason.ACCESS_DENIED, Reason.API_ERROR))
"""Causes of errors that concern every alarm of an account and region."""


class _Mute(NamedTuple):
    """Mute rule of one alarm as last read."""

    due_s: float
    """Monotonic second of the next read."""
    rule: str | None = None


_NOT_READ = _Mute(float("-inf"))


class MuteRuleReader:
    """Searches for the active mute rule of each alarm once a minute."""

    def __init__(self, aws: AwsApi, clock: Clock, clean: Callable[[str], str]) -> None:
        self._aws = aws
        self._clock = clock
        self._clean = clean
        self._mutes: dict[AlarmId, _Mute] = {}
        self._errors: dict[Place, tuple[float, str]] = {}
        """Place → monotonic second of the next attempt and the error."""

    async def of(self, alarm: AlarmId) -> str | None:
        """Return the rule that mutes an alarm, with its end; None without one or where rules cannot be read.

        Raises AwsError when the user's limit is exhausted.
        """
        known = self._mutes.get(alarm, _NOT_READ)
        now_s = self._clock.monotonic_s()
        retry_s, _ = self._errors.get(alarm.place, (float("-inf"), ""))
        if now_s < max(known.due_s, retry_s):
            return known.rule
        try:
            response = await self._aws.call(
                "cloudwatch",
                "ListAlarmMuteRules",
                {"AlarmName": alarm.name, "Statuses": ["ACTIVE"]},
                account=alarm.place.account or None,
                region=alarm.place.region or None,
            )
        except AwsError as error:
            if error.reason is Reason.LIMIT:
                raise
            wait_s = DENIED_EVERY_S if error.reason in _REFUSED else EVERY_S
            self._errors[alarm.place] = (now_s + wait_s, f"alarm mute rules: {error.message}")
            return known.rule
        self._errors.pop(alarm.place, None)
        rules = response.get("AlarmMuteRuleSummaries") or ()
        rule = self._clean(_words(rules[0])) if rules else None
        self._mutes[alarm] = _Mute(now_s + EVERY_S, rule)
        return rule

    def notes(self) -> list[str]:
        """Return why mute rules could not be read."""
        return [message for _, message in self._errors.values()]


def _words(rule: dict[str, Any]) -> str:
    name = str(rule.get("AlarmMuteRuleArn", "")).rpartition(":")[2] or "without a name"
    expires = rule.get("ExpireDate")
    return f"{name}, which expires {expires:%Y-%m-%d %H:%M} UTC" if expires is not None else name
