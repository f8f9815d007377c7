"""Builds a `StepDefinition`, a request with its expectations, for plain checks, flow steps and cleanup steps."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from prodwatch.model.check import Capture, Poll, Repeat, Retry, StepDefinition
from prodwatch.model.spec import Key, ProbeSpec
from prodwatch.probes import registry
from prodwatch.settings.check_keys import CAPTURE, CHECK, SHARED, STEP
from prodwatch.settings.expressions import Fields, check_pattern, fields_of, read_assertions, read_path
from prodwatch.settings.load_time_values import Statics, settle
from prodwatch.settings.problems import TomlCursor
from prodwatch.settings.suggestions import did_you_mean
from prodwatch.settings.table_reader import check_groups, convert_filled, read_table
from prodwatch.settings.value_types import SHORTEST_S, describe, non_finite_numbers, plain, problem_with, seconds

Role = Literal["check", "step", "cleanup"]

_STEP_NAMES = frozenset(key.name for key in STEP)
_COMMON_NAMES: Mapping[Role, frozenset[str]] = {
    "check": frozenset(key.name for key in CHECK),
    "step": _STEP_NAMES,
    "cleanup": _STEP_NAMES,
}
_CHECK_ONLY = frozenset(key.name for key in (*CHECK, *SHARED)) - _STEP_NAMES
_HOLD = Key(name="hold", kind="duration", minimum=SHORTEST_S, doc="")
_TIMES = Key(name="retry", kind="integer", minimum=0, doc="")


def spec_of(cursor: TomlCursor, data: Mapping[str, Any]) -> ProbeSpec | None:
    """Return the spec of the table's `type`; a missing or unknown type is reported."""
    type_ = data.get("type")
    if not isinstance(type_, str):
        if type_ is None:
            hint = swallowed_key_hint(cursor, data, "type") or f"; types: {', '.join(registry.names())}"
            cursor.report(f'"type" is missing{hint}')
        else:
            cursor.at("type").report(f'"type" must be a text in quotes, not {describe(type_)}')
        return None
    try:
        spec = registry.spec(type_)
    except Exception as error:
        if type_ in registry.BUILT_IN:
            raise
        # A third-party package: its failure is a configuration problem, not a bug in prodwatch.
        cursor.at("type").report(f'type "{type_}" is installed but cannot be loaded: {error}')
        return None
    if spec is None:
        cursor.at("type").report(f'unknown type "{type_}"{did_you_mean(type_, registry.names())}')
    return spec


def read_untyped(cursor: TomlCursor, right: Mapping[str, Any]) -> None:
    """Report syntax errors in the assertions of a table with an unknown type."""
    for key in ("expect", "warn"):
        read_assertions(cursor.at(key), right.get(key, ()))


def read_params(cursor: TomlCursor, data: Mapping[str, Any], spec: ProbeSpec, role: Role) -> dict[str, Any]:
    """Return the type's own keys with `${…}` unfilled; mistakes are reported."""
    keys, common = _keys(spec, role)
    own = {key.name for key in keys}
    mine = {name: value for name, value in data.items() if name not in common or name in own}
    before = len(cursor.problems)
    near = common | _CHECK_ONLY

    def hint(name: str) -> str | None:
        return check_key_hint(name) if role != "check" else step_key_hint(name)

    params: dict[str, Any] = plain(read_table(cursor, mine, keys, references=True, hint=hint, near=near))
    check_groups(cursor, mine, one_of=spec.one_of, at_most_one=spec.at_most_one)
    if len(cursor.problems) == before:
        for sentence in spec.problems(params):
            _place(cursor, sentence, params).report(sentence)
        for path in non_finite_numbers(params):
            cursor.at(*path).report("nan and inf cannot be sent, because JSON cannot represent them")
    return params


def _place(cursor: TomlCursor, sentence: str, params: Mapping[str, Any]) -> TomlCursor:
    """Return the cursor of the first key that a type's own sentence names in backticks."""
    named = (name for name in re.findall(r"`(\w+)`", sentence) if name in params)
    first = next(named, None)
    return cursor if first is None else cursor.at(first)


def _keys(spec: ProbeSpec, role: Role) -> tuple[tuple[Key, ...], frozenset[str]]:
    """Return the keys that the type reads itself, and the names shared by all types.

    A type may also read `name`, such as a DNS check that is named after the host it looks up. `id` always belongs to
    the check; `step` and `cleanup` of a flow are read as steps.
    """
    common = _COMMON_NAMES[role]
    elsewhere = common - {"name"} | {"step", "cleanup"}
    own = tuple(key for key in spec.keys if key.name not in elsewhere)
    return own, common | {"step", "cleanup"} if spec.type == "flow" else common


