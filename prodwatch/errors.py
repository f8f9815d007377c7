"""Every error that prodwatch raises deliberately.

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
    """One configuration error: its position and one sentence."""

    position: SourcePosition | None
    message: str

    def __str__(self) -> str:
        return f"{self.position}: {self.message}" if self.position else self.message


class ProdwatchError(Exception):
    """Base class; the text is one sentence for the user."""


class ConfigurationError(ProdwatchError):
    """The configuration cannot be run; carries all problems."""

    def __init__(self, problems: Sequence[Problem] | str) -> None:
        problem_list = (Problem(None, problems),) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(map(str, problem_list)))
        self.problems = problem_list


class NothingSelectedError(ProdwatchError):
    """The selection contains no check."""


class CannotVerifyError(ProdwatchError):
    """Nothing can be measured; `reason` classifies the cause."""

    def __init__(self, message: str, reason: Reason) -> None:
        super().__init__(message)
        self.reason = reason


class UnavailableFeatureError(ProdwatchError):
    """An optional feature is not installed; the text names the command that installs it."""


class UnusableError(Exception):
    """A value filled at run time is invalid; the text is one sentence for the user."""
