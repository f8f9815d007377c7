"""Every error prodwatch raises on purpose.

ProdwatchError
├── ConfigurationError        files or options are wrong: exit 2, every problem listed
├── NothingSelectedError      the selection is empty: exit 5
├── CannotVerifyError         identity, credentials or account unusable: exit 3
└── UnavailableFeatureError   an optional extra or program is missing: exit 2
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from prodwatch.model.check import SourcePosition
from prodwatch.model.status import Reason


class Problem(msgspec.Struct, frozen=True, order=True):
    """One configuration error: where, and one sentence."""

    position: SourcePosition | None
    message: str

    def __str__(self) -> str:
        return f"{self.position}: {self.message}" if self.position else self.message


class ProdwatchError(Exception):
    """Base of all; its text is one sentence for the user."""


class ConfigurationError(ProdwatchError):
    """What the user wrote cannot be run; carries every problem found."""

    def __init__(self, problems: Sequence[Problem] | str) -> None:
        found = (Problem(None, problems),) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(map(str, found)))
        self.problems = found


class NothingSelectedError(ProdwatchError):
    """The selection left no check to run."""


class CannotVerifyError(ProdwatchError):
    """Nothing can be measured at all; `reason` says which kind."""

    def __init__(self, message: str, reason: Reason) -> None:
        super().__init__(message)
        self.reason = reason


class UnavailableFeatureError(ProdwatchError):
    """Something optional is not installed; the text names the command that installs it."""