def swallowed_key_hint(cursor: TomlCursor, table: Mapping[str, Any], name: str) -> str:
    """Return a hint when a missing key was assigned to a table whose header precedes it; otherwise an empty text."""
    for key, value in table.items():
        if isinstance(value, dict) and name in value and cursor.document.has_header((*cursor.path, key)):
            return f'; it is in "{key}", because TOML assigns every key below that [table] header to it: move it up'
    return ""


def check_key_hint(name: str) -> str | None:
    """Return the message for a key of the check that is written in a step; None for any other key."""
    if name not in _CHECK_ONLY:
        return None
    return (
        f'"{name}" belongs to the check, but TOML assigns every key below [[check.step]] or [[check.cleanup]] to that '
        f"step; move it up, between [[check]] and the first [[check.step]]"
    )


def step_key_hint(name: str) -> str | None:
    """Return the message for a key of steps that is written in a plain check; None for any other key."""
    if name in {"repeat", "for_each", "precondition", "undo"}:
        return f'"{name}" is only allowed in the steps of a flow'
    if name in {"step", "cleanup"}:
        return f'[[check.{name}]] is only allowed in a check of type "flow"'
    return None


def read_request(
    cursor: TomlCursor, right: Mapping[str, Any], params: dict[str, Any], spec: ProbeSpec, *, name: str, type_: str
) -> StepDefinition:
    """Build the step from its validated shared keys and its params; mistakes in nested tables are reported."""
    fields = Fields(fields_of(spec), spec.one_of_several(params))
    hold_s, hold_every_s = _hold(cursor, right)
    expect = right.get("expect", ())
    quiet = bool(spec.quiet_expect) and "quiet_for" in params
    if quiet:
        _check_quiet(cursor, right)
        right = {name: value for name, value in right.items() if name != "poll"}
        expect = spec.quiet_expect
        hold_s, hold_every_s = _quiet_hold(params["quiet_for"])
    blind = None if hold_s is None else spec.blind_hold(params)
    if blind is not None:
        cursor.at("quiet_for" if "quiet_for" in params else "hold").report(blind)
    poll = _poll(cursor.at("poll"), right.get("poll"), spec, fields)
    return StepDefinition(
        name=name,
        type=type_,
        source=cursor.position,
        params=params,
        expect=read_assertions(cursor.at("expect"), expect, fields),
        warn=read_assertions(cursor.at("warn"), right.get("warn", ()), fields),
        capture=_captures(cursor.at("capture"), right.get("capture", {}), fields),
        attest=_attest(cursor, right, fields),
        timeout_s=duration(right, "timeout"),
        retry=_retry(cursor.at("retry"), right.get("retry")),
        poll=poll,
        hold_s=hold_s,
        hold_every_s=poll.every_s if hold_s is not None and hold_every_s is None and poll is not None else hold_every_s,
        hold_accumulates=quiet,
        precondition=right.get("precondition", False),
        repeat=_repeat(cursor.at("repeat"), right.get("repeat"), fields),
        for_each=right.get("for_each"),
        mutates=right.get("mutates"),
        idempotent=right.get("idempotent", False),
        account=right.get("account"),
        region=right.get("region"),
    )


LOOKS_WHILE_QUIET_S = 5.0
"""Pause between the looks of `quiet_for`."""


def _check_quiet(cursor: TomlCursor, right: Mapping[str, Any]) -> None:
    for name in ("expect", "poll", "hold"):
        if name in right and name not in cursor.inherited:
            cursor.at(name).report(f'"{name}" is not allowed with "quiet_for", which is the claim and its wait')


def _quiet_hold(written: str) -> tuple[float, float]:
    """Return length and pause of the `hold` that `quiet_for` means; a text that is not a duration was reported."""
    try:
        quiet_s = seconds(written)
    except ValueError:
        return LOOKS_WHILE_QUIET_S, LOOKS_WHILE_QUIET_S
    return quiet_s, min(LOOKS_WHILE_QUIET_S, quiet_s / 2)


def fill_quiet_for(cursor: TomlCursor, params: dict[str, Any], spec: ProbeSpec, statics: Statics) -> dict[str, Any]:
    """Return the params with the references in `quiet_for` filled: the runner has to know its length."""
    written = params.get("quiet_for")
    if not spec.quiet_expect or not isinstance(written, str) or "${" not in written:
        return params
    here = cursor.at("quiet_for")
    known, filled = settle(here, written, statics)
    if not known:
        return params
    (key,) = (key for key in spec.keys if key.name == "quiet_for")
    value = convert_filled(key, filled)
    if problem := problem_with(key, value, references=False):
        here.report(problem)
        return params
    return {**params, "quiet_for": value}


