"""Checks that a misspelt or incomplete name may mean, and the sentence that offers them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prodwatch.model.check import CheckDefinition
    from prodwatch.runner.schedule.selection import Selection
    from prodwatch.settings import Project

_OFFERED = 5
"""Most candidates in one sentence."""
_ALIKE = 0.6
"""Similarity from which a name is a candidate, from 0 to 1."""


def near_checks(name: str, checks: Iterable[CheckDefinition]) -> list[str]:
    """Return ids, best first: those that contain `name`, else those with a part that resembles it."""
    from difflib import SequenceMatcher

    needle = name.casefold().strip()
    if not needle:
        return []
    scored: list[tuple[float, str]] = []
    for check in checks:
        texts = [each.casefold() for each in (check.id, check.name, check.title)]
        if any(needle in each for each in texts):
            scored.append((1.0, check.id))
            continue
        parts = {*texts, *(word for each in texts for word in each.replace("/", " ").replace("-", " ").split())}
        matcher = SequenceMatcher(None, "", needle)
        best = 0.0
        for part in parts:
            matcher.set_seq1(part)
            if matcher.quick_ratio() >= _ALIKE:
                best = max(best, matcher.ratio())
        if best >= _ALIKE:
            scored.append((best, check.id))
    contained = [id_ for score, id_ in scored if score == 1.0]
    return contained or [id_ for _, id_ in sorted(scored, key=lambda each: -each[0])]


def candidates(ids: Sequence[str]) -> str:
    """Return ` (did you mean …?)` for ids, best first; a hint at the list of all for none."""
    if not ids:
        return "; prodwatch list shows all ids"
    more = f", and {len(ids) - _OFFERED} more" if len(ids) > _OFFERED else ""
    quoted = ", ".join(f'"{each}"' for each in ids[:_OFFERED])
    return f" (did you mean {quoted}{more}?)"


def empty_selection_hint(project: Project, criteria: Selection) -> str | None:
    """Return a sentence on why -k or -t selected nothing, and near names; None without either."""
    from msgspec.structs import replace

    from prodwatch.runner.schedule.selection import phrases, select
    from prodwatch.settings.suggestions import did_you_mean, listing

    everywhere = replace(criteria, kind="all", shard=None, tags=())
    if criteria.expression is not None:
        ids = [each.id for each in select(project.checks, everywhere, project.environment.name)]
        if not ids:
            near = dict.fromkeys(
                id_ for phrase in phrases(criteria.expression) for id_ in near_checks(phrase, project.checks)
            )
            return f"-k {criteria.expression} matches no check{candidates(list(near))}"
        if criteria.kind is None and not criteria.tags:
            return (
                f"-k {criteria.expression} matches diagnostics only; --kind all selects {listing(ids, limit=_OFFERED)}"
            )
    known = sorted({tag for check in project.checks for tag in check.tags})
    unknown = [tag for tag in criteria.tags if tag.removeprefix("!") not in known]
    if unknown:
        near_tag = did_you_mean(unknown[0], known) or f"; tags are {listing(known)}"
        return f"-t {unknown[0]}: no check has this tag{near_tag}"
    return None
