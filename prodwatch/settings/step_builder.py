"""One request and what is expected of it, as a `StepDefinition`: shared by plain checks, flow steps and cleanup."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from prodwatch.model.check import Capture, Poll, Repeat, Retry, StepDefinition
from prodwatch.model.spec import Key, ProbeSpec
from prodwatch.probes import registry
from prodwatch.settings.check_keys import CAPTURE, CHECK, SHARED, STEP
from prodwatch.settings.expressions import Fields, fields_of, read_assertions, read_path
from prodwatch.settings.problems import Spot
from prodwatch.settings.suggestions import did_you_mean
from prodwatch.settings.table_reader import check_groups, fitted, read_table
from prodwatch.settings.value_types import SHORTEST_S, describe, endless, plain, problem_with, seconds

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


def spec_of(spot: Spot, data: Mapping[str, Any]) -> ProbeSpec | None:
    """Return the spec of the table's `type`; a missing or unknown one is reported."""
    type_ = data.get("type")
    if not isinstance(type_, str):
        if type_ is None:
            hint = stranded(spot, data, "type") or f"; it is one of {', '.join(registry.names())}"
            spot.report(f'"type" is missing{hint}')
        else:
            spot.at("type").report(f'"type" must be a text in quotes, not {describe(type_)}')
        return None
    try:
        found = registry.spec(type_)
    except Exception as error:
        if type_ in registry.BUILT_IN:
            raise
        # Somebody else's package: its failure is a fact about this machine, not a bug here.
        spot.at("type").report(f'type "{type_}" is installed but cannot be loaded: {error}')
        return None
    if found is None:
        spot.at("type").report(f'unknown type "{type_}"{did_you_mean(type_, registry.names())}')
    return found


def read_untyped(spot: Spot, right: Mapping[str, Any]) -> None:
    """Report what is wrong with the assertions of a table whose type is not known: a typing error hides no other."""
    for key in ("expect", "warn"):
        read_assertions(spot.at(key), right.get(key, ()))


def read_params(spot: Spot, data: Mapping[str, Any], spec: ProbeSpec, role: Role) -> dict[str, Any]:
    """Return the type's own keys as written, `${…}` still inside; what is wrong with them is reported."""
    keys, common = _keys(spec, role)
    own = {key.name for key in keys}
    mine = {name: value for name, value in data.items() if name not in common or name in own}
    before = len(spot.problems)
    near = common | _CHECK_ONLY

    def hint(name: str) -> str | None:
        return misplaced(name) if role != "check" else only_in_steps(name)

    params: dict[str, Any] = plain(read_table(spot, mine, keys, references=True, hint=hint, near=near))
    check_groups(spot, mine, one_of=spec.one_of, at_most_one=spec.at_most_one)
    if len(spot.problems) == before:
        for sentence in spec.problems(params):
            _place(spot, sentence, params).report(sentence)
        for path in endless(params):
            spot.at(*path).report("nan and inf cannot be sent: JSON has no number for them")
    return params


def _place(spot: Spot, sentence: str, params: Mapping[str, Any]) -> Spot:
    """Return where the key stands that a type's own sentence names first."""
    named = (name for name in re.findall(r"`(\w+)`", sentence) if name in params)
    first = next(named, None)
    return spot if first is None else spot.at(first)


def _keys(spec: ProbeSpec, role: Role) -> tuple[tuple[Key, ...], frozenset[str]]:
    """Return the keys a type reads itself, and the names common to all types.

    A type may read `name` too: a DNS check named after what it looks up need not say it twice. At a check, `id` is
    always the check's; `step` and `cleanup` of a flow are read as steps.
    """
    common = _COMMON_NAMES[role]
    elsewhere = common - {"name"} | {"step", "cleanup"}
    own = tuple(key for key in spec.keys if key.name not in elsewhere)
    return own, common | {"step", "cleanup"} if spec.type == "flow" else common


def stranded(spot: Spot, table: Mapping[str, Any], name: str) -> str:
    """Say of a missing key that it stands in a table whose header came before it; nothing when it does not."""
    for key, value in table.items():
        if isinstance(value, dict) and name in value and spot.document.has_header((*spot.path, key)):
            return f'; it stands in "{key}", because TOML gives every key written below that [table] to it: move it up'
    return ""


def misplaced(name: str) -> str | None:
    """Say of a key of the check that stands in a step where it went wrong; None for any other key."""
    if name not in _CHECK_ONLY:
        return None
    return (
        f'"{name}" belongs to the check, but TOML gives every key written after [[check.step]] or [[check.cleanup]] '
        f"to that step; move it up, between [[check]] and the first [[check.step]]"
    )


def only_in_steps(name: str) -> str | None:
    """Say of a key of steps that stands in a plain check where it belongs; None for any other key."""
    if name in {"repeat", "for_each"}:
        return f'"{name}" is for the steps of a flow only'
    if name in {"step", "cleanup"}:
        return f'only a check of type "flow" has [[check.{name}]]'
    return None


