"""Selection of checks: filters, order and shards; deterministic for the same files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import msgspec

from prodwatch.errors import ConfigurationError
from prodwatch.model.check import CheckDefinition
from prodwatch.settings.template import has_references

Matcher = Callable[[str], bool]

_TOKEN = re.compile(r"""\s*(?:(?P<paren>[()])|"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<word>[^\s()"']+))""")


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Filters of the user; the default is every smoke check of the environment."""

    expression: str | None = None
    """`-k`: words joined by `and`, `or`, `not` and parentheses, searched in id, name and title."""
    tags: tuple[str, ...] = ()
    """`-t`: any of them; `!slow` excludes."""
    kind: Literal["smoke", "diagnostic", "all"] | None = None
    """None: smoke checks, and the checks in `ids`."""
    failed_first: frozenset[str] = frozenset()
    """Ids that come first: those not green last time."""
    shard: tuple[int, int] | None = None
    """(i, n), i from 1."""
    ids: frozenset[str] | None = None
    """None: no restriction."""


def select(
    checks: Sequence[CheckDefinition], selection: Selection, env_name: str | None
) -> tuple[CheckDefinition, ...]:
    """Return the checks to run in report order: smoke first, then as loaded.

    ConfigurationError for a malformed expression or shard. `env_name` None keeps every environment.
    """
    matches = parse_expression(selection.expression) if selection.expression else None
    selected = [
        check
        for check in checks
        if (env_name is None or not check.environments or env_name in check.environments)
        and _of_kind(check, selection)
        and (selection.ids is None or check.id in selection.ids)
        and _has_tag(check, selection.tags)
        and (matches is None or matches(_haystack(check)))
    ]
    selected.sort(key=lambda check: (check.id not in selection.failed_first, check.kind != "smoke"))
    if selection.shard is not None:
        selected = _shard(selected, {check.id: check for check in checks}, *selection.shard)
    return tuple(selected)


def _of_kind(check: CheckDefinition, selection: Selection) -> bool:
    if selection.kind == "all":
        return True
    if selection.kind is not None:
        return check.kind == selection.kind
    return check.kind == "smoke" or (selection.ids is not None and check.id in selection.ids)


def _has_tag(check: CheckDefinition, tags: tuple[str, ...]) -> bool:
    excluded = {tag[1:] for tag in tags if tag.startswith("!")}
    included = {tag for tag in tags if not tag.startswith("!")}
    own = set(check.tags)
    return not own & excluded and (not included or bool(own & included))


def _haystack(check: CheckDefinition) -> str:
    return f"{check.id}\n{check.name}\n{check.title}".casefold()


def parse_expression(text: str) -> Matcher:
    """Compile a `-k` expression; neighbouring words are one phrase. ConfigurationError when it is malformed."""
    tokens = _tokens(text)
    parser = _Parser(tokens, text)
    matcher = parser.alternatives()
    if parser.left:
        parser.refuse(f'unexpected "{parser.left[0][1]}"')
    return matcher


def phrases(expression: str) -> list[str]:
    """Return the phrases of a well-formed `-k` expression, without those after `not`."""
    found: list[str] = []
    negated = joined = False
    for kind, word in _tokens(expression):
        if kind != "text":
            negated, joined = kind == "not", False
        elif not negated and joined:
            found[-1] += f" {word}"
        elif not negated:
            found.append(word)
            joined = True
    return found


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise ConfigurationError(f"-k {text}: a quote is not closed")
        at = match.end()
        if match["paren"]:
            tokens.append((match["paren"], match["paren"]))
        elif match["word"] in {"and", "or", "not"}:
            tokens.append((match["word"], match["word"]))
        else:
            quoted = match["double"] if match["double"] is not None else match["single"]
            tokens.append(("text", match["word"] if quoted is None else quoted))
    return tokens


class _Parser:
    """Recursive descent: alternatives of conjunctions of negations of phrases."""

    def __init__(self, tokens: list[tuple[str, str]], text: str) -> None:
        self.left = tokens
        self._text = text

    def refuse(self, why: str) -> None:
        raise ConfigurationError(f'-k {self._text}: {why}; write words joined by "and", "or", "not" and parentheses')

    def _next_is(self, kind: str) -> bool:
        return bool(self.left) and self.left[0][0] == kind

    def alternatives(self) -> Matcher:
        parts = [self._conjunction()]
        while self._next_is("or"):
            self.left.pop(0)
            parts.append(self._conjunction())
        return lambda hay: any(part(hay) for part in parts)

    def _conjunction(self) -> Matcher:
        parts = [self._negation()]
        while self._next_is("and"):
            self.left.pop(0)
            parts.append(self._negation())
        return lambda hay: all(part(hay) for part in parts)

    def _negation(self) -> Matcher:
        if self._next_is("not"):
            self.left.pop(0)
            inner = self._negation()
            return lambda hay: not inner(hay)
        if self._next_is("("):
            self.left.pop(0)
            inner = self.alternatives()
            if not self._next_is(")"):
                self.refuse("a parenthesis is not closed")
            self.left.pop(0)
            return inner
        words = []
        while self._next_is("text"):
            words.append(self.left.pop(0)[1])
        if not words:
            self.refuse(
                f'a word is missing before "{self.left[0][1]}"' if self.left else "a word is missing at the end"
            )
        phrase = " ".join(words).casefold()
        return lambda hay: phrase in hay


def parse_shard(text: str) -> tuple[int, int]:
    """Read `2/5`; ConfigurationError otherwise."""
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise ConfigurationError(f"--shard {text}: write i/n with i from 1 to n, such as 2/5")
    return int(match[1]), int(match[2])


def _shard(
    selected: Sequence[CheckDefinition], every: dict[str, CheckDefinition], index: int, count: int
) -> list[CheckDefinition]:
    """Return part `index` of `count`: whole groups, in parts of similar size."""
    if not 1 <= index <= count:
        raise ConfigurationError(f"--shard {index}/{count}: i goes from 1 to n")
    groups = _groups(selected, every)
    loads = [0] * count
    mine: set[str] = set()
    for group in sorted(groups, key=lambda ids: (-len(ids), ids)):
        part = loads.index(min(loads))
        loads[part] += len(group)
        if part == index - 1:
            mine.update(group)
    return [check for check in selected if check.id in mine]


def _groups(selected: Iterable[CheckDefinition], every: dict[str, CheckDefinition]) -> list[list[str]]:
    """Return ids that must stay together: linked by `needs`, by a composite's members, or by a serial group."""
    leader: dict[str, str] = {}

    def find(name: str) -> str:
        while (parent := leader.setdefault(name, name)) != name:
            leader[name] = name = leader[parent]
        return name

    ids = []
    pending = list(selected)
    seen: set[str] = set()
    selected_ids = {check.id for check in pending}
    # The name of a group that only a run knows may turn out to be any other group's.
    one_group = any(check.serial and has_references(check.serial) for check in selected)
    while pending:
        check = pending.pop()
        if check.id in seen:
            continue
        seen.add(check.id)
        if check.id in selected_ids:
            ids.append(check.id)
        links = [*check.needs, *check.of]
        pending.extend(every[link] for link in links if link in every)
        # A space cannot occur in an id, so a group's name is never taken for a check's.
        group = f"serial {'' if one_group else check.serial}" if check.serial else None
        for link in (*links, *((group,) if group else ())):
            leader[find(link)] = find(check.id)
    together: dict[str, list[str]] = {}
    for id_ in sorted(ids):
        together.setdefault(find(id_), []).append(id_)
    return list(together.values())
