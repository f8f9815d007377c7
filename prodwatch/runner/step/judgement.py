"""What judging one answer gave: the assertions, and whether together they hold, do not, or cannot be known."""

from __future__ import annotations

import msgspec

from prodwatch.model.result import AssertionResult


class Judgement(msgspec.Struct, frozen=True):
    """Assertions judged on one document, raw: nothing in here has been cleaned yet."""

    results: tuple[AssertionResult, ...] = ()
    ok: bool | None = True
    """True when all hold, False when one does not, None when none is false but one cannot be decided."""
    nothing_there: bool = False
    """What the first assertion that does not hold asked for was missing, null, empty or zero."""

    @property
    def first_bad(self) -> AssertionResult | None:
        """Return the first false assertion, else the first undecidable one, else None."""
        if self.ok is True:
            return None
        wanted = False if self.ok is False else None
        return next((result for result in self.results if result.ok is wanted), None)
