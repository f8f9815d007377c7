"""Values captured from a response for later steps; secret ones are masked everywhere from then on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from prodwatch.assertions.errors import PathError, UndecidableError
from prodwatch.assertions.incomplete_data import value_survives_more_data
from prodwatch.assertions.patterns import LOOKS_AHEAD, first_match
from prodwatch.assertions.value_equality_and_order import a_kind
from prodwatch.assertions.value_format import to_json
from prodwatch.model.status import Reason, Status
from prodwatch.runner.step.compiled import CompiledStep
from prodwatch.runner.step.conclusion import Conclusion
from prodwatch.runner.values.redaction import OutputRedactor, leaves
from prodwatch.settings.template import Template
from prodwatch.settings.template_filters import as_text
from prodwatch.text.redact import MASK, MIN_LENGTH


class Captures(msgspec.Struct, frozen=True, kw_only=True):
    """Values captured from one response."""

    raw: Mapping[str, Any] = {}
    shown: Mapping[str, Any] = {}
    """As a result may show them."""
    problem: Conclusion | None = None
    """Why the step cannot be green: a path leads nowhere, a value is uncertain, a secret too short to be masked."""


NO_CAPTURES = Captures()
_UNREAD = "the source could not be read to its end, and the unread part could still change the value"


def read_captures(
    step: CompiledStep,
    document: Mapping[str, Any],
    output: OutputRedactor,
    *,
    values: Mapping[str, Any],
    now: datetime,
    all_secret: bool,
    complete: bool,
    doubt: str | None,
) -> Captures:
    """Read every capture of `step` from `document`; `output` learns secrets before anything is shown.

    `values` holds the values of `${…}` by their text. Without `complete`, what is missing may be in the unread part;
    `doubt` is why the selection of the document's content proves nothing.
    """
    raw: dict[str, Any] = {}
    shown: dict[str, Any] = {}
    missing: list[str] = []
    undecided: list[str] = []
    unmaskable: list[str] = []
    for name in step.captures:
        try:
            value, certain = _value(step, name, document, values=values, now=now, complete=complete, doubt=doubt)
            shown[name] = to_json(value)
        except UndecidableError as uncertain:
            undecided.append(f"nothing certain to capture as {name}: {uncertain}")
            continue
        except PathError as absent:
            missing.append(f"nothing to capture as {name}: {absent}")
            continue
        if not certain:
            # A cleanup still gets the value: it may be all that names what the step left.
            undecided.append(f"nothing certain to capture as {name}: {_UNREAD if doubt is None else doubt}")
        raw[name] = value
        secret = step.definition.capture[name].secret
        if secret or all_secret:
            texts = list(leaves(shown[name]))
            output.learn_captured(texts)
            if secret and any(0 < len(text) < MIN_LENGTH for text in texts):
                unmaskable.append(
                    f"the secret captured as {name} has under {MIN_LENGTH} characters and could not be masked"
                )
            shown[name] = MASK
    return Captures(
        raw=raw,
        shown={name: output.value(value) for name, value in shown.items()},
        problem=_problem(unmaskable, undecided, missing, complete=complete),
    )


def _problem(
    unmaskable: Sequence[str], undecided: Sequence[str], missing: Sequence[str], *, complete: bool
) -> Conclusion | None:
    """Return why the step cannot be green, from the sentences of each kind of problem; None without one."""
    if unmaskable:
        return Conclusion(Status.ERROR, Reason.INVALID, unmaskable[0])
    if undecided:
        return Conclusion(Status.INCONCLUSIVE, Reason.NO_DATA, undecided[0])
    if missing and not complete:
        message = f"{missing[0]}; the source could not be read to its end, and the rest may have it"
        return Conclusion(Status.INCONCLUSIVE, Reason.NO_DATA, message)
    return Conclusion(Status.FAIL, Reason.ASSERTION, missing[0]) if missing else None


def _value(
    step: CompiledStep,
    name: str,
    document: Mapping[str, Any],
    *,
    values: Mapping[str, Any],
    now: datetime,
    complete: bool,
    doubt: str | None,
) -> tuple[Any, bool]:
    """Return what one capture takes, and whether neither more data nor the doubt about the document can change it.

    PathError when there is nothing, UndecidableError when it is not certain which value or part it takes.
    """
    path, pattern = step.captures[name], step.capture_patterns.get(name)
    holes = [values[hole] for hole in path.holes]
    if (why := path.undecidable(document, holes=holes, now=now)) is not None:
        raise UndecidableError(why)
    if not path.has_value(document, holes=holes, now=now):
        raise PathError(path.explain(document, holes=holes, now=now))
    value = path.read(document, holes=holes, now=now)
    certain = (complete and doubt is None) or value_survives_more_data(path, value, part=pattern is not None)
    if pattern is not None:
        value = _part(value, pattern, path.render(holes), values, complete=complete)
    return value, certain


def _part(text: Any, pattern: Template, shown: str, values: Mapping[str, Any], *, complete: bool) -> str:
    """Return the part of `text` that the first group of a pattern matches, or the whole match without a group.

    PathError when there is none, UndecidableError when the part may be another in the text that was not read.
    """
    if not isinstance(text, str):
        raise PathError(f"`{shown}` is {a_kind(text)}, and a pattern needs a string")
    written = "".join(part if isinstance(part, str) else part.source for part in pattern.parts)
    # The value of a `${…}` matches itself, as in `matches`.
    parts = (part if isinstance(part, str) else re.escape(as_text(values[part.source])) for part in pattern.parts)
    expression = "".join(parts)
    match = first_match(expression, text)
    found = None if match is None else match[1 if match.re.groups else 0]
    if found is None:
        how = "does not match" if match is None else "matches without the group of"
        raise PathError(f"`{shown}` {how} '{written}'")
    if not complete and (match.end() == len(text) or LOOKS_AHEAD.search(expression)):
        raise UndecidableError("the text was not read to its end, where the match may go on")
    return str(found)
