"""Values taken from an answer for later steps; what is secret is masked from then on, everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from prodwatch.assertions.value_format import to_json
from prodwatch.runner.step.compiled import Captured
from prodwatch.runner.step.expectations import JudgingContext
from prodwatch.runner.values.redaction import OutputRedactor, leaves
from prodwatch.text.redact import MASK, MIN_LENGTH


class Captures(msgspec.Struct):
    """What was taken from one answer."""

    raw: dict[str, Any] = msgspec.field(default_factory=dict)
    shown: dict[str, Any] = msgspec.field(default_factory=dict)
    """As a result may show it."""
    missing: list[str] = msgspec.field(default_factory=list)
    """One sentence per capture whose path leads nowhere."""
    unmaskable: list[str] = msgspec.field(default_factory=list)
    """One sentence per secret that is too short to be kept secret."""


NO_CAPTURES = Captures()


def take(
    captures: Iterable[Captured],
    document: Mapping[str, Any],
    judging: JudgingContext,
    out: OutputRedactor,
    *,
    all_secret: bool,
) -> Captures:
    """Read every capture from `document`; secrets are learned by `out` before anything is shown."""
    taken = Captures()
    for capture in captures:
        holes = [judging.values[hole] for hole in capture.path.holes]
        value = capture.path.read(document, holes=holes, now=judging.now)
        if not capture.path.has_value(document, holes=holes, now=judging.now):
            why = capture.path.explain(document, holes=holes, now=judging.now)
            taken.missing.append(f"nothing to capture as {capture.name}: {why}")
            continue
        taken.raw[capture.name] = value
        if capture.secret or all_secret:
            texts = list(leaves(to_json(value)))
            out.learn(texts)
            if capture.secret and any(0 < len(text) < MIN_LENGTH for text in texts):
                taken.unmaskable.append(
                    f"the secret captured as {capture.name} has under {MIN_LENGTH} characters and could not be masked"
                )
            taken.shown[capture.name] = MASK
        else:
            taken.shown[capture.name] = to_json(value)
    taken.shown = {name: out.value(value) for name, value in taken.shown.items()}
    return taken