def duration(right: Mapping[str, Any], name: str) -> float | None:
    """Return the seconds of a validated duration; None when it is absent."""
    return seconds(right[name]) if name in right else None


def check_mutation(cursor: TomlCursor, params: Mapping[str, Any], spec: ProbeSpec, mutates: bool | None) -> bool:  # noqa: FBT001 -- tri-state as written in TOML
    """Return whether the request may change something; a missing `mutates` is reported then."""
    reason = spec.mutation(params)
    if reason is not None and mutates is None:
        cursor.report(f"{reason}; add mutates = true, or mutates = false if it changes nothing")
    return reason is not None


def may_write(spec: ProbeSpec) -> bool:
    """Return whether a request that its type takes for a read may still write, such as an HTTP GET.

    AWS operations are known by name, and a pause sends nothing.
    """
    return spec.service is None and spec.needs_probe


def _attest(cursor: TomlCursor, right: Mapping[str, Any], fields: Fields) -> str | None:
    source = right.get("attest")
    return read_path(cursor.at("attest"), source, fields) if source else source


def _captures(cursor: TomlCursor, written: Mapping[str, Any], fields: Fields) -> dict[str, Capture]:
    captures = {}
    for name, value in written.items():
        here = cursor.at(name)
        if isinstance(value, str):
            captures[name] = Capture(path=read_path(here, value, fields))
        elif isinstance(value, dict):
            right = read_table(here, value, CAPTURE)
            if "path" in right:
                path = read_path(here.at("path"), right["path"], fields)
                pattern = right.get("pattern")
                if pattern is not None:
                    check_pattern(here.at("pattern"), pattern)
                captures[name] = Capture(path=path, secret=right.get("secret", False), pattern=pattern)
        else:
            here.report(f'"{name}" must be a path in quotes, or a table with path and secret, not {describe(value)}')
    return captures


def _poll(cursor: TomlCursor, right: Mapping[str, Any] | None, spec: ProbeSpec, fields: Fields) -> Poll | None:
    if right is None:
        return None
    within_s = duration(right, "within")
    every_s = duration(right, "every")
    return Poll(
        within_s=spec.within_s if within_s is None else within_s,
        every_s=1.0 if every_s is None else every_s,
        until=read_assertions(cursor.at("until"), right.get("until", ()), fields),
        stop_when=read_assertions(cursor.at("stop_when"), right.get("stop_when", ()), fields),
        backoff=right.get("backoff", "fixed"),
        max_every_s=_max_every(cursor.at("max_every"), right),
        jitter=right.get("jitter", False),
    )


def _max_every(cursor: TomlCursor, right: Mapping[str, Any]) -> float | None:
    max_every_s = duration(right, "max_every")
    if max_every_s is None:
        return None
    if right.get("backoff", "fixed") == "fixed":
        cursor.report('"max_every" has no effect with the fixed pauses of this poll; add backoff = "exponential"')
    elif max_every_s < (1.0 if "every" not in right else seconds(right["every"])):
        cursor.report('"max_every" must not be shorter than "every", with which the pauses begin')
    return max_every_s


def _retry(cursor: TomlCursor, right: Any) -> Retry | None:
    if right is None:
        return None
    if isinstance(right, dict):
        delay_s = duration(right, "delay")
        return Retry(times=right.get("times", 1), delay_s=0.2 if delay_s is None else delay_s)
    right = convert_filled(_TIMES, right)
    problem = problem_with(_TIMES, right, references=False)
    if problem is not None:
        cursor.report(f'{problem}, or a table such as {{ times = 2, delay = "500ms" }}')
        return None
    return Retry(times=right)


def _hold(cursor: TomlCursor, right: Mapping[str, Any]) -> tuple[float | None, float | None]:
    hold = right.get("hold")
    if isinstance(hold, dict):
        return duration(hold, "for"), duration(hold, "every")
    problem = None if hold is None else problem_with(_HOLD, hold, references=False)
    if problem is not None:
        cursor.at("hold").report(problem)
        return None, None
    return (None if hold is None else seconds(hold)), None


def _repeat(cursor: TomlCursor, right: Mapping[str, Any] | None, fields: Fields) -> Repeat | None:
    if right is None or "when" not in right or "after" not in right:
        return None
    when = read_assertions(cursor.at("when"), right["when"], fields)
    return Repeat(when=when, after=right["after"], times=right.get("times", 1))
