"""Resolves references between checks to ids: by id, then by name in the same file, then by a unique name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from prodwatch.model.check import CheckDefinition
from prodwatch.settings.check_file import Draft
from prodwatch.settings.suggestions import did_you_mean, listing

_KEYS = ("needs", "diagnose", "of")


def resolve_references(
    drafts: Sequence[Draft], others: Mapping[str, str], *, complete: bool = True
) -> list[CheckDefinition]:
    """Return the checks with ids in `needs`, `diagnose` and `of`.

    Duplicate ids, unknown or ambiguous names, and circular references are reported. A reference to a check with a
    matrix means all its cases. `others` are checks of another kind of file, id → name. Unless `complete`, some files
    could not be read, so an unknown check is not a mistake.
    """
    _report_collisions(drafts)
    index = _Index(drafts, others)
    checks = [
        replace(
            draft.check,
            **{key: _resolved(draft, key, index, complete=complete) for key in _KEYS if getattr(draft.check, key)},
        )
        for draft in drafts
    ]
    _report_circles(drafts, checks)
    return checks


def unresolved(drafts: Sequence[Draft], others: Mapping[str, str]) -> bool:
    """Return whether a draft refers to a check that is not among these."""
    index = _Index(drafts, others)
    return any(
        not index.find(reference, draft.check.source.file)
        for draft in drafts
        for key in _KEYS
        for reference in getattr(draft.check, key)
    )


def reachable(start: Sequence[CheckDefinition], checks: Sequence[CheckDefinition]) -> list[CheckDefinition]:
    """Return the checks outside `start` that it refers to, directly or indirectly, in the order of `checks`."""
    by_id = {check.id: check for check in checks}
    reached = {check.id for check in start}
    pending = list(start)
    while pending:
        check = pending.pop()
        for id_ in (*check.needs, *check.diagnose, *check.of):
            if id_ not in reached and id_ in by_id:
                reached.add(id_)
                pending.append(by_id[id_])
    own = {check.id for check in start}
    return [check for check in checks if check.id in reached and check.id not in own]


class _Index:
    """Index of checks by id, by name in a file, and by name."""

    def __init__(self, drafts: Sequence[Draft], others: Mapping[str, str]) -> None:
        self.by_id: dict[str, list[str]] = {id_: [id_] for id_ in others}
        self.in_file: dict[tuple[str, str], dict[int, list[str]]] = {}
        self.by_name: dict[str, dict[tuple[str, int], list[str]]] = {}
        for id_, name in others.items():
            self.by_name.setdefault(name, {})[id_, 0] = [id_]
        for draft in drafts:
            id_ = draft.check.id
            self.by_id.setdefault(id_, []).append(id_)
            file = draft.check.source.file
            for name in {draft.name, draft.check.name}:
                self.in_file.setdefault((file, name), {}).setdefault(draft.number, []).append(id_)
                self.by_name.setdefault(name, {}).setdefault((file, draft.number), []).append(id_)

    def find(self, reference: str, file: str) -> list[list[str]]:
        """Return the ids of each matching check; more than one check means that the reference is ambiguous."""
        if reference in self.by_id:
            return [self.by_id[reference][:1]]
        return list(self.in_file.get((file, reference), self.by_name.get(reference, {})).values())


def _resolved(draft: Draft, key: str, index: _Index, *, complete: bool) -> tuple[str, ...]:
    ids: list[str] = []
    for number, reference in enumerate(getattr(draft.check, key)):
        cursor = draft.cursor.at(key, number)
        matches = index.find(reference, draft.check.source.file)
        if not matches and not complete:
            continue
        if not matches:
            names = (*index.by_id, *index.by_name)
            cursor.report(f'{key}: there is no check "{reference}"{did_you_mean(reference, names)}')
        elif len(matches) > 1:
            cursor.report(
                f'{key}: several checks are named "{reference}"; use an id: {listing(match[0] for match in matches)}'
            )
        elif draft.check.id in matches[0]:
            cursor.report(f'{key}: "{reference}" is this check itself')
        else:
            ids += matches[0]
    return tuple(dict.fromkeys(ids))


def _report_collisions(drafts: Sequence[Draft]) -> None:
    first: dict[str, Draft] = {}
    for draft in drafts:
        other = first.setdefault(draft.check.id, draft)
        if other is not draft:
            where = f'{other.check.source}, check "{other.check.name}"'
            key = "id" if "id" in draft.cursor.document.data["check"][draft.number] else "name"
            draft.cursor.at(key).report(f'id "{draft.check.id}" is already used by {where}; choose another name or id')


def _report_circles(drafts: Sequence[Draft], checks: Sequence[CheckDefinition]) -> None:
    """Report each circular dependency once, at its first check."""
    waits_for = {check.id: (*check.needs, *check.of) for check in checks}
    drafts_by_id = {draft.check.id: draft for draft in drafts}
    done: set[str] = set()
    for check in checks:
        for circle in _circles(check.id, waits_for, done):
            draft = drafts_by_id[circle[0]]
            key = "needs" if draft.check.needs else "of"
            draft.cursor.at(key).report(f"circular dependency: {' → '.join((*circle, circle[0]))}")


def _circles(start: str, waits_for: Mapping[str, Iterable[str]], done: set[str]) -> Iterable[list[str]]:
    """Yield circles by a depth-first search without recursion, because chains of checks may be long."""
    path: list[str] = []
    stack: list[tuple[str, bool]] = [(start, False)]
    while stack:
        id_, leaving = stack.pop()
        if leaving:
            path.pop()
            done.add(id_)
        elif id_ in path:
            yield path[path.index(id_) :]
        elif id_ not in done and id_ in waits_for:
            path.append(id_)
            stack.append((id_, True))
            stack += [(each, False) for each in waits_for[id_]]