def read_request(
    spot: Spot, right: Mapping[str, Any], params: dict[str, Any], spec: ProbeSpec, *, name: str, type_: str
) -> StepDefinition:
    """Build the step from its checked common keys and its params; what its nested parts have wrong is reported."""
    fields = fields_of(spec)
    hold_s, hold_every_s = _hold(spot, right)
    poll = _poll(spot.at("poll"), right.get("poll"), spec, fields)
    return StepDefinition(
        name=name,
        type=type_,
        source=spot.position,
        params=params,
        expect=read_assertions(spot.at("expect"), right.get("expect", ()), fields),
        warn=read_assertions(spot.at("warn"), right.get("warn", ()), fields),
        capture=_captures(spot.at("capture"), right.get("capture", {}), fields),
        attest=_attest(spot, right, fields),
        timeout_s=duration(right, "timeout"),
        retry=_retry(spot.at("retry"), right.get("retry")),
        poll=poll,
        hold_s=hold_s,
        hold_every_s=poll.every_s if hold_s is not None and hold_every_s is None and poll is not None else hold_every_s,
        repeat=_repeat(spot.at("repeat"), right.get("repeat"), fields),
        for_each=right.get("for_each"),
        mutates=right.get("mutates"),
        idempotent=right.get("idempotent", False),
        account=right.get("account"),
        region=right.get("region"),
    )


def duration(right: Mapping[str, Any], name: str) -> float | None:
    """Return the seconds of a checked duration, or None when it is not written."""
    return seconds(right[name]) if name in right else None


def check_mutation(spot: Spot, params: Mapping[str, Any], spec: ProbeSpec, mutates: bool | None) -> bool:  # noqa: FBT001 -- tri-state as written in TOML
    """Return whether the request may change something by its keys; that nobody says so is reported."""
    reason = spec.mutation(params)
    if reason is not None and mutates is None:
        spot.report(f"{reason}; say mutates = true, or mutates = false if it changes nothing")
    return reason is not None


def _attest(spot: Spot, right: Mapping[str, Any], fields: Fields) -> str | None:
    source = right.get("attest")
    return read_path(spot.at("attest"), source, fields) if source else source


def _captures(spot: Spot, written: Mapping[str, Any], fields: Fields) -> dict[str, Capture]:
    captures = {}
    for name, value in written.items():
        here = spot.at(name)
        if isinstance(value, str):
            captures[name] = Capture(path=read_path(here, value, fields))
        elif isinstance(value, dict):
            right = read_table(here, value, CAPTURE)
            if "path" in right:
                path = read_path(here.at("path"), right["path"], fields)
                captures[name] = Capture(path=path, secret=right.get("secret", False))
        else:
            here.report(f'"{name}" must be a path in quotes, or a table of path and secret, not {describe(value)}')
    return captures


def _poll(spot: Spot, right: Mapping[str, Any] | None, spec: ProbeSpec, fields: Fields) -> Poll | None:
    if right is None:
        return None
    within_s = duration(right, "within")
    every_s = duration(right, "every")
    return Poll(
        within_s=spec.within_s if within_s is None else within_s,
        every_s=1.0 if every_s is None else every_s,
        until=read_assertions(spot.at("until"), right.get("until", ()), fields),
        stop_when=read_assertions(spot.at("stop_when"), right.get("stop_when", ()), fields),
        backoff=right.get("backoff", "fixed"),
        jitter=right.get("jitter", False),
    )


def _retry(spot: Spot, right: Any) -> Retry | None:
    if right is None:
        return None
    if isinstance(right, dict):
        delay_s = duration(right, "delay")
        return Retry(times=right.get("times", 1), delay_s=0.2 if delay_s is None else delay_s)
    right = fitted(_TIMES, right)
    problem = problem_with(_TIMES, right, references=False)
    if problem is not None:
        spot.report(f'{problem}, or a table such as {{ times = 2, delay = "500ms" }}')
        return None
    return Retry(times=right)


def _hold(spot: Spot, right: Mapping[str, Any]) -> tuple[float | None, float | None]:
    hold = right.get("hold")
    if isinstance(hold, dict):
        return duration(hold, "for"), duration(hold, "every")
    problem = None if hold is None else problem_with(_HOLD, hold, references=False)
    if problem is not None:
        spot.at("hold").report(problem)
        return None, None
    return (None if hold is None else seconds(hold)), None


def _repeat(spot: Spot, right: Mapping[str, Any] | None, fields: Fields) -> Repeat | None:
    if right is None or "when" not in right or "after" not in right:
        return None
    when = read_assertions(spot.at("when"), right["when"], fields)
    return Repeat(when=when, after=right["after"], times=right.get("times", 1))
