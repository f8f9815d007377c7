"""Values captured from a response for later steps; secret ones are masked everywhere from then on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from prodwatch.assertions.errors import UndecidableError
from prodwatch.assertions.value_format import to_json
from prodwatch.model.status import Reason, Status
from prodwatch.runner.step.compiled import CompiledStep
from prodwatch.runner.step.conclusion import Conclusion
from prodwatch.runner.values.redaction import OutputRedactor, leaves
from prodwatch.text.redact import MASK, MIN_LENGTH


class Captures(msgspec.Struct, frozen=True, kw_only=True):
    """Values captured from one response."""

    raw: Mapping[str, Any] = {}
    shown: Mapping[str, Any] = {}
    """As a result may show them."""
    problem: Conclusion | None = None
    """Why the step cannot be green: a path leads nowhere, or a secret is too short to be masked."""


NO_CAPTURES = Captures()


def read_captures(
    step: CompiledStep,
    document: Mapping[str, Any],
    output: OutputRedactor,
    *,
    values: Mapping[str, Any],
    now: datetime,
    all_secret: bool,
) -> Captures:
    """Read every capture of `step` from `document`; `output` learns secrets before anything is shown.

    `values` holds the values of `${…}` by their text.
    """
    raw: dict[str, Any] = {}
    shown: dict[str, Any] = {}
    missing: list[str] = []
    undecided: list[str] = []
    unmaskable: list[str] = []
    for name, path in step.captures.items():
        holes = [values[hole] for hole in path.holes]
        if (why := path.undecidable(document, holes=holes, now=now)) is not None:
            undecided.append(f"nothing certain to capture as {name}: {why}")
            continue
        if not path.has_value(document, holes=holes, now=now):
            missing.append(f"nothing to capture as {name}: {path.explain(document, holes=holes, now=now)}")
            continue
        value = path.read(document, holes=holes, now=now)
        try:
            shown[name] = to_json(value)
        except UndecidableError as uncertain:
            undecided.append(f"nothing certain to capture as {name}: {uncertain}")
            continue
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
    problem = None
    if unmaskable:
        problem = Conclusion(Status.ERROR, Reason.INVALID, unmaskable[0])
    elif undecided:
        problem = Conclusion(Status.INCONCLUSIVE, Reason.NO_DATA, undecided[0])
    elif missing:
        problem = Conclusion(Status.FAIL, Reason.ASSERTION, missing[0])
    return Captures(raw=raw, shown={name: output.value(value) for name, value in shown.items()}, problem=problem)
